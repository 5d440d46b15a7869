"""One configured endpoint ("hook" in the platform's words), compiled once per distinct settings."""

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import orjson

from kafka_bridge.broker import config
from kafka_bridge.dispatch.plan import Plan, compile_plan
from kafka_bridge.errors import NotFound, SettingsInvalid
from kafka_bridge.events.log.masking import NOTHING, Keeping
from kafka_bridge.ingress.keys import BadSecret
from kafka_bridge.ingress.outside import NOWHERE, Outside
from kafka_bridge.ingress.scheme import Verifier
from kafka_bridge.ingress.schemes import SCHEMES
from kafka_bridge.ingress.source import Source, compile_sources
from kafka_bridge.settings import endpoint
from kafka_bridge.settings.cluster import Cluster
from kafka_bridge.settings.endpoint import EndpointSettings
from kafka_bridge.settings.reader import Problem
from kafka_bridge.settings.sources import DEFAULT_SOURCE
from kafka_bridge.settings.table import Part

# One process serves every endpoint of every workspace of the installation.
MAX_HOOKS: Final = 512
# Of their settings, as they were saved: once as the key, once for what is compiled from them, and once for every
# source, as what a hook keeps in memory grows with both.
MAX_BYTES: Final = 32 * 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Hook:
    """Settings and what was compiled from them. `limit_bytes` is the client's limit for one record.

    `plan` says how records are run. `signed` verifies a body that is signed as the scheme `hmac` does, for whoever
    brings records; None where that is not the default source's scheme. `keeping` is what the event log may hold.
    """

    settings: EndpointSettings
    sources: Mapping[str, Source]
    problems: Sequence[Problem]
    cluster: Cluster | None
    limit_bytes: int
    plan: Plan | None = None
    signed: Verifier | None = None
    keeping: Keeping = NOTHING

    def source(self, name: str) -> Source:
        """The sender of that name. Raises NotFound, or SettingsInvalid when it cannot work as it is configured."""
        source = self.sources.get(name)
        if source is not None:
            return source
        if _broken(self.problems, Part.WEBHOOK) or any(problem.source == name for problem in self.problems):
            raise SettingsInvalid(
                [str(p) for p in self.problems if p.part is Part.WEBHOOK and p.source in {None, name}]
            )
        if name == DEFAULT_SOURCE:
            raise NotFound("There is no default source: it has no secret. The others are at /webhook/<source>.")
        raise NotFound("There is no such source.")

    def knows(self, name: str) -> bool:
        """Whether the settings speak of a sender of that name."""
        named = name in self.settings.sources or any(problem.source == name for problem in self.problems)
        return named or name == DEFAULT_SOURCE

    @property
    def degraded(self) -> bool:
        """Whether a sender that the operator has set up cannot work."""
        return any(problem.part is Part.WEBHOOK for problem in self.problems)

    def consumption(self, *, topics: bool, app: bool = True) -> Plan:
        """How records are run; `topics`: they come from Kafka; not `app`: none is run now. Raises SettingsInvalid."""
        problems = [str(problem) for problem in self.problems if problem.part is Part.CONSUME]
        if app and not self.settings.consume.app_id:
            problems.append(str(Problem("app", "missing")))
        if topics and not self.settings.consume.topics:
            problems.append(str(Problem("consume_topics", "missing")))
        if self.plan is None or problems:
            raise SettingsInvalid(problems)
        return self.plan

    def target(self) -> Cluster:
        """The cluster to write to. Raises SettingsInvalid."""
        if self.cluster is None:
            raise SettingsInvalid([str(problem) for problem in self.problems if problem.part is Part.KAFKA])
        return self.cluster


def compile_hook(saved: Mapping[str, object], *, outside: Outside = NOWHERE) -> Hook:
    """Everything that a request needs to know of its endpoint. Never raises: what is wrong is in `problems`."""
    settings = endpoint.parse(saved)
    sources, in_sources = compile_sources(settings, outside=outside)
    plan, in_plan = compile_plan(settings.consume, name="")
    in_cluster = config.problems(settings.cluster) if settings.cluster else ()
    problems = (*settings.problems, *(p for p in in_sources if not _unused(p, settings)), *in_cluster, *in_plan)
    return Hook(
        settings=settings,
        # A setting that all sources share (an unreadable `sources`, `topic_allow` …) fails closed for all of them.
        sources={} if _broken(problems, Part.WEBHOOK) else sources,
        problems=problems,
        cluster=None if _broken(problems, Part.KAFKA) else settings.cluster,
        limit_bytes=config.message_limit(settings.cluster) if settings.cluster else config.MESSAGE_MAX_BYTES,
        plan=plan,
        signed=_signed(settings),
        keeping=_keeping(settings),
    )


def _keeping(settings: EndpointSettings) -> Keeping:
    """Whoever shows a secret of this endpoint in a request, by mistake or not, does not get it stored."""
    cluster = settings.cluster
    known = (settings.api_token, *((cluster.password, cluster.key_pem, cluster.key_password) if cluster else ()))
    secrets = {"": [secret.reveal() for secret in known if secret]}
    for name, source in settings.sources.items():
        secrets[name] = [secret.reveal() for secret in (*source.secret.rotation, *source.secret.named.values())]
    return Keeping.compiled(settings.keep_events, settings.mask_paths, secrets)


def _signed(settings: EndpointSettings) -> Verifier | None:
    default = settings.sources.get(DEFAULT_SOURCE)
    proof = SCHEMES["hmac"].proof
    # Under another scheme the secret may be what everybody knows: a sender's public key.
    if default is None or default.scheme != "hmac" or not default.secret or proof is None:
        return None
    try:
        return proof.verifier(default.secret)
    except BadSecret:
        return None


def _unused(problem: Problem, settings: EndpointSettings) -> bool:
    """Whether it is about the default sender of an endpoint whose operator has set up others alone."""
    default = settings.sources.get(DEFAULT_SOURCE)
    return problem.source == DEFAULT_SOURCE and default is not None and default.untouched and len(settings.sources) > 1


def _broken(problems: Sequence[Problem], part: Part) -> bool:
    return any(problem.part is part and problem.source is None for problem in problems)


class Hooks:
    """Compiled hooks by the content of their settings; the least recently used ones are forgotten."""

    def __init__(
        self, capacity: int = MAX_HOOKS, capacity_bytes: int = MAX_BYTES, *, outside: Outside = NOWHERE
    ) -> None:
        self._outside = outside
        self._capacity = capacity
        self._capacity_bytes = capacity_bytes
        self._bytes = 0
        self._compiled: OrderedDict[bytes, tuple[Hook, int]] = OrderedDict()

    def get(self, saved: Mapping[str, object]) -> Hook:
        """The hook for what the platform saved."""
        key = orjson.dumps(saved)
        if (found := self._compiled.get(key)) is not None:
            self._compiled.move_to_end(key)
            return found[0]
        hook = compile_hook(saved, outside=self._outside)
        self._keep(key, hook, len(key) * (2 + len(hook.sources)))
        return hook

    def _keep(self, key: bytes, hook: Hook, size_bytes: int) -> None:
        self._compiled[key] = hook, size_bytes
        self._bytes += size_bytes
        # The newest stays, whatever its size: its sender comes again, and those that went are compiled in no time.
        while len(self._compiled) > 1 and (len(self._compiled) > self._capacity or self._bytes > self._capacity_bytes):
            _, (_, gone_bytes) = self._compiled.popitem(last=False)
            self._bytes -= gone_bytes
