"""One run of an app for one record, and what is remembered of the app."""

from dataclasses import dataclass, field

import pytest

from kafka_bridge.dispatch.attempt import FORM_S, FORM_TIMEOUT_S, Attempts, Described
from kafka_bridge.dispatch.ended import Ended, Ending
from kafka_bridge.dispatch.form import Form
from kafka_bridge.dispatch.inputs import compile_inputs
from tests.dispatch.records import payload

INPUTS, _ = compile_inputs({}, {})
DONE = Ended(Ending.DONE, outputs={})
REFUSED = Ended(Ending.REFUSED, error="b is required in input form")
MISSING_QUERY = Ended(Ending.MISCONFIGURED, error="missing query")
OLD, NEW = Form({"a": "paragraph"}), Form({"a": "paragraph", "b": "paragraph"})


@dataclass
class App:
    """In the place of an app: `form` is what it declares, `ends` how its runs end in turn, the last one for ever."""

    form: Form | None = None
    chat: bool | None = None
    ends: list[Ended] = field(default_factory=lambda: [DONE])
    trouble: Ended | None = None
    takes_s: float = 0.0
    now: float = 1000.0
    calls: list[tuple] = field(default_factory=list)

    def describe(self, timeout_s):
        return self._call("describe", timeout_s) and (self.trouble or Described(self.form, self.chat))

    def run_workflow(self, inputs, timeout_s):
        self._call("workflow", dict(inputs), timeout_s)
        return self._end()

    def run_chat(self, inputs, query, timeout_s):
        self._call("chat", query, timeout_s)
        return self._end()

    def _call(self, *call):
        self.now += self.takes_s
        self.calls.append(call)
        return True

    def _end(self):
        return self.ends.pop(0) if len(self.ends) > 1 else self.ends[0]

    @property
    def named(self):
        return [call[0] for call in self.calls]


@pytest.fixture
def app():
    return App()


@pytest.fixture
def run(app):
    attempts = Attempts(lambda: app.now, max_bytes=1000, capacity=2)

    def running(value=b'{"a": "1", "b": "2"}', key="app", timeout_s=60.0, **record):
        return attempts.run(key, app, INPUTS, payload(value, **record), timeout_s=timeout_s)

    return running


def test_an_app_is_asked_for_its_form_once_and_gets_what_it_declares(app, run):
    app.form = OLD

    assert (run(), run()) == (DONE, DONE)
    assert app.calls == [
        ("describe", FORM_TIMEOUT_S),
        ("workflow", {"a": "1"}, 60.0),
        ("workflow", {"a": "1"}, 60.0),
    ]


def test_after_a_while_it_is_asked_again(app, run):
    run()
    app.now += FORM_S + 1
    app.form = OLD
    run()

    assert app.named == ["describe", "workflow", "describe", "workflow"]
    assert app.calls[-1][1] == {"a": "1"}


def test_every_app_has_a_form_of_its_own_and_the_oldest_are_forgotten(app, run):
    for key in ("one", "two", "one", "three", "one"):
        run(key=key)

    assert app.named.count("describe") == 4


def test_how_long_it_took_is_told(app, run):
    app.takes_s = 2.0

    assert run().duration_s == 4.0
    assert run().duration_s == 2.0


def test_a_refused_input_asks_for_the_form_again_and_runs_with_what_has_changed(app, run):
    app.form = OLD
    run()
    app.now += 10
    app.form, app.ends = NEW, [REFUSED, DONE]

    assert run() == DONE
    assert app.named == ["describe", "workflow", "workflow", "describe", "workflow"]
    assert app.calls[-1][1] == {"a": "1", "b": "2"}


def test_what_would_be_refused_again_is_not_run_again(app, run):
    app.form, app.ends = OLD, [REFUSED]
    run()
    app.now += 10

    assert run() == REFUSED
    assert app.named == ["describe", "workflow", "workflow", "describe"]


def test_a_form_that_was_just_asked_for_is_not_asked_for_again(app, run):
    app.ends = [REFUSED]

    assert (run(), run()) == (REFUSED, REFUSED)
    assert app.named.count("describe") == 1


def test_a_refusal_stays_one_when_the_form_cannot_be_had(app, run):
    run()
    app.now += 10
    app.ends, app.trouble = [REFUSED], Ended(Ending.UNKNOWN, error="no answer")

    assert run() == REFUSED


@pytest.mark.parametrize(
    ("trouble", "ending"),
    [
        (Ending.UNKNOWN, Ending.UNAVAILABLE),
        (Ending.UNAVAILABLE, Ending.UNAVAILABLE),
        (Ending.MISCONFIGURED, Ending.MISCONFIGURED),
    ],
)
def test_without_a_form_nothing_runs(app, run, trouble, ending):
    app.trouble = Ended(trouble, error="why")

    assert run() == Ended(ending, error="why")
    assert app.named == ["describe"]


class TestChat:
    def test_it_is_known_by_its_answer_and_remembered(self, app, run):
        app.ends = [MISSING_QUERY, DONE]

        assert (run(b"why?"), run(b"how?")) == (DONE, DONE)
        assert [(call[0], call[1]) for call in app.calls if call[0] == "chat"] == [("chat", "why?"), ("chat", "how?")]
        assert app.named == ["describe", "workflow", "chat", "chat"]

    def test_it_is_still_remembered_when_the_form_is_old(self, app, run):
        app.ends = [MISSING_QUERY, DONE]
        run(b"why?")
        app.now += FORM_S + 1
        run(b"how?")

        assert app.named == ["describe", "workflow", "chat", "describe", "chat"]

    def test_where_dify_says_so_nobody_has_to_find_out(self, app, run):
        app.chat = True

        assert run(b"why?") == DONE
        assert app.named == ["describe", "chat"]

    @pytest.mark.parametrize("value", [None, b"", b'{"message": ""}'])
    def test_a_record_that_asks_nothing_is_refused_and_stops_nobody(self, app, run, value):
        app.ends = [MISSING_QUERY, DONE]

        assert run(value).ending is Ending.REFUSED
        assert run(b"why?") == DONE
        assert app.named == ["describe", "workflow", "chat"]

    def test_one_that_misses_a_query_all_the_same_is_told_to_a_person(self, app, run):
        app.ends = [MISSING_QUERY]

        assert run(b"why?") == MISSING_QUERY


class TestTime:
    def test_each_call_has_what_is_left(self, app, run):
        app.takes_s, app.ends = 3.0, [MISSING_QUERY, DONE]

        run(b"why?", timeout_s=8.0)

        assert [call[-1] for call in app.calls] == [8.0, 5.0, 2.0]

    def test_what_cannot_begin_in_time_goes_back_to_its_place(self, app, run):
        app.takes_s, app.ends = 3.0, [MISSING_QUERY, DONE]

        assert run(timeout_s=0).ending is Ending.NOT_STARTED
        assert app.calls == []
        assert run(timeout_s=3.0).ending is Ending.NOT_STARTED
        assert app.named == ["describe"]
        assert run(timeout_s=3.0).ending is Ending.NOT_STARTED
        assert app.named == ["describe", "workflow"]


class TestWhatCannotBeSent:
    def test_inputs_that_are_too_large_are_refused_and_not_sent(self, app, run):
        ended = run(b'"' + b"x" * 1000 + b'"')

        assert ended.ending is Ending.REFUSED
        assert "at most 1000" in ended.error
        assert app.named == ["describe"]

    def test_what_counts_is_what_the_app_declares(self, app, run):
        app.form = OLD

        assert run(b'{"a": "1", "rest": "' + b"x" * 1000 + b'"}') == DONE

    def test_inputs_that_are_nested_too_deep_are_refused(self, app, run):
        assert run(b"[" * 300 + b"]" * 300).ending is Ending.REFUSED
