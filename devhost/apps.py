"""Local functions in the place of Dify apps: `--app PATH.py:function`."""

import asyncio
import importlib.util
import inspect
import time
import uuid
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path

type App = Callable[[dict[str, object]], Mapping[str, object] | Awaitable[Mapping[str, object]]]


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
    spec.loader.exec_module(module)
    function = getattr(module, name, None)
    if not callable(function):
        raise AppError(f"{path} has no function named {name!r}")
    return name, function


class Apps:
    """Apps by id. An only app answers to every id, so that settings need not know its name."""

    def __init__(self, apps: Mapping[str, App]) -> None:
        self._apps = dict(apps)

    def fetch(self, app_id: str) -> dict[str, object]:
        """What `fetch_app` answers: no form, which means that every input is passed. Raises AppError."""
        self._find(app_id, "fetch app failed: data is nil")
        return {"opening_statement": ""}

    async def run(self, app_id: str, inputs: dict[str, object]) -> dict[str, object]:
        """Run the app as a workflow, blocking. A function that raises is a failed run. Raises AppError."""
        app = self._find(
            app_id,
            "invoke app failed: request failed with status code: 400 and respond with: "
            '{"code": "invalid_param", "message": "app not found", "status": 400}\n',
        )
        started, run_id = time.time(), str(uuid.uuid4())
        status, outputs, error = "succeeded", {}, None
        try:
            if inspect.iscoroutinefunction(app):
                outputs = dict(await app(inputs))
            else:
                outputs = dict(await asyncio.to_thread(app, inputs))  # type: ignore[arg-type]
        except Exception as failure:  # noqa: BLE001 - somebody else's function: whatever it raises is a failed run
            status, error = "failed", f"{type(failure).__name__}: {failure}"
        finished = time.time()
        return {
            "task_id": str(uuid.uuid4()),
            "workflow_run_id": run_id,
            "data": {
                "id": run_id,
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

    def _find(self, app_id: str, absent: str) -> App:
        if app_id in self._apps:
            return self._apps[app_id]
        if len(self._apps) == 1:
            return next(iter(self._apps.values()))
        raise AppError(absent)
