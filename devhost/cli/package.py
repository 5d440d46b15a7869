"""`package`: the .difypkg that Dify installs."""

from pathlib import Path

import click

from devhost.cli.terminal import console
from devhost.package import build_package


@click.command()
@click.option("--output", default="dist", show_default=True, type=click.Path(path_type=Path), help="The folder for it.")
def package(output: Path) -> None:
    """Build the .difypkg that Dify installs."""
    console.print(str(build_package(output)))
