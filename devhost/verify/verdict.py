"""What the plugin says of a captured request: its own receive path, with nothing behind it."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from devhost.verify.captured import Captured, Setup
from kafka_bridge.clock import Clock
from kafka_bridge.errors import BridgeError, Unverified
from kafka_bridge.events.outcome import Outcome, Verdict
from kafka_bridge.events.record import Delivery, Record
from kafka_bridge.http import Outbound
from kafka_bridge.ingress.dedupe import Dedupe
from kafka_bridge.ingress.outside import Alone, Fetch, FetchFailed, Outside
from kafka_bridge.ingress.publish import Publisher
from kafka_bridge.ingress.receive import ask, receive
from kafka_bridge.ingress.source import compile_sources
from kafka_bridge.settings import endpoint

_LIMIT_BYTES: Final = 9_000_000


@dataclass(frozen=True, kw_only=True)
class Checked:
    """What the plugin said. `reason` is empty when the request verified, or a handshake was answered."""

    verified: bool
    reason: str = ""
    settings: bool = False
    """The settings were refused, so nothing was checked."""
    reply: Outbound | None = None
    outcome: Outcome | None = None

    opened: bytes = b""
    """What was verified: the body, or what was encrypted in it."""


def _kept(records: Sequence[Record]) -> Sequence[Delivery]:
    return [Delivery(record.topic, 0, offset, 0) for offset, record in enumerate(records)]


def certificates_only(fetch: Fetch) -> Fetch:
    """A fetch that confirms no subscription: whoever looks at a captured request wants nothing to happen."""

    def careful(url: str) -> bytes:
        if not url.endswith(".pem"):
            raise FetchFailed("a captured request confirms nothing")
        return fetch(url)

    return careful


def check(captured: Captured, setup: Setup, *, now: float, fetch: Fetch) -> Checked:
    """The plugin's verdict. Raises nothing."""
    settings = endpoint.parse(setup.saved(captured.url.partition("?")[0]))
    sources, problems = compile_sources(settings, outside=Outside(fetch))
    source = sources.get("default")
    if source is None:
        told = [str(problem) for problem in (*settings.problems, *problems)]
        return Checked(verified=False, settings=True, reason=" ".join(dict.fromkeys(told)))
    # Whole, as it came: the setting is trimmed, and the path of the request is in it.
    source = replace(source, public_url=captured.url.partition("?")[0])
    clock = Clock(now=lambda: now, monotonic=lambda: 0.0)
    if captured.method != "POST":
        try:
            reply = ask(captured.inbound(), source, clock=clock)
        except Unverified as error:
            return Checked(verified=False, reason=error.reason)
        reason = "" if reply else f"a {captured.method} is no event, and no handshake of this scheme"
        return Checked(verified=reply is not None, reason=reason, reply=reply)
    publisher = Publisher(send=_kept, dedupe=Dedupe(waiter=Alone), endpoint="", monotonic=clock.monotonic, deadline=0.0)
    outcome = receive(captured.inbound(), source, publisher=publisher, clock=clock, limit_bytes=_LIMIT_BYTES)
    verified = outcome.verdict is Verdict.VERIFIED or (outcome.reply is not None and outcome.error is None)
    if outcome.verdict is Verdict.UNCHECKED:
        return Checked(verified=False, reason=f"the scheme {setup.scheme} verifies nothing", outcome=outcome)
    reason = "" if verified else outcome.reason or _said(outcome.error)
    opened = captured.body
    if outcome.verdict is Verdict.VERIFIED and source.verifier is not None:
        opened = source.verifier.verify(captured.content(), now=now).inbound.body
    return Checked(verified=verified, reason=reason, reply=outcome.reply, outcome=outcome, opened=opened)


def _said(error: BridgeError | None) -> str:
    return f"{str(error).rstrip('.')} ({error.hint})" if error and error.hint else str(error)
