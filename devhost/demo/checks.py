"""What the demo claims, counted."""

from dataclasses import dataclass, field

from rich.console import Console


@dataclass
class Checks:
    """Counts what was claimed, and says it."""

    console: Console
    passed: int = 0
    failed: list[str] = field(default_factory=list)

    def that(self, claim: str, *, holds: bool) -> None:
        """Check one claim."""
        if holds:
            self.passed += 1
        else:
            self.failed.append(claim)
        self.console.print(f"  {'[green]✓[/]' if holds else '[red]✗[/]'} {claim}")
