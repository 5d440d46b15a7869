"""What Dify says of a run: every row of what was measured, and what nobody has measured."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kafka_bridge.dispatch import verdicts
from kafka_bridge.dispatch.ended import Ended, Ending

DONE, FAILED, REFUSED = Ending.DONE, Ending.FAILED, Ending.REFUSED
UNKNOWN, UNAVAILABLE, MISCONFIGURED = Ending.UNKNOWN, Ending.UNAVAILABLE, Ending.MISCONFIGURED


def workflow(status="succeeded", **data):
    return {
        "task_id": "t",
        "workflow_run_id": "run-1",
        "data": {
            "id": "run-1",
            "workflow_id": "w",
            "status": status,
            "outputs": {"payload": "p"},
            "error": None,
            "elapsed_time": 0.047,
            "total_tokens": 0,
            "total_steps": 2,
            "created_at": 1767225600,
            "finished_at": 1767225600,
            **data,
        },
    }


def problem(message, code="invalid_param", status=400):
    return json.dumps({"code": code, "message": message, "status": status})


def invoke_failed(message, code="invalid_param", status=400):
    """The text of the exception that the plugin sees."""
    body = json.dumps({"code": code, "message": message, "status": status}, separators=(",", ":"))
    return f"invoke app failed: request failed with status code: {status} and respond with: {body}\n"


class TestResults:
    def test_a_success(self):
        assert verdicts.of_result(workflow()) == Ended(DONE, outputs={"payload": "p"}, run_id="run-1")

    def test_a_partial_success_is_one(self):
        ended = verdicts.of_result(workflow("partial-succeeded"))

        assert (ended.ending, ended.outputs, ended.error) == (DONE, {"payload": "p"}, "")

    def test_a_node_that_fails_is_a_failed_run(self):
        ended = verdicts.of_result(workflow("failed", outputs={}, error="[Errno 111] Connection refused"))

        assert ended == Ended(FAILED, outputs={}, run_id="run-1", error="[Errno 111] Connection refused")

    @pytest.mark.parametrize(
        ("status", "said"),
        [("paused", "the run waits for a person (paused)"), ("stopped", "the run was stopped")],
    )
    def test_a_run_that_another_one_would_not_mend_is_not_repeated(self, status, said):
        ended = verdicts.of_result(workflow(status, outputs=None, finished_at=None))

        assert (ended.ending, ended.error, ended.run_id) == (REFUSED, said, "run-1")

    def test_a_failed_run_without_a_word_says_so(self):
        assert verdicts.of_result(workflow("failed", error=None)).error == "the run failed"

    def test_a_chat_app_has_no_status_and_no_run(self):
        message = {
            "event": "message",
            "task_id": "t",
            "id": "m-1",
            "message_id": "m-1",
            "conversation_id": "c-1",
            "mode": "advanced-chat",
            "answer": "42",
            "metadata": {},
            "created_at": 1767225600,
        }

        assert verdicts.of_result(message) == Ended(
            DONE, outputs={"answer": "42", "conversation_id": "c-1", "message_id": "m-1"}, run_id="m-1"
        )

    @pytest.mark.parametrize(
        "answer",
        [None, "", [], {}, {"data": None}, {"data": {"status": "running"}}, {"data": {"status": None}}, {"answer": 5}],
    )
    def test_a_result_that_is_none_says_nothing_of_the_run(self, answer):
        assert verdicts.of_result(answer).ending is UNKNOWN


EXCEPTIONS = [
    # Refused input.
    (invoke_failed("payload is required in input form"), REFUSED),
    (invoke_failed("(type 'paragraph') payload in input form must be a string"), REFUSED),
    (invoke_failed("event in input form must be a dict"), REFUSED),
    (invoke_failed("payload in input form must be less than 1000000 characters"), REFUSED),
    (invoke_failed("kind in input form must be one of the following: ['a', 'b']"), REFUSED),
    (invoke_failed("n in input form must be a valid number"), REFUSED),
    (invoke_failed("Invalid input type for ['x']"), REFUSED),
    # The wrong app.
    (invoke_failed("unexpected app type"), MISCONFIGURED),
    (invoke_failed("app not found"), MISCONFIGURED),
    (invoke_failed("missing query"), MISCONFIGURED),
    (invoke_failed(""), MISCONFIGURED),
    (invoke_failed("user not found"), MISCONFIGURED),
    (invoke_failed("unauthorized", code="unauthorized", status=401), MISCONFIGURED),
    (invoke_failed("no such path", code="not_found", status=404), MISCONFIGURED),
    # A chatflow that fails.
    (invoke_failed("Run failed: [Errno 111] Connection refused"), FAILED),
    (invoke_failed("Run failed: Too many requests"), FAILED),
    (invoke_failed("Run failed: app not found in input form"), FAILED),
    # A 400 in words that nobody knows is tried again, and does not stop everything else.
    (invoke_failed("something new"), FAILED),
    ("request failed with status code: 400 and respond with: <html>", FAILED),
    # Dify is down.
    (
        'Post "http://api:5001/inner/api/invoke/app": dial tcp 10.0.0.5:5001: connect: connection refused',
        UNAVAILABLE,
    ),
    ('Post "http://api:5001/inner/api/invoke/app": dial tcp: lookup api: no such host', UNAVAILABLE),
    ('Post "http://api:5001/inner/api/invoke/app": dial tcp 10.0.0.5:5001: i/o timeout', UNAVAILABLE),
    (invoke_failed("<html>", status=502), UNAVAILABLE),
    (invoke_failed("Too many requests. Please try again later.", status=400), UNAVAILABLE),
    # It died in the middle, or took too long.
    ('invoke app failed: Post "http://api:5001/inner/api/invoke/app": EOF', UNKNOWN),
    ("read app failed: unexpected EOF", UNKNOWN),
    ("read app failed: read tcp 10.0.0.4:1234->10.0.0.5:5001: use of closed network connection", UNKNOWN),
    ("invocation exited without response after 250 seconds", UNKNOWN),
    ('Post "http://api:5001/inner/api/invoke/app": context canceled', UNKNOWN),
    ('Post "http://api:5001/inner/api/invoke/app": dial tcp: operation was canceled: context canceled', UNKNOWN),
    ("No response from workflow", UNKNOWN),
    ("No response from chat", UNKNOWN),
    ("Failed to parse response: x", UNKNOWN),
    (invoke_failed("internal", code="internal_server_error", status=500), UNKNOWN),
    ("", UNKNOWN),
    ("anything", UNKNOWN),
    # What has nothing to do with the record.
    ("permission denied, you need to enable app access in plugin manifest", MISCONFIGURED),
    ("fetch app failed: data is nil", MISCONFIGURED),
    ("current tool runtime does not support backwards invoke", MISCONFIGURED),
    ("unmarshal backwards invoke request failed: error validating struct: Key: 'X' Error:", MISCONFIGURED),
]


@pytest.mark.parametrize(("text", "ending"), EXCEPTIONS)
def test_every_exception_of_the_session_has_its_meaning(text, ending):
    ended = verdicts.of_exception(text)

    assert ended.ending is ending
    assert ended.error


def test_the_error_is_what_dify_says_and_not_how_it_came():
    assert verdicts.of_exception(invoke_failed("payload is required in input form")).error == (
        "payload is required in input form"
    )
    assert (
        verdicts.of_exception(invoke_failed("Please check", code="not_chat_app")).error == "not_chat_app: Please check"
    )


HTTP = [
    (200, json.dumps(workflow()), DONE, ""),
    (200, json.dumps(workflow("failed", error="no")), FAILED, "no"),
    (200, '{"data": {"sta', UNKNOWN, "Dify's answer is not JSON"),
    (400, problem("payload is required in input form"), REFUSED, "payload is required in input form"),
    (400, problem("Workflow not published"), MISCONFIGURED, "Workflow not published"),
    (400, problem("Arg user must be provided.", code="bad_request"), MISCONFIGURED, "Arg user must be provided."),
    (400, problem("Please check", code="not_workflow_app"), MISCONFIGURED, "not_workflow_app: Please check"),
    (400, problem("app not found"), MISCONFIGURED, "app not found"),
    (400, problem("App unavailable", code="app_unavailable"), MISCONFIGURED, "app_unavailable: App unavailable"),
    (400, problem("No model", code="provider_not_initialize"), MISCONFIGURED, "provider_not_initialize: No model"),
    (400, problem("Agent Chat App does not support blocking mode"), MISCONFIGURED, None),
    (400, problem("Too many requests. Please try again later."), UNAVAILABLE, None),
    (400, problem("query is required"), REFUSED, None),
    (400, problem("busy", code="completion_request_error"), FAILED, "completion_request_error: busy"),
    (400, problem({"inputs": "must be a dict"}, code="bad_request"), FAILED, '{"inputs":"must be a dict"}'),
    (400, "<html>400</html>", FAILED, "HTTP 400"),
    (400, "[]", FAILED, "HTTP 400"),
    (401, problem("Access token is invalid", code="unauthorized", status=401), MISCONFIGURED, None),
    (403, problem("The app's API service has been disabled.", code="forbidden"), MISCONFIGURED, None),
    (404, "<html>", MISCONFIGURED, "HTTP 404"),
    (301, "", MISCONFIGURED, "HTTP 301"),
    (204, "", MISCONFIGURED, "HTTP 204"),
    (413, "<html>", REFUSED, "HTTP 413"),
    (409, "", FAILED, "HTTP 409"),
    (429, problem("slow down", code="rate_limit_error"), UNAVAILABLE, "rate_limit_error: slow down"),
    (500, problem("internal", code="internal_server_error"), UNKNOWN, "internal_server_error: internal"),
    (502, "<html>", UNAVAILABLE, "HTTP 502"),
    (503, "", UNAVAILABLE, "HTTP 503"),
    (504, "<html>", UNKNOWN, "HTTP 504"),
    (520, "", UNKNOWN, "HTTP 520"),
    (999, "", UNKNOWN, "HTTP 999"),
]


@pytest.mark.parametrize(("status", "body", "ending", "error"), HTTP)
def test_every_answer_of_the_http_api_has_its_meaning(status, body, ending, error):
    ended = verdicts.of_http(status, body.encode())

    assert ended.ending is ending
    assert error is None or ended.error == error


def test_an_app_that_wants_to_be_asked_something_is_known_by_its_answer():
    assert verdicts.wants_query(verdicts.of_exception(invoke_failed("missing query")))
    assert verdicts.wants_query(verdicts.of_http(400, problem("Please check", code="not_workflow_app").encode()))
    assert not verdicts.wants_query(verdicts.of_exception(invoke_failed("app not found")))
    assert not verdicts.wants_query(verdicts.of_result(workflow("failed", error="missing query")))


@pytest.mark.parametrize("ending", list(Ending))
def test_a_question_that_failed_has_run_nothing(ending):
    ran = verdicts.nothing_ran(Ended(ending, error="why"))

    assert ran == Ended(MISCONFIGURED if ending is MISCONFIGURED else UNAVAILABLE, error="why")


def test_an_error_is_one_line_of_a_bounded_length():
    page = "Traceback:\n\n  File\t" + "x" * 10_000

    for ended in (
        verdicts.of_exception(page),
        verdicts.of_result(workflow("failed", error=page)),
        verdicts.of_http(400, problem(page).encode()),
        verdicts.of_http(400, problem("m", code=page).encode()),
    ):
        assert len(ended.error) <= verdicts.MAX_ERROR_CHARS
        assert ended.error.endswith(("…", "x"))
        assert "\n" not in ended.error


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["data", "status", "answer", "error", "outputs", "code", "message"]), inner)
    ),
    max_leaves=10,
)


@given(json_values, st.integers(100, 999), st.text() | st.binary().map(repr))
def test_whatever_dify_says_a_run_has_ended_somehow(value, status, text):
    for ended in (
        verdicts.of_result(value),
        verdicts.of_http(status, json.dumps(value).encode()),
        verdicts.of_http(status, text.encode("utf-8", "replace")),
        verdicts.of_exception(text),
        verdicts.of_exception(f"status code: {status} and respond with: {text}"),
    ):
        assert isinstance(ended.ending, Ending)
        assert isinstance(ended.run_id, str)
        assert bool(ended.error) is (ended.ending is not DONE)
