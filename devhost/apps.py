"""Local functions in the place of Dify apps: `--app PATH.py:function`.

Two attributes of a function say what kind of app it stands for: `user_input_form`, the form as Dify has it, and `mode`:
`workflow`, or `advanced-chat` for a chatflow, which is asked a `query`.
"""

import asyncio
import inspect
import time
import uuid
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final

import orjson

from devhost.forms import BadInput, BadNumber, passed_on
from kafka_bridge.flows import CannotLoad, load_function

type App = Callable[[dict[str, object]], Mapping[str, object] | Awaitable[Mapping[str, object]]]

_CHAT: Final = frozenset({"chat", "advanced-chat", "agent-chat"})
# What Dify says of an app besides its form.
_PARAMETERS: Final[Mapping[str, object]] = {
    "annotation_reply": {"enabled": False},
    "file_upload": {"enabled": False},
    "more_like_this": {"enabled": False},
    "opening_statement": None,
    "retriever_resource": {"enabled": True},
    "sensitive_word_avoidance": {"enabled": False},
    "speech_to_text": {"enabled": False},
    "suggested_questions": [],
    "suggested_questions_after_answer": {"enabled": False},
    "system_parameters": {},
    "text_to_speech": {"enabled": False, "language": "", "voice": ""},
}


class AppError(Exception):
    """`str()` is the text that the plugin gets. An app may raise it too, to stand for a Dify that is down."""


def load_app(reference: str) -> tuple[str, App]:
    """The function that `PATH.py:function` names, and its name. Raises AppError."""
    try:
        return load_function(reference)
    except CannotLoad as error:
        raise AppError(str(error)) from error


class Apps:
    """Apps by id. An only app answers to every id, so that settings need not know its name."""

    def __init__(self, apps: Mapping[str, App]) -> None:
        self._apps = dict(apps)

    def fetch(self, app_id: str) -> dict[str, object]:
        """What `fetch_app` answers. The form is the function's attribute `user_input_form`, if it has one.

        Without a form nothing is known about the inputs: all are passed. Raises AppError.
        """
        app = self._find(app_id, "fetch app failed: data is nil")
        form = getattr(app, "user_input_form", None)
        return dict(_PARAMETERS) if form is None else {**_PARAMETERS, "user_input_form": form}

    async def run(
        self, app_id: str, inputs: dict[str, object], *, query: str = "", streaming: bool = False
    ) -> list[dict[str, object]]:
        """Run the app: one result, or the events of a stream. Raises AppError.

        A function that raises anything else is a failed run. Of a workflow that is an answer like any other, of a
        chatflow an error.
        """
        app = self._find(app_id, _refusal("app not found"))
        mode = getattr(app, "mode", "workflow")
        if mode in _CHAT and not query:
            raise AppError(_refusal("missing query"))
        inputs = _accepted(app, inputs)
        begun: dict[str, object] = {
            "event": "workflow_started",
            "task_id": str(uuid.uuid4()),
            "workflow_run_id": str(uuid.uuid4()),
        }
        result = await _run(app, app_id, inputs | {"query": query} if mode in _CHAT else inputs, begun)
        begun["data"] = {"id": begun["workflow_run_id"], "inputs": inputs}
        if mode in _CHAT:
            return _conversation(mode, begun, result, streaming=streaming)
        return [begun, {"event": "workflow_finished", **result}] if streaming else [result]

    def _find(self, app_id: str, absent: str) -> App:
        if app_id in self._apps:
            return self._apps[app_id]
        if len(self._apps) == 1:
            return next(iter(self._apps.values()))
        raise AppError(absent)


def _refusal(message: str) -> str:
    body = orjson.dumps({"code": "invalid_param", "message": message, "status": 400}).decode()
    return f"invoke app failed: request failed with status code: 400 and respond with: {body}\n"


def _accepted(app: App, inputs: dict[str, object]) -> dict[str, object]:
    form = getattr(app, "user_input_form", None)
    if form is None:
        return inputs
    try:
        return passed_on(form, inputs)
    except BadInput as error:
        raise AppError(_refusal(str(error))) from error
    except BadNumber as error:
        raise AppError(
            "invoke app failed: request failed with status code: 500 and respond with: "
            '{"code":"unknown","message":"Internal Server Error","status":500}\n'
        ) from error


async def _run(app: App, app_id: str, inputs: dict[str, object], begun: Mapping[str, object]) -> dict[str, object]:
    started = time.time()
    status, outputs, error = await _outcome(app, inputs)
    finished = time.time()
    return {
        "task_id": begun["task_id"],
        "workflow_run_id": begun["workflow_run_id"],
        "data": {
            "id": begun["workflow_run_id"],
            "workflow_id": app_id,
            "status": status,
            "outputs": outputs,
            "error": error,
            "elapsed_time": finished - started,
            "total_tokens": 0,
            "total_steps": 1,
            "created_at": int(started),
            "finished_at": int(finished),
        },
    }


def _conversation(
    mode: str, begun: dict[str, object], result: Mapping[str, Any], *, streaming: bool
) -> list[dict[str, object]]:
    """A chatflow's run as the message that Dify makes of it. Raises AppError where it failed and nobody streams."""
    data = result["data"]
    finished: list[dict[str, object]] = [begun, {"event": "workflow_finished", **result}]
    if data["error"] is not None:
        words = f"Run failed: {data['error']}"
        if not streaming:
            raise AppError(_refusal(words))
        return [*finished, {"event": "error", "status": 400, "code": "invalid_param", "message": words}]
    ids = {"id": str(uuid.uuid4()), "conversation_id": str(uuid.uuid4())}
    answer = data["outputs"].get("answer")
    message: dict[str, object] = {
        "event": "message",
        "task_id": begun["task_id"],
        "id": ids["id"],
        "message_id": ids["id"],
        "conversation_id": ids["conversation_id"],
        "mode": mode,
        "answer": answer if isinstance(answer, str) else orjson.dumps(data["outputs"]).decode(),
        "metadata": {},
        "created_at": data["created_at"],
    }
    if not streaming:
        return [message]
    end = {name: message[name] for name in ("task_id", "id", "message_id", "conversation_id", "metadata")}
    return [*finished, message, {"event": "message_end", **end}]


async def _outcome(app: App, inputs: dict[str, object]) -> tuple[str, dict[str, object], str | None]:
    """Status, outputs and error of one run. Raises AppError."""
    try:
        if inspect.iscoroutinefunction(app):
            outputs = dict(await app(inputs))
        else:
            outputs = dict(await asyncio.to_thread(app, inputs))  # type: ignore[arg-type]
        # What is no JSON is a failed run too.
        return "succeeded", orjson.loads(orjson.dumps(outputs)), None
    except AppError:
        # What Dify itself would say: that it is down, say.
        raise
    except Exception as error:  # noqa: BLE001 - somebody else's function: whatever it raises is a failed run
        return "failed", {}, str(error) or type(error).__name__
