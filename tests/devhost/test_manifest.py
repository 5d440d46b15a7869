"""What the host reads in a plugin's own files."""

from pathlib import Path

import pytest

from devhost.host import REPOSITORY
from devhost.manifest import NoPlugin, read_manifest


def test_the_repositorys_plugin_has_a_name_rights_and_settings():
    manifest = read_manifest(REPOSITORY)

    assert manifest.plugin == "kafka-bridge/kafka_bridge"
    assert manifest.permissions["app"]["enabled"] is True
    assert manifest.storage_bytes == 104857600
    assert {"bootstrap_servers", "topic"} <= manifest.settings


@pytest.mark.parametrize(
    ("files", "said"),
    [
        ({}, "No such file or directory"),
        ({"manifest.yaml": "a: [b"}, "its manifest cannot be read"),
        ({"manifest.yaml": "just text"}, "its manifest cannot be read"),
        ({"manifest.yaml": "author: a"}, "its manifest cannot be read: 'plugins'"),
        ({"manifest.yaml": "{author: a, name: b, plugins: {endpoints: [group.yaml]}}"}, "group.yaml"),
    ],
    ids=["no manifest", "no YAML", "no map", "half a manifest", "no group"],
)
def test_a_folder_without_a_plugin_says_what_is_missing(tmp_path: Path, files: dict[str, str], said: str):
    for name, text in files.items():
        (tmp_path / name).write_text(text)

    with pytest.raises(NoPlugin) as raised:
        read_manifest(tmp_path)

    assert str(raised.value).startswith(f"{tmp_path} is no plugin: ")
    assert said in str(raised.value)


def test_a_plugin_may_ask_for_nothing(tmp_path: Path):
    (tmp_path / "manifest.yaml").write_text("{author: a, name: b, plugins: {models: [x.yaml]}}")

    manifest = read_manifest(tmp_path)

    assert (manifest.permissions, manifest.storage_bytes, manifest.settings) == ({}, None, frozenset())
