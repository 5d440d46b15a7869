"""`python -m devhost`: serve, demo, send, tool, verify, package, screenshots."""

import click

from devhost.cli.demo import demo
from devhost.cli.package import package
from devhost.cli.screenshots import screenshots
from devhost.cli.send import send
from devhost.cli.serve import serve
from devhost.cli.tool import tool
from devhost.cli.verify import verify


@click.group(commands=[serve, demo, send, tool, verify, package, screenshots])
def devhost() -> None:
    """Run the plugin on this machine as Dify would run it."""


if __name__ == "__main__":
    devhost(prog_name="python -m devhost")
