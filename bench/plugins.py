"""The peers as plugin folders."""

from pathlib import Path

from devhost.host import REPOSITORY

MAIN = """from dify_plugin import DifyPluginEnv, Plugin
plugin = Plugin(DifyPluginEnv())
if __name__ == "__main__":
    plugin.run()
"""
MANIFEST = """version: 0.0.1
type: plugin
author: bench
name: bench
label: {en_US: bench}
description: {en_US: bench}
icon: icon.svg
created_at: 2026-01-01T00:00:00Z
resource: {memory: 268435456, permission: {endpoint: {enabled: true}, app: {enabled: true}}}
plugins: {endpoints: [group/group.yaml]}
meta: {version: 0.0.1, arch: [amd64], runner: {language: python, version: "3.12", entrypoint: main}}
"""
GROUP = "settings: []\nendpoints: [endpoints/peer.yaml]\n"
ENDPOINT = "path: /webhook\nmethod: POST\nextra: {python: {source: endpoints/peer.py}}\n"


def peer_folder(parent: Path, name: str) -> Path:
    """A plugin folder whose one endpoint is `bench/peers/<name>.py`; `ours` is the repository."""
    if name == "ours":
        return REPOSITORY
    folder = parent / name
    for part, text in {
        "main.py": MAIN,
        "manifest.yaml": MANIFEST,
        "group/group.yaml": GROUP,
        "endpoints/__init__.py": "",
        "endpoints/peer.yaml": ENDPOINT,
        "endpoints/peer.py": (REPOSITORY / "bench" / "peers" / f"{name}.py").read_text(),
        "shared.py": "producer = None\n",
        "_assets/icon.svg": "<svg/>",
    }.items():
        (folder / part).parent.mkdir(parents=True, exist_ok=True)
        (folder / part).write_text(text)
    return folder
