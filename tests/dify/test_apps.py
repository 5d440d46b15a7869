"""Runs through the session of a request: what is called, what is made of it, and that no call lasts for ever."""

import ast
import importlib.util
import time
from pathlib import Path
from types import SimpleNamespace

import gevent
import pytest

from kafka_bridge.broker.greenlets import GeventLoop
from kafka_bridge.broker.loops import ThreadLoop
from kafka_bridge.clock import Clock
from kafka_bridge.dify.apps import MAX_INPUT_BYTES, Apps
from kafka_bridge.dispatch.ended import Ended, Ending
from kafka_bridge.dispatch.inputs import compile_inputs
from tests.dispatch.records import payload

INPUTS, _ = compile_inputs({}, {})
RESULT = {"workflow_run_id": "run-1", "data": {"status": "succeeded", "outputs": {"n": 1}}}
MESSAGE = {"message_id": "m-1", "conversation_id": "c-1", "answer": "42"}
REFUSED = (
    "invoke app failed: request failed with status code: 400 and respond with: "
    '{"code":"invalid_param","message":"%s","status":400}\n'
)


class Session:
    """In the place of `session.app`: each function answers, or is an exception to raise."""

    def __init__(self, *, form=(), workflow=RESULT, chat=MESSAGE):
        self.calls = []
        self._form = form
        self.workflow = SimpleNamespace(invoke=lambda **call: self._answer("workflow", workflow, call))
        self.chat = SimpleNamespace(invoke=lambda **call: self._answer("chat", chat, call))

    def fetch_app(self, app_id):
        declared = () if isinstance(self._form, Exception) else self._form
        form = {"user_input_form": [{"paragraph": {"variable": name}} for name in declared]}
        return self._answer("fetch", self._form if isinstance(self._form, Exception) else form, {"app_id": app_id})

    def _answer(self, name, answer, call):
        self.calls.append((name, call))
        if callable(answer):
            return answer()
        if isinstance(answer, Exception):
            raise answer
        return answer


def apps(loop=None):
    return Apps(loop or ThreadLoop(), Clock(time.time, time.monotonic))


def run(session, value=b'{"a": 1, "b": 2}', *, runner=None, endpoint="e", app_id="app-1", timeout_s=20.0):
    return (runner or apps()).run(
        session, endpoint=endpoint, app_id=app_id, inputs=INPUTS, payload=payload(value), timeout_s=timeout_s
    )


def test_a_workflow_runs_with_what_it_declares():
    session = Session(form=["a", "topic"])

    ended = run(session)

    assert ended == Ended(Ending.DONE, outputs={"n": 1}, run_id="run-1", duration_s=ended.duration_s)
    assert session.calls == [
        ("fetch", {"app_id": "app-1"}),
        (
            "workflow",
            {"app_id": "app-1", "inputs": {"a": "1", "topic": "orders"}, "response_mode": "blocking"},
        ),
    ]


def test_a_chatflow_is_asked_and_from_then_on_at_once():
    session, runner = Session(workflow=Exception(REFUSED % "missing query")), apps()

    first, second = (run(session, value, runner=runner) for value in (b"why?", b"how?"))

    assert (first.ending, first.outputs["answer"], second.ending) == (Ending.DONE, "42", Ending.DONE)
    assert [name for name, _ in session.calls] == ["fetch", "workflow", "chat", "chat"]
    assert session.calls[-1][1] == {
        "app_id": "app-1",
        "query": "how?",
        "inputs": {},
        "response_mode": "blocking",
    }


def test_what_is_known_of_an_app_is_known_of_one_endpoint_alone():
    session, runner = Session(), apps()

    for endpoint in ("one", "two", "one"):
        run(session, runner=runner, endpoint=endpoint)

    assert [name for name, _ in session.calls].count("fetch") == 2


@pytest.mark.parametrize(
    ("session", "ending", "error"),
    [
        (
            Session(workflow=Exception(REFUSED % "a is required in input form")),
            Ending.REFUSED,
            "a is required in input form",
        ),
        (Session(workflow=Exception("EOF")), Ending.UNKNOWN, "EOF"),
        (Session(workflow=Exception()), Ending.UNKNOWN, "Exception"),
        (Session(workflow=None), Ending.UNKNOWN, "Dify gave no result"),
        (Session(workflow=ValueError("Circular reference detected")), Ending.UNKNOWN, "Circular reference detected"),
        (
            Session(form=Exception("fetch app failed: data is nil")),
            Ending.MISCONFIGURED,
            "fetch app failed: data is nil",
        ),
        (Session(form=Exception("EOF")), Ending.UNAVAILABLE, "EOF"),
    ],
)
def test_nothing_is_raised_whatever_the_session_does(session, ending, error):
    ended = run(session)

    assert (ended.ending, ended.error) == (ending, error)


def test_the_sdk_takes_the_calls_that_are_made():
    # Read and not imported: the SDK patches the process that imports it.
    folder = Path(importlib.util.find_spec("dify_plugin").origin).parent / "invocations" / "app"
    session = Session(workflow=Exception(REFUSED % "missing query"))
    run(session, b"why?")

    for name, call in session.calls:
        file, method = {"fetch": ("fetch_app", "get")}.get(name, (name, "invoke"))
        tree = ast.parse((folder / f"{file}.py").read_text())
        signature = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef) and node.name == method][-1]
        arguments = [argument.arg for argument in signature.args.args[1:]]
        required = arguments[: len(arguments) - len(signature.args.defaults)]
        assert set(required) <= call.keys() <= set(arguments)


def test_without_an_app_nobody_is_called():
    session = Session()

    assert run(session, app_id="").ending is Ending.MISCONFIGURED
    assert session.calls == []


def test_what_would_end_the_process_is_never_written():
    session = Session(form=["message"])

    ended = run(session, b"x" * MAX_INPUT_BYTES)

    assert ended.ending is Ending.REFUSED
    assert [name for name, _ in session.calls] == ["fetch"]


class TestHangingCalls:
    """A call whose request has ended is never answered."""

    @pytest.mark.parametrize(
        ("hangs", "ending"), [("workflow", Ending.UNKNOWN), ("chat", Ending.UNKNOWN), ("form", Ending.UNAVAILABLE)]
    )
    def test_each_ends_in_time(self, hangs, ending):
        session = Session(workflow=Exception(REFUSED % "missing query") if hangs == "chat" else RESULT)
        if hangs == "form":
            session.fetch_app = lambda _app_id: gevent.sleep(60)
        else:
            getattr(session, hangs).invoke = lambda **_: gevent.sleep(60)
        started = time.monotonic()

        ended = run(session, b"why?", runner=apps(GeventLoop()), timeout_s=0.2)

        assert ended.ending is ending
        assert "no answer from Dify within" in ended.error
        assert 0.1 < time.monotonic() - started < 10
        assert 0.1 < ended.duration_s < 10

    def test_nobody_on_the_way_takes_the_end_for_an_error_of_his_own(self):
        def sdk():
            try:
                gevent.sleep(60)
            except Exception as error:
                raise Exception("Failed to parse response") from error  # noqa: TRY002 - as the SDK does

        assert "no answer" in run(Session(workflow=sdk), runner=apps(GeventLoop()), timeout_s=0.1).error

    def test_one_that_ends_in_time_leaves_no_timer_behind(self):
        assert run(Session(), runner=apps(GeventLoop()), timeout_s=0.05).ending is Ending.DONE
        gevent.sleep(0.1)
