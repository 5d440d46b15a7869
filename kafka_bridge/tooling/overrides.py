"""Another cluster, or other credentials, for one call: the rules of what carries over from the saved ones. Pure.

Overriding only the servers keeps the credentials, and the reverse. Whoever names a protocol without SASL and no user
wants none: the saved credentials stay at home. Everything else (a user and a password make the protocol a SASL one, the
mechanism is PLAIN where nobody says) is the same as for saved settings, and stands in `settings.cluster`.
"""

from collections.abc import Mapping
from typing import Final

from kafka_bridge.settings.table import CREDENTIALS
from kafka_bridge.tooling.parameters import Parameters

_CREDENTIALS: Final = ("sasl_username", "sasl_password")
OVERRIDES: Final = ("bootstrap_servers", "security_protocol", "sasl_mechanism", *_CREDENTIALS)


def overridden(saved: Mapping[str, object], parameters: Parameters) -> Mapping[str, object]:
    """The saved credentials with what the call says instead; what is wrong with that is noted in `parameters`."""
    given = {name: text for name in OVERRIDES if (text := parameters.verbatim(name)).strip()}
    for name in _CREDENTIALS:
        other = _CREDENTIALS[1 - _CREDENTIALS.index(name)]
        if name in given and other not in given:
            parameters.problem(other, "missing: user name and password go together")
    for name in ("security_protocol", "sasl_mechanism"):
        if name in given and (options := CREDENTIALS[name].options) and given[name].strip() not in options:
            parameters.problem(name, f"must be one of {', '.join(options)}")
    plain = given.get("security_protocol", "").strip() in {"PLAINTEXT", "SSL"} and not given.keys() & {*_CREDENTIALS}
    kept = {name: value for name, value in saved.items() if not (plain and name in _CREDENTIALS)}
    return {**kept, **given}
