"""`demo`: real senders, real signatures, every record read back."""

import sys

import click

from devhost.cli.terminal import console, port_taken
from devhost.demo.run import run_demo
from devhost.process import NotRunning


@click.command()
@click.option("--once", is_flag=True, help="End by itself; exit status 0 only if everything was checked and passed.")
@click.option("--port", default=5002, show_default=True, help="Where the host listens; 0 takes any free port.")
@click.option("--bootstrap", default="", metavar="HOST:PORT", help="A Kafka of yours instead of the embedded broker.")
def demo(once: bool, port: int, bootstrap: str) -> None:
    """Real senders, real signatures, every record read back from Kafka."""
    try:
        sys.exit(run_demo(console, once=once, port=port, bootstrap=bootstrap))
    except NotRunning as error:
        raise click.ClickException(str(error)) from error
    except OSError as error:
        raise port_taken(port, error) from error
