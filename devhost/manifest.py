"""What the host takes from a plugin's own files: its name, its rights, and the settings that it declares."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import yaml


class NoPlugin(Exception):
    """The folder holds no plugin; `str()` says why."""


@dataclass(frozen=True, slots=True)
class Manifest:
    """`manifest.yaml`, and the names of the settings in the groups of endpoints that it lists."""

    plugin: str
    permissions: Mapping[str, Mapping[str, object]]
    settings: frozenset[str]

    @property
    def storage_bytes(self) -> int | None:
        """The quota that the plugin asks for."""
        size = self.permissions.get("storage", {}).get("size")
        return size if isinstance(size, int) else None


def read_manifest(folder: Path) -> Manifest:
    """The manifest of the plugin in `folder`. Raises NoPlugin."""
    try:
        manifest = yaml.safe_load((folder / "manifest.yaml").read_text())
        groups = [yaml.safe_load((folder / name).read_text()) for name in manifest["plugins"].get("endpoints", [])]
        return Manifest(
            plugin=f"{manifest['author']}/{manifest['name']}",
            permissions=manifest.get("resource", {}).get("permission") or {},
            settings=frozenset(setting["name"] for group in groups for setting in group.get("settings") or []),
        )
    except OSError as error:
        raise NoPlugin(f"{folder} is no plugin: {error.strerror}: {error.filename}") from error
    except (yaml.YAMLError, KeyError, TypeError, AttributeError) as error:
        raise NoPlugin(f"{folder} is no plugin: its manifest cannot be read: {error}") from error
