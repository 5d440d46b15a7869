"""What is packed: an allow-list, so that nothing new gets in by itself, and the same bytes every time."""

import os
import re
import shutil
import subprocess
import zipfile
from pathlib import Path

import pytest

from devhost.host import REPOSITORY
from devhost.package import build_package, packed_files

ALLOWED = re.compile(
    r"manifest\.yaml|main\.py|requirements\.txt|LICENSE|README\.md|PRIVACY\.md|CHANGELOG\.md"
    r"|readme/README_[a-z]{2}_[A-Za-z]+\.md|_assets/[\w.-]+\.(svg|png)|group/\w+\.yaml|(endpoints|provider|tools)/\w+\.(py|yaml)"
    r"|kafka_bridge/([\w]+/)*\w+\.(py|typed)|kafka_bridge/dashboard/templates/[\w-]+\.(html|css|js)"
)
PLATFORM_BYTES = 50 * 1024 * 1024


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A small plugin in a repository of its own, with everything lying about that must not be packed."""
    files = {
        "manifest.yaml": "name: small\nversion: 1.2.3\n",
        "main.py": "pass\n",
        "kafka_bridge/a.py": "A = 1\n",
        "endpoints/x.py": "",
        ".difyignore": (REPOSITORY / ".difyignore").read_text(),
        ".gitignore": "ignored.txt\n",
    }
    litter = (
        "tests/t.py devhost/d.py bench/b.py docs/d.md examples/e.md Makefile CONTRIBUTING.md pyproject.toml .env"
        " .env.local .venv/lib.py .cache/jar __pycache__/m.pyc kafka_bridge/__pycache__/a.pyc .mypy_cache/x"
        " .ruff_cache/x .pytest_cache/x .hypothesis/x dist/old.difypkg old.difypkg .ci/check ignored.txt"
    )
    for name, text in {**files, **dict.fromkeys(litter.split(), "x")}.items():
        path = tmp_path / "tree" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return tmp_path / "tree"


def git(tree: Path, *arguments: str) -> None:
    subprocess.run(["git", *arguments], cwd=tree, check=True, capture_output=True)


def names(package: Path) -> list[str]:
    with zipfile.ZipFile(package) as archive:
        return archive.namelist()


def test_this_repositorys_package_holds_what_is_allowed_and_nothing_else():
    packed = [path.as_posix() for path in packed_files()]

    assert [name for name in packed if not ALLOWED.fullmatch(name)] == []
    assert {"manifest.yaml", "main.py", "requirements.txt", "LICENSE", "PRIVACY.md"} <= set(packed)
    assert len([name for name in packed if name.startswith("kafka_bridge/")]) > 20
    assert {f"kafka_bridge/dashboard/templates/{name}" for name in ("base.html", "style.css", "script.js")} <= set(
        packed
    )
    assert [name for name in packed if "standalone" in name or "worker.py" in name] == [
        "kafka_bridge/dispatch/worker.py"
    ]


def test_this_repositorys_package_is_one_that_the_platform_takes(tmp_path):
    package = build_package(tmp_path)

    with zipfile.ZipFile(package) as archive:
        assert archive.testzip() is None
        assert sum(entry.file_size for entry in archive.infolist()) < PLATFORM_BYTES
        for entry in archive.infolist():
            assert archive.read(entry) == (REPOSITORY / entry.filename).read_bytes()
            assert entry.external_attr >> 16 == 0o644


def test_the_same_tree_gives_the_same_bytes(tree, tmp_path):
    git(tree, "init", "-q")
    first = build_package(tmp_path / "one", tree).read_bytes()
    moved = shutil.copytree(tree, tmp_path / "elsewhere")
    for path in moved.rglob("*"):
        os.utime(path, (1_000_000_000, 1_000_000_000))

    assert build_package(tmp_path / "two", moved).read_bytes() == first


def test_the_name_has_the_version(tree, tmp_path):
    assert build_package(tmp_path / "out", tree).name == "small-1.2.3.difypkg"


@pytest.mark.parametrize("with_git", [True, False], ids=["a repository", "a copy without git"])
def test_litter_is_left_out(tree, tmp_path, with_git):
    if with_git:
        git(tree, "init", "-q")

    packed = names(build_package(tmp_path / "out", tree))

    assert set(packed) - {"ignored.txt"} == {"manifest.yaml", "main.py", "kafka_bridge/a.py", "endpoints/x.py"}
    assert ("ignored.txt" in packed) is not with_git, "only git knows what it ignores"
    assert packed == sorted(packed)


def test_a_file_that_git_lists_and_nobody_has_is_left_out(tree, tmp_path):
    git(tree, "init", "-q")
    git(tree, "add", "main.py")
    (tree / "main.py").unlink()

    assert "main.py" not in names(build_package(tmp_path / "out", tree))
