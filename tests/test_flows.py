"""Local functions in the place of an app."""

import asyncio
import functools
import sys
import threading
import time
from types import MappingProxyType

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kafka_bridge import flows
from kafka_bridge.dispatch.ended import Ending
from kafka_bridge.errors import Retry
from kafka_bridge.flows import CannotLoad, Flow, load_function
from tests.brokers import wait_until
from tests.dispatch.records import payload


def run(function, value=b'{"n": 2}', timeout_s=None):
    flow = Flow(function)
    try:
        return flow.run(payload(value), timeout_s=timeout_s)
    finally:
        flow.close()


def double(record):
    return {"n": record["n"] * 2}


async def later(record):
    await asyncio.sleep(0)
    return {"n": record["n"] * 2}


class Doubler:
    async def __call__(self, record):
        return await later(record)


@pytest.mark.parametrize("timeout_s", [None, 20.0])
@pytest.mark.parametrize(
    "function",
    [double, later, Doubler(), functools.partial(later), functools.partial(double)],
    ids=["def", "async def", "callable", "async partial", "partial"],
)
def test_what_it_returns_are_the_outputs(function, timeout_s):
    ended = run(function, timeout_s=timeout_s)

    assert (ended.ending, ended.outputs, ended.error) == (Ending.DONE, {"n": 4}, "")
    assert ended.duration_s > 0


def test_it_gets_every_name_there_is():
    seen = []

    run(lambda record: seen.append(record) or {})

    assert seen == [payload(b'{"n": 2}').everything()]


def test_outputs_are_plain_json_whatever_they_were():
    assert run(lambda _: MappingProxyType({"a": (1, 2)})).outputs == {"a": [1, 2]}


@pytest.mark.parametrize(
    ("returned", "error"),
    [
        (None, "the flow returned NoneType, not a dict"),
        ([1], "the flow returned list, not a dict"),
        ("text", "the flow returned str, not a dict"),
        ({"a": object()}, "the flow's outputs are not JSON: Type is not JSON serializable: object"),
        ({1: "a"}, "the flow's outputs are not JSON: Dict key must be str"),
        ({"a": 2**64}, "the flow's outputs are not JSON: Integer exceeds 64-bit range"),
    ],
)
def test_what_is_no_mapping_of_json_is_a_failure(returned, error):
    async def asynchronous(_):
        return returned

    for function in (lambda _: returned, asynchronous):
        ended = run(function)
        assert (ended.ending, ended.error) == (Ending.FAILED, error)


def test_a_coroutine_that_nobody_awaits_is_a_failure():
    ended = run(lambda record: later(record))

    assert (ended.ending, ended.error) == (Ending.FAILED, "the flow returned coroutine, not a dict")


class Unspeakable(Exception):
    def __str__(self):
        raise RuntimeError


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (ZeroDivisionError("division by zero"), "ZeroDivisionError: division by zero (test_flows.py, line "),
        (KeyError(), "KeyError (test_flows.py, line "),
        (Unspeakable(), "Unspeakable (test_flows.py, line "),
        (SystemExit(1), "SystemExit: 1 (test_flows.py, line "),
        (TimeoutError("slow"), "TimeoutError: slow (test_flows.py, line "),
        (asyncio.CancelledError(), "CancelledError (test_flows.py, line "),
        (ValueError("a\n" + "x" * 1000), "ValueError: a x"),
    ],
    ids=repr,
)
def test_raising_is_a_failure_that_says_where(error, said):
    def function(_):
        raise error

    async def asynchronous(_):
        raise error

    for each in (asynchronous,) if isinstance(error, asyncio.CancelledError) else (function, asynchronous):
        ended = run(each, timeout_s=20)
        assert (ended.ending, ended.error[: len(said)]) == (Ending.FAILED, said)
        assert len(ended.error) <= 500


@pytest.mark.parametrize(
    ("after", "retry_after_s"),
    [(30, 30.0), (0.5, 0.5), (0, 0.0), (-1, 0.0), (1e9, 86_400.0), (float("nan"), None), (None, None), ("1", None)],
)
def test_a_flow_may_say_when_it_is_to_be_run_again(after, retry_after_s):
    def function(_):
        raise Retry("busy", after=after)

    ended = run(function)

    assert (ended.ending, ended.retry_after_s) == (Ending.FAILED, retry_after_s)
    assert ended.error.startswith("Retry: busy")


class TestTime:
    def test_a_function_that_is_too_slow_is_unknown_and_goes_on(self):
        released, flow = threading.Event(), None

        def slow(_):
            released.wait(20)
            return {}

        flow = Flow(slow)
        started = time.monotonic()

        ended = flow.run(payload(), timeout_s=0.05)

        assert (ended.ending, ended.error) == (Ending.UNKNOWN, "the flow did not return within 0.05 s")
        assert time.monotonic() - started < 10
        assert flow.overdue == 1
        released.set()
        wait_until(lambda: flow.overdue == 0)
        assert flow.run(payload(), timeout_s=20).ending is Ending.DONE

    def test_a_coroutine_that_is_too_slow_is_unknown_and_cancelled(self):
        cancelled = threading.Event()

        async def slow(_):
            try:
                await asyncio.sleep(60)
            finally:
                cancelled.set()

        flow = Flow(slow)

        assert flow.run(payload(), timeout_s=0.05).ending is Ending.UNKNOWN
        assert cancelled.wait(20)
        wait_until(lambda: flow.overdue == 0)
        flow.close()

    def test_when_many_do_not_come_back_no_more_are_started(self, monkeypatch):
        monkeypatch.setattr(flows, "MAX_OVERDUE", 2)
        released = threading.Event()
        flow = Flow(lambda _: released.wait(20) and {})

        endings = [flow.run(payload(), timeout_s=0.01).ending for _ in range(3)]

        assert endings == [Ending.UNKNOWN, Ending.UNKNOWN, Ending.UNAVAILABLE]
        released.set()
        wait_until(lambda: flow.overdue == 0)


class TestTheEventLoop:
    def test_all_coroutines_share_one(self):
        gate: list[asyncio.Event] = []

        async def meet(record):
            # An event of the first one's loop, which the second one sets.
            if not gate:
                gate.append(asyncio.Event())
                await gate[0].wait()
            gate[0].set()
            return {"loop": id(asyncio.get_running_loop()), "thread": threading.get_ident()}

        flow, ended = Flow(meet), []
        threads = [threading.Thread(target=lambda: ended.append(flow.run(payload(), timeout_s=20))) for _ in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(20)
        flow.close()

        assert [one.ending for one in ended] == [Ending.DONE] * 2
        assert ended[0].outputs == ended[1].outputs
        assert ended[0].outputs["thread"] != threading.get_ident()

    def test_one_that_wants_to_leave_does_not_take_the_others_with_it(self):
        async def leave(record):
            if record["n"] == 0:
                raise SystemExit
            return {}

        flow = Flow(leave)

        assert flow.run(payload(b'{"n": 0}')).ending is Ending.FAILED
        assert flow.run(payload(b'{"n": 1}')).ending is Ending.DONE
        flow.close()

    def test_its_end_cancels_what_runs_and_starts_nothing_more(self):
        started, ended = threading.Event(), []

        async def slow(_):
            started.set()
            await asyncio.sleep(60)

        flow = Flow(slow)
        thread = threading.Thread(target=lambda: ended.append(flow.run(payload())))
        thread.start()
        assert started.wait(20)
        flow.close()
        thread.join(20)

        assert [one.ending for one in ended] == [Ending.UNKNOWN]
        assert flow.run(payload()).ending is Ending.NOT_STARTED


@given(st.none() | st.binary())
def test_whatever_the_record_is_the_flow_gets_a_dict(value):
    assert run(lambda record: {"topic": record["kafka"]["topic"]}, value).outputs == {"topic": "orders"}


class TestLoading:
    @pytest.fixture
    def file(self, tmp_path):
        (tmp_path / "beside_the_flow.py").write_text("answer = 42\n")
        path = tmp_path / "json.py"
        path.write_text(
            "from __future__ import annotations\n"
            "from dataclasses import dataclass\n"
            "import beside_the_flow\n"
            "@dataclass\n"
            "class Seen:\n"
            "    n: int\n"
            "answer = 42\n"
            "def run(record):\n"
            "    return {'n': Seen(beside_the_flow.answer).n}\n"
        )
        yield path
        sys.path.remove(str(tmp_path.resolve()))
        sys.modules.pop("beside_the_flow", None)

    def test_a_function_has_its_own_name_and_its_files_beside_it(self, file):
        name, function = load_function(f"{file}:run")

        assert (name, run(function).outputs) == ("run", {"n": 42})
        assert sys.modules["json"].__file__ != str(file)

    @pytest.mark.parametrize(
        ("reference", "said"),
        [
            ("{file}", "mine.py' names no function"),
            ("{file}x:run", "is no Python file"),
            ("{file}.py:run", "there is no file "),
            ("nothing", "a function is given as PATH.py:function; 'nothing' is no Python file"),
            ("", "is no Python file"),
        ],
    )
    def test_what_is_no_file_is_said_to_be_none(self, tmp_path, reference, said):
        with pytest.raises(CannotLoad) as raised:
            load_function(reference.format(file=tmp_path / "mine.py"))

        assert said in str(raised.value)

    @pytest.mark.parametrize("name", ["absent", "answer"])
    def test_what_is_no_function_is_said_to_be_none(self, file, name):
        with pytest.raises(CannotLoad, match=f"has no function named '{name}'"):
            load_function(f"{file}:{name}")

    @pytest.mark.parametrize(
        ("text", "said"),
        [
            ("import nowhere_to_be_found", "ModuleNotFoundError: No module named 'nowhere_to_be_found'"),
            ("def run(:", "SyntaxError"),
            ("raise SystemExit(3)", "SystemExit: 3"),
        ],
    )
    def test_a_file_that_cannot_be_loaded_says_why(self, file, text, said):
        file.write_text(text)

        with pytest.raises(CannotLoad, match=said):
            load_function(f"{file}:run")


@pytest.mark.parametrize("raised", [asyncio.CancelledError, KeyboardInterrupt, GeneratorExit, BaseException])
def test_a_function_that_raises_what_is_no_exception_has_failed_at_once(raised):
    def broken(_record):
        raise raised

    flow = Flow(broken)
    ended = flow.run(payload(b"{}"), timeout_s=5.0)

    assert ended.ending is Ending.FAILED
    assert raised.__name__ in ended.error
    assert flow.overdue == 0
