"""`POST /consume`: one bounded window of the endpoint's consumer. `POST /dispatch`: records that the caller brings."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from functools import partial
from http import HTTPStatus
from types import MappingProxyType
from typing import Final, NamedTuple

import orjson

from kafka_bridge.clock import Clock
from kafka_bridge.dify.call import Call
from kafka_bridge.dify.consumers import Consumers
from kafka_bridge.dify.runs import Runs
from kafka_bridge.dify.visits import HEADER, Visits
from kafka_bridge.dispatch.ended import Ended, Ending
from kafka_bridge.dispatch.payload import read
from kafka_bridge.dispatch.pushed import records_of
from kafka_bridge.dispatch.task import Task
from kafka_bridge.dispatch.window import Report, Window
from kafka_bridge.documents import json_text
from kafka_bridge.errors import Malformed, TooLarge, Unverified
from kafka_bridge.http import PROBLEM_JSON, Outbound, json_reply
from kafka_bridge.ingress.content import Content

MAX_RECORDS: Final = 100_000
DEFAULT_RECORDS: Final = 1000
# The platform ends a request after 600 s, and what was started may take its time after the window.
MAX_SECONDS: Final = 300.0
DEFAULT_SECONDS: Final = 20.0
# Who brings records waits for a free slot as long as one run may take.
START_S: Final = 240.0
# Of whether the plugin itself still waits it need not be asked every other second, where nothing runs.
VISIT_REST_S: Final = 30.0
# A longer answer would not be given (`http.MAX_ANSWER_BYTES`), and whoever does not get one brings the records again.
MAX_TOLD_BYTES: Final = 900_000
# What is said of a record besides its id, outputs and error.
TOLD_BYTES: Final = 120


class Asked(NamedTuple):
    """How large a window is to be. `wait`: also when there is nothing to consume."""

    max_records: int
    max_seconds: float
    wait: bool


class Consume:
    """The handlers."""

    def __init__(self, consumers: Consumers, runs: Runs, visits: Visits, clock: Clock) -> None:
        self._consumers = consumers
        self._runs = runs
        self._visits = visits
        self._clock = clock

    def consume(self, call: Call) -> Outbound:
        """Pull: run what the group has not done yet, and say what became of it."""
        visit = self._visits.admit(call.endpoint, call.inbound.header(HEADER))
        if visit is None:
            call.authorize()
        asked = asked_of(call.inbound.body)
        plan = call.hook.consumption(topics=True)
        dispatcher = self._consumers.lease(call.endpoint, plan, call.hook.settings.consume, call.hook.target())
        until = self._clock.monotonic() + asked.max_seconds

        def run(task: Task) -> Ended:
            ended = self._runs.run(call, caller, plan, read(task.consumed), until=until)
            if ended.ending is Ending.NOT_STARTED:
                # Its time is over. Another record would fare no better, and whoever asks again and again without
                # ever waiting lets nobody else do anything, the end of the window included.
                close()
            return ended

        window = Window(run, left=asked.max_records, patient=asked.wait)
        close = partial(dispatcher.close, window)
        if visit is not None:
            window.on_over = visit.end
            visit.opened(close)
        with self._runs.attended(call, on_gone=close, rest_s=VISIT_REST_S if visit else 0.0) as caller:
            return json_reply(told(dispatcher.serve(window, max_s=asked.max_seconds)))

    def dispatch(self, call: Call) -> Outbound:
        """Push: run the records in the body, and answer when all runs have ended. The caller keeps its offsets."""
        self._admit(call)
        plan = call.hook.consumption(topics=False)
        records, many = records_of(call.inbound)
        ids = [read(consumed).event_id for consumed in records]
        _check_answer(ids)
        results = self._runs.run_all(call, plan, records, until=self._clock.monotonic() + START_S)
        return answer(ids, results, many=many)

    def _admit(self, call: Call) -> None:
        """Whoever has the token, or signs the body with the webhook secret. Raises what `authorize` does."""
        verifier = call.hook.signed
        if verifier is not None and not call.authorized:
            try:
                verifier.verify(Content(call.inbound), now=self._clock.now())
            except Unverified:
                pass
            else:
                return
        call.authorize()


def asked_of(body: bytes) -> Asked:
    """The window that a body asks for; an empty one the usual. Raises Malformed."""
    try:
        document = orjson.loads(body) if body.strip() else {}
    except orjson.JSONDecodeError as error:
        raise Malformed("The body must be a JSON object, or empty.") from error
    if not isinstance(document, dict):
        raise Malformed("The body must be a JSON object, or empty.")
    if document.keys() - {"max_records", "max_seconds", "wait"}:
        raise Malformed("The body may have max_records, max_seconds and wait.")
    records, seconds = document.get("max_records", DEFAULT_RECORDS), document.get("max_seconds", DEFAULT_SECONDS)
    wait = document.get("wait", False)
    if not isinstance(records, int) or isinstance(records, bool) or not 1 <= records <= MAX_RECORDS:
        raise Malformed(f"max_records must be a whole number from 1 to {MAX_RECORDS}.")
    if not isinstance(seconds, int | float) or isinstance(seconds, bool) or not 0 < seconds <= MAX_SECONDS:
        raise Malformed(f"max_seconds must be a number above 0, and at most {MAX_SECONDS:.0f}.")
    if not isinstance(wait, bool):
        raise Malformed("wait must be true or false.")
    return Asked(records, float(seconds), wait)


def told(report: Report) -> Mapping[str, object]:
    """What the caller of `/consume` is told."""
    document: dict[str, object] = {**asdict(report.counts), "lag": report.lag, "ended_by": report.ended_by.value}
    if report.reason:
        document["reason"] = report.reason
    if report.blocked:
        document["blocked"] = {f"{at.topic}[{at.partition}]": reason for at, reason in report.blocked.items()}
    return document


# The status of the whole is that of the worst: what a person must mend, what heals by itself, what failed.
_STATUS: Final[Mapping[Ending, HTTPStatus]] = MappingProxyType(
    {
        Ending.MISCONFIGURED: HTTPStatus.INTERNAL_SERVER_ERROR,
        Ending.UNAVAILABLE: HTTPStatus.SERVICE_UNAVAILABLE,
        Ending.UNKNOWN: HTTPStatus.BAD_GATEWAY,
        Ending.FAILED: HTTPStatus.BAD_GATEWAY,
        Ending.NOT_STARTED: HTTPStatus.SERVICE_UNAVAILABLE,
        Ending.REFUSED: HTTPStatus.UNPROCESSABLE_ENTITY,
        Ending.DONE: HTTPStatus.OK,
    }
)
_TITLES: Final[Mapping[Ending, tuple[str, str]]] = MappingProxyType(
    {
        Ending.MISCONFIGURED: ("settings-invalid", "The app cannot be run"),
        Ending.UNAVAILABLE: ("dify-unavailable", "Dify cannot run the app now"),
        Ending.UNKNOWN: ("run-failed", "It is not known how the run ended"),
        Ending.FAILED: ("run-failed", "The run failed"),
        Ending.NOT_STARTED: ("not-run", "A record was not run"),
        Ending.REFUSED: ("input-refused", "The app refuses the record's input"),
    }
)


def answer(ids: Sequence[str], results: Sequence[Ended], *, many: bool) -> Outbound:
    """The answer to `/dispatch`: 200 if and only if every run succeeded."""
    each: list[dict[str, object]] = [{"id": event_id} for event_id in ids]
    tell(each, results)
    body: Mapping[str, object] = {"count": len(each), "records": each} if many else each[0] if each else {"count": 0}
    return with_status(body, results)


def with_status(body: Mapping[str, object], results: Sequence[Ended]) -> Outbound:
    """What is told of runs, as an answer if all succeeded, else as a problem document of the worst."""
    endings = {ended.ending for ended in results}
    worst = next((ending for ending in _STATUS if ending in endings), Ending.DONE)
    if worst is Ending.DONE:
        return json_reply(body)
    status = _STATUS[worst]
    slug, title = _TITLES[worst]
    problem = {
        "type": f"urn:kafka-bridge:{slug}",
        "title": title,
        "status": status.value,
        "detail": _json(next(ended.error or title for ended in results if ended.ending is worst)),
        **body,
    }
    headers = (("Retry-After", "5"),) if status is HTTPStatus.SERVICE_UNAVAILABLE else ()
    return Outbound(status, orjson.dumps(problem), PROBLEM_JSON, headers)


def tell(documents: Sequence[dict[str, object]], results: Sequence[Ended]) -> None:
    """Put into what is said of each record how its run ended.

    Outputs and errors that would make the answer too long are left out: the runs have been, whatever can be told.
    """
    for document, ended in zip(documents, results, strict=True):
        document["run"] = ended.ending.value
        if ended.run_id:
            document["run_id"] = _json(ended.run_id)
    left = MAX_TOLD_BYTES - len(orjson.dumps(documents))
    for document, ended in zip(documents, results, strict=True):
        left_out = []
        for name, value in (("outputs", ended.outputs), ("error", ended.error or None)):
            if value is None:
                continue
            told = _json(value)
            size = len(orjson.dumps({name: told}))
            if size > left:
                left_out.append(name)
            else:
                document[name] = told
                left -= size
        if left_out:
            document["left_out"] = left_out


def _json(value: object) -> orjson.Fragment:
    # What a run gave may be deeper, or hold a larger number or half a character, than is written otherwise.
    return orjson.Fragment((json_text(value) or "null").encode("utf-8", "replace"))


def _check_answer(ids: Sequence[str]) -> None:
    if len(orjson.dumps(ids)) + len(ids) * TOLD_BYTES > MAX_TOLD_BYTES:
        raise TooLarge("The answer to so many records would be too long: bring fewer at once.")
