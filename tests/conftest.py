"""Profiles of the property tests: small by default, `make soak` in full."""

import os

from hypothesis import HealthCheck, settings

# A slow machine is no defect: neither a deadline per example nor a verdict on how fast inputs are drawn.
settings.register_profile("dev", max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("soak", settings.get_profile("dev"), max_examples=2000)
settings.load_profile("soak" if os.environ.get("SOAK") else "dev")
