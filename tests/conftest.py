"""Profiles of the property tests: small by default, `make soak` in full; and the figures that tests measure."""

import os
from collections.abc import Callable

import pytest
from hypothesis import HealthCheck, settings

# A slow machine is no defect: neither a deadline per example nor a verdict on how fast inputs are drawn.
settings.register_profile("dev", max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("soak", settings.get_profile("dev"), max_examples=2000)
settings.load_profile("soak" if os.environ.get("SOAK") else "dev")


@pytest.fixture
def figures(record_property: Callable[[str, object], None]) -> Callable[[str], None]:
    """Notes what a test has measured; it is shown at the end, whatever process the test ran in."""
    return lambda text: record_property("figures", text)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    reports = [report for kind in ("passed", "failed") for report in terminalreporter.stats.get(kind, [])]
    told = [text for report in reports for name, text in getattr(report, "user_properties", ()) if name == "figures"]
    if told:
        terminalreporter.section("figures")
    for text in dict.fromkeys(told):
        terminalreporter.write_line(str(text))
