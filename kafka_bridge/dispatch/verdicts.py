"""How a run ended, from what Dify says of it. Pure.

Dify says it in four ways: the result of a run, the text of an exception of the plugin's session, the status and body of
an answer of its HTTP API, and nothing at all. All of it is decided here, by tables; what is in none of them counts as
`UNKNOWN` where the run may have begun, and as `FAILED` where Dify refused it in words that nobody knows.
"""

import re
from collections.abc import Mapping
from http import HTTPStatus
from types import MappingProxyType
from typing import Final

import orjson

from kafka_bridge.dispatch.ended import Ended, Ending
from kafka_bridge.documents import at, json_text

# A node's error may be a whole page; this much of it goes into logs, headers and dead letters.
MAX_ERROR_CHARS: Final = 500
_IN_ERROR: Final = re.compile(r"status code: (\d{3}) and respond with: (.*)", re.DOTALL)

# Of a run's `data.status`. A run that waits for a person (`paused`) goes on in Dify: a second one would ask twice. One
# that was stopped was stopped by a person, or at a limit of Dify's that a second one would meet as well. Neither has
# succeeded, so both are dead-lettered at once, with the id of their run.
_STATUS: Final = MappingProxyType(
    {
        "succeeded": (Ending.DONE, ""),
        "partial-succeeded": (Ending.DONE, ""),
        "failed": (Ending.FAILED, "the run failed"),
        "stopped": (Ending.REFUSED, "the run was stopped"),
        "paused": (Ending.REFUSED, "the run waits for a person (paused)"),
    }
)

# What a 400 says, by the beginning of its message in lower case, or by its code. The first that fits counts: the code
# of bad input, a failed chatflow and the limit of an app is the same.
_MESSAGES: Final = (
    ("run failed", Ending.FAILED),
    ("too many requests", Ending.UNAVAILABLE),
    ("unexpected app type", Ending.MISCONFIGURED),
    ("app not found", Ending.MISCONFIGURED),
    ("missing query", Ending.MISCONFIGURED),
    ("workflow not published", Ending.MISCONFIGURED),
    ("user not found", Ending.MISCONFIGURED),
    ("arg user must be provided", Ending.MISCONFIGURED),
    ("agent chat app does not support blocking mode", Ending.MISCONFIGURED),
    ("query is required", Ending.REFUSED),
    ("query must be a string", Ending.REFUSED),
    ("invalid input type for", Ending.REFUSED),
    ("expected value type", Ending.REFUSED),
)
_CODES: Final = MappingProxyType(
    {
        "not_workflow_app": Ending.MISCONFIGURED,
        "not_chat_app": Ending.MISCONFIGURED,
        "not_completion_app": Ending.MISCONFIGURED,
        "app_unavailable": Ending.MISCONFIGURED,
        "provider_not_initialize": Ending.MISCONFIGURED,
        "provider_quota_exceeded": Ending.MISCONFIGURED,
        "model_currently_not_support": Ending.MISCONFIGURED,
        "rate_limit_error": Ending.UNAVAILABLE,
        "too_many_requests": Ending.UNAVAILABLE,
    }
)
# Every check of an input says this: `payload is required in input form`, `event in input form must be a dict` …
_IN_FORM: Final = " in input form"
_OF_NO_NEWS: Final = frozenset({"invalid_param", "bad_request", ""})
# The answers of an app that is no workflow: it wants to be asked something.
_WANTS_QUERY: Final = ("missing query", "not_workflow_app")

_HTTP: Final = MappingProxyType(
    {
        HTTPStatus.UNAUTHORIZED: Ending.MISCONFIGURED,
        HTTPStatus.FORBIDDEN: Ending.MISCONFIGURED,
        HTTPStatus.NOT_FOUND: Ending.MISCONFIGURED,
        HTTPStatus.METHOD_NOT_ALLOWED: Ending.MISCONFIGURED,
        HTTPStatus.PROXY_AUTHENTICATION_REQUIRED: Ending.MISCONFIGURED,
        HTTPStatus.REQUEST_ENTITY_TOO_LARGE: Ending.REFUSED,
        HTTPStatus.UNSUPPORTED_MEDIA_TYPE: Ending.MISCONFIGURED,
        HTTPStatus.REQUEST_TIMEOUT: Ending.UNKNOWN,
        HTTPStatus.TOO_MANY_REQUESTS: Ending.UNAVAILABLE,
        HTTPStatus.BAD_GATEWAY: Ending.UNAVAILABLE,
        HTTPStatus.SERVICE_UNAVAILABLE: Ending.UNAVAILABLE,
    }
)

# What else an exception's text says, anywhere in it; the first that fits counts.
_TEXTS: Final = (
    # By the daemon's hand the request was let go, perhaps another one's fault, while the run may go on.
    ("context canceled", Ending.UNKNOWN),
    ("permission denied, you need to enable", Ending.MISCONFIGURED),
    ("fetch app failed: data is nil", Ending.MISCONFIGURED),
    ("unmarshal backwards invoke request failed", Ending.MISCONFIGURED),
    ("does not support backwards invoke", Ending.MISCONFIGURED),
    ("x509:", Ending.MISCONFIGURED),
    # The connection itself could not be made: nothing was sent.
    ("dial tcp", Ending.UNAVAILABLE),
    ("connection refused", Ending.UNAVAILABLE),
    ("no such host", Ending.UNAVAILABLE),
)


def of_result(answer: object) -> Ended:
    """What a blocking call gave: the result of a workflow, or the message of a chat or completion app."""
    if not isinstance(answer, dict):
        return Ended(Ending.UNKNOWN, error="Dify gave no result")
    if isinstance(answer.get("answer"), str) and "data" not in answer:
        return _of_message(answer)
    status, run_id = at(answer, ("data", "status")), answer.get("workflow_run_id") or at(answer, ("data", "id"))
    ending, words = _STATUS.get(str(status), (Ending.UNKNOWN, "Dify gave a result that is none"))
    outputs = at(answer, ("data", "outputs"))
    return Ended(
        ending,
        outputs=outputs if isinstance(outputs, Mapping) else {},
        run_id=str(run_id or ""),
        error="" if ending is Ending.DONE else bounded(_message(at(answer, ("data", "error"))) or words),
    )


def of_exception(text: str) -> Ended:
    """What a call through the plugin's session raised."""
    if found := _IN_ERROR.search(text):
        return of_refusal(int(found[1]), found[2].encode())
    lower = text.lower()
    ending = next((ending for words, ending in _TEXTS if words in lower), Ending.UNKNOWN)
    return Ended(ending, error=bounded(text) or "Dify gave no result")


def of_http(status: int, body: bytes) -> Ended:
    """What Dify's HTTP API answered to a run."""
    if status != HTTPStatus.OK:
        return of_refusal(status, body)
    try:
        return of_result(orjson.loads(body))
    except orjson.JSONDecodeError:
        return Ended(Ending.UNKNOWN, error="Dify's answer is not JSON")


def of_refusal(status: int, body: bytes) -> Ended:
    """What an answer that is no success means."""
    try:
        document = orjson.loads(body)
    except orjson.JSONDecodeError:
        document = None
    known = isinstance(document, dict)
    # What is no JSON comes from something in between, and is a page more often than a sentence.
    code, message = (_message(document.get(name)) for name in ("code", "message")) if known else ("", "")
    told = f"HTTP {status}" if not known else message if code in _OF_NO_NEWS else f"{code}: {message}"
    ending = _of_words(code, message) if status == HTTPStatus.BAD_REQUEST else _of_status(status)
    return Ended(ending, error=bounded(told) or f"HTTP {status}")


def wants_query(ended: Ended) -> bool:
    """Whether the app turned out to be none that runs a workflow: it answers a question."""
    return ended.ending is Ending.MISCONFIGURED and ended.error.startswith(_WANTS_QUERY)


def nothing_ran(ended: Ended) -> Ended:
    """The same, of a call that only asks what an app is like: no run can have begun or failed by it."""
    return ended if ended.ending is Ending.MISCONFIGURED else ended._replace(ending=Ending.UNAVAILABLE)


def bounded(text: str) -> str:
    """An error on one line, of a length that fits everywhere."""
    line = " ".join(text.split())
    return line if len(line) <= MAX_ERROR_CHARS else f"{line[: MAX_ERROR_CHARS - 1]}…"


def _of_message(answer: Mapping[str, object]) -> Ended:
    """An answer of a chat app: it has no run of its own, but an id by which it is found in the app's log."""
    names = ("answer", "conversation_id", "message_id")
    outputs = {name: answer[name] for name in names if answer.get(name) is not None}
    return Ended(Ending.DONE, outputs=outputs, run_id=str(answer.get("message_id") or ""))


def _of_words(code: str, message: str) -> Ending:
    lower = message.lower()
    for words, ending in _MESSAGES:
        if lower.startswith(words):
            return ending
    if code in _CODES:
        return _CODES[code]
    if _IN_FORM in lower:
        return Ending.REFUSED
    # Some versions of Dify have a code and no word for an app that is not published.
    return Ending.MISCONFIGURED if code == "invalid_param" and not message else Ending.FAILED


def _of_status(status: int) -> Ending:
    if status in _HTTP:
        return _HTTP[HTTPStatus(status)]
    # A redirect: the address is not the one of an API. Any other 4xx is about this request.
    if status < HTTPStatus.BAD_REQUEST:
        return Ending.MISCONFIGURED
    return Ending.FAILED if status < HTTPStatus.INTERNAL_SERVER_ERROR else Ending.UNKNOWN


def _message(value: object) -> str:
    return value if isinstance(value, str) else "" if value is None else json_text(value) or ""
