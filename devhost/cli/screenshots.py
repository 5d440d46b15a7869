"""`screenshots`: the pictures of docs/dashboard.md, made anew from the running demo."""

from pathlib import Path

import click

from devhost.cli.terminal import console
from devhost.host import REPOSITORY
from devhost.process import NotRunning


@click.command()
@click.option(
    "--folder",
    type=click.Path(file_okay=False, path_type=Path),
    default=REPOSITORY / "docs" / "images",
    help="Where to write them; docs/images if not said.",
)
def screenshots(folder: Path) -> None:
    """Run the demo and take pictures of its dashboard with a headless Chromium."""
    # Playwright is there only where tests are.
    from devhost.demo.screenshots import take_screenshots  # noqa: PLC0415

    try:
        taken = take_screenshots(folder)
    except (LookupError, NotRunning) as error:
        raise click.ClickException(str(error)) from error
    for path in taken:
        console.print(f"{path}  {path.stat().st_size // 1000} kB", markup=False)
