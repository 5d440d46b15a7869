"""Whether an endpoint can do its work, and what stands in the way. Pure: who looks is `dify.health`."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from kafka_bridge.errors import BridgeError, SettingsInvalid, first_of
from kafka_bridge.settings.reader import Problem

OK: Final = "ok"
UNUSED: Final = "unused"
SETTINGS_INVALID: Final = "settings invalid"


class Status(StrEnum):
    """In one word."""

    HEALTHY = "healthy"
    DEGRADED = "degraded"
    """Some senders work, others that are configured do not; or events cannot be recorded, or consumed."""
    UNHEALTHY = "unhealthy"


@dataclass(frozen=True, slots=True, kw_only=True)
class Readiness:
    """`error`: why Kafka cannot be written to. `storage`: why events cannot be recorded, or that they can, or need not.

    `problems` are the settings' own; `refused` are sentences about what the client library does not take, `warnings`
    about what works, and may surprise. `sources` has each working source's scheme. `consumer` is a word for probes.
    """

    status: Status
    storage: str
    problems: Sequence[Problem]
    warnings: Sequence[str]
    sources: Mapping[str, str]
    error: BridgeError | None = None
    refused: Sequence[str] = ()
    consumer: str = UNUSED

    @property
    def healthy(self) -> bool:
        """Whether webhooks can be taken and written."""
        return self.status is not Status.UNHEALTHY

    @property
    def kafka(self) -> str:
        """Kafka in a few words."""
        if self.error is None:
            return OK
        return SETTINGS_INVALID if isinstance(self.error, SettingsInvalid) else str(self.error)

    def document(self, *, detail: bool) -> dict[str, object]:
        """What a probe is told; `detail` is for whoever has the token."""
        document: dict[str, object] = {
            "status": self.status,
            "kafka": self.kafka,
            "storage": self.storage,
            "consumer": self.consumer,
        }
        if detail:
            document["detail"] = self._detail()
        return document

    def _detail(self) -> dict[str, object]:
        detail: dict[str, object] = {
            "problems": first_of((*self.refused, *map(str, self.problems))),
            "warnings": list(self.warnings),
            "sources": dict(self.sources),
        }
        if self.error is not None and self.error.hint:
            detail["kafka"] = self.error.hint
        return detail
