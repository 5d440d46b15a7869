"""What all commands print to, and say alike."""

import click
from rich.console import Console

console = Console(highlight=False, soft_wrap=True)


def port_taken(port: int, error: OSError) -> click.ClickException:
    """Says that a port is taken, and what to do."""
    return click.ClickException(f"port {port}: {error.strerror}; choose another one with --port")
