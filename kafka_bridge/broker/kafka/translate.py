"""What the client library says, in our words: its events, its exceptions, its log lines."""

from collections.abc import Callable
from typing import Any, Final

from confluent_kafka import KafkaError, KafkaException

from kafka_bridge.broker.causes import ALL_BROKERS_DOWN, connection_cause, record_error
from kafka_bridge.broker.config import Properties, refusal
from kafka_bridge.broker.ports import Trouble
from kafka_bridge.errors import Cause, SettingsInvalid, Unavailable

CLIENT_LIMIT: Final = "the client (message.max.bytes)"
BROKER_LIMIT: Final = "the topic or the broker (max.message.bytes)"

type OnTrouble = Callable[[Trouble], None]


class LogLines:
    """Takes the library's log lines, which otherwise go to stderr, and hears what no error event says.

    A listener that expects TLS or SASL just closes the connection; only a log line tells.
    Called by the library inside `poll`, so it must not touch the log.
    """

    def __init__(self, on_trouble: Callable[[Trouble], None]) -> None:
        self._on_trouble = on_trouble

    def log(self, _level: int, template: str, *values: object) -> None:
        """One line, in the form of `logging.Logger.log`."""
        line = template % values if values else template
        if "closed by peer" in line:
            hint = f"the broker closed the connection: does its listener expect TLS or SASL? {line}"
            self._on_trouble(Trouble(Cause.CONNECTION_REFUSED, hint))


def listening(properties: Properties, on_trouble: OnTrouble) -> dict[str, Any]:
    """The properties, with callbacks for everything the library says about its connections. They run inside `poll`."""

    def on_error(error: KafkaError) -> None:
        on_trouble(Trouble(connection_cause(error.code(), error.str()), error.str(), error.code() == ALL_BROKERS_DOWN))

    return {**properties, "error_cb": on_error, "logger": LogLines(on_trouble)}


def parts(error: KafkaException) -> tuple[int, str, bool]:
    """Code, text, and whether the client is dead."""
    inner = error.args[0]
    return inner.code(), inner.str(), inner.fatal()


class Translated:
    """Turns the library's exceptions into ours; `explain` may know more than the exception does."""

    def __init__(self, explain: Callable[[], Trouble | None] = lambda: None) -> None:
        self._explain = explain

    def __enter__(self) -> None:
        return None

    def __exit__(self, _kind: object, error: BaseException | None, _trace: object) -> None:
        if isinstance(error, KafkaException):
            code, text, _ = parts(error)
            if code in {KafkaError._TRANSPORT, KafkaError._TIMED_OUT} and (trouble := self._explain()):
                raise Unavailable(trouble.cause or Cause.CONNECTION_REFUSED, trouble.text) from error
            raise record_error(code, text, limit_of=BROKER_LIMIT) from error
        if isinstance(error, TimeoutError):
            raise Unavailable(Cause.NOT_ACKNOWLEDGED, "no answer in time") from error


def refused_properties(error: KafkaException) -> SettingsInvalid:
    """The exception of a constructor, as the setting that it means."""
    _, text, _ = parts(error)
    return SettingsInvalid([str(refusal(text))])
