"""Builds the `.difypkg`: a zip of what `.difyignore` leaves, the same bytes for the same tree."""

import subprocess
import zipfile
from pathlib import Path
from typing import Final

import pathspec
import yaml

from devhost.host import REPOSITORY

# The oldest time that a zip can hold: the package must not depend on when it was built.
_EPOCH: Final = (1980, 1, 1, 0, 0, 0)


def packed_files(root: Path = REPOSITORY) -> list[Path]:
    """The files of the package, relative to `root`, sorted: what git knows or would take, less `.difyignore`."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=root,
        capture_output=True,
        check=False,
        text=True,
    )
    if listed.returncode == 0:
        names = [name for name in listed.stdout.split("\0") if name and (root / name).is_file()]
    else:
        names = [str(path.relative_to(root)) for path in root.rglob("*") if path.is_file()]
    ignored = pathspec.GitIgnoreSpec.from_lines((root / ".difyignore").read_text().splitlines())
    return sorted(Path(name) for name in set(names) if not ignored.match_file(name))


def build_package(output: Path, root: Path = REPOSITORY) -> Path:
    """Write `kafka_bridge-<version>.difypkg` into `output`."""
    manifest = yaml.safe_load((root / "manifest.yaml").read_text())
    output.mkdir(parents=True, exist_ok=True)
    target = output / f"{manifest['name']}-{manifest['version']}.difypkg"
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as package:
        for path in packed_files(root):
            entry = zipfile.ZipInfo(path.as_posix(), _EPOCH)
            entry.external_attr = 0o644 << 16
            entry.compress_type = zipfile.ZIP_DEFLATED
            package.writestr(entry, (root / path).read_bytes())
    return target
