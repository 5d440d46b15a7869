"""Local functions in the place of Dify apps: `--app PATH.py:function`."""

import asyncio
import importlib.util
import inspect
import time
import uuid
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Final

import orjson

type App = Callable[[dict[str, object]], Mapping[str, object] | Awaitable[Mapping[str, object]]]

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
    """`str()` is the text that the plugin gets."""


def load_app(reference: str) -> tuple[str, App]:
    """The function that `PATH.py:function` names, and its name. Raises AppError."""
    path, _, name = reference.rpartition(":")
    if not path.endswith(".py") or not Path(path).is_file():
        raise AppError(f"an app is given as PATH.py:function; {path or reference!r} is no Python file")
    spec = importlib.util.spec_from_file_location(Path(path).stem, path)
    if spec is None or spec.loader is None:
        raise AppError(f"{path} cannot be loaded")
    module = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except Exception as error:  # somebody else's file: whatever it raises
        raise AppError(f"{path} cannot be loaded: {type(error).__name__}: {error}") from error
    function = getattr(module, name, None)
    if not callable(function):
        raise AppError(f"{path} has no function named {name!r}")
    return name, function


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

    async def run(self, app_id: str, inputs: dict[str, object], *, streaming: bool = False) -> list[dict[str, object]]:
        """Run the app as a workflow: one result, or the events of a stream. Raises AppError.

        A function that raises is a failed run, and that is an answer like any other.
        """
        app = self._find(
            app_id,
            "invoke app failed: request failed with status code: 400 and respond with: "
            '{"code":"invalid_param","message":"app not found","status":400}\n',
        )
        ids = {"task_id": str(uuid.uuid4()), "workflow_run_id": str(uuid.uuid4())}
        started = time.time()
        status, outputs, error = await _outcome(app, inputs)
        finished = time.time()
        result: dict[str, object] = {
            **ids,
            "data": {
                "id": ids["workflow_run_id"],
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
        if not streaming:
            return [result]
        begun: dict[str, object] = {
            "event": "workflow_started",
            **ids,
            "data": {"id": ids["workflow_run_id"], "inputs": inputs},
        }
        return [begun, {"event": "workflow_finished", **result}]

    def _find(self, app_id: str, absent: str) -> App:
        if app_id in self._apps:
            return self._apps[app_id]
        if len(self._apps) == 1:
            return next(iter(self._apps.values()))
        raise AppError(absent)


async def _outcome(app: App, inputs: dict[str, object]) -> tuple[str, dict[str, object], str | None]:
    """Status, outputs and error of one run."""
    try:
        if inspect.iscoroutinefunction(app):
            outputs = dict(await app(inputs))
        else:
            outputs = dict(await asyncio.to_thread(app, inputs))  # type: ignore[arg-type]
        # What is no JSON is a failed run too.
        return "succeeded", orjson.loads(orjson.dumps(outputs)), None
    except Exception as error:  # noqa: BLE001 - somebody else's function: whatever it raises is a failed run
        return "failed", {}, str(error) or type(error).__name__
