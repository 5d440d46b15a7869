"""What the host takes from a plugin's own files: its name, its rights, and the settings that it declares."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml


class NoPlugin(Exception):
    """The folder holds no plugin; `str()` says why."""


@dataclass(frozen=True, slots=True)
class Tool:
    """Who provides a tool, and the names of its parameters with their types."""

    provider: str
    parameters: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Manifest:
    """`manifest.yaml`, the settings of the groups of endpoints that it lists, its providers' credentials and tools."""

    plugin: str
    permissions: Mapping[str, Mapping[str, object]]
    settings: frozenset[str]
    credentials: frozenset[str] = frozenset()
    tools: Mapping[str, Tool] = field(default_factory=dict)

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
        providers = [yaml.safe_load((folder / name).read_text()) for name in manifest["plugins"].get("tools", [])]
        return Manifest(
            plugin=f"{manifest['author']}/{manifest['name']}",
            permissions=manifest.get("resource", {}).get("permission") or {},
            settings=frozenset(setting["name"] for group in groups for setting in group.get("settings") or []),
            credentials=frozenset(name for one in providers for name in one.get("credentials_for_provider") or {}),
            tools=dict(_tool(folder, one, name) for one in providers for name in one.get("tools") or []),
        )
    except OSError as error:
        raise NoPlugin(f"{folder} is no plugin: {error.strerror}: {error.filename}") from error
    except (yaml.YAMLError, KeyError, TypeError, AttributeError) as error:
        raise NoPlugin(f"{folder} is no plugin: its manifest cannot be read: {error}") from error


def _tool(folder: Path, provider: Mapping[str, Any], name: str) -> tuple[str, Tool]:
    tool = yaml.safe_load((folder / name).read_text())
    parameters = {parameter["name"]: parameter["type"] for parameter in tool.get("parameters") or []}
    return tool["identity"]["name"], Tool(provider["identity"]["name"], parameters)
