"""The error boundary of the tools: what failed, why, what to do; nothing secret, nothing foreign."""

import traceback

import pytest

from kafka_bridge.dify.tools import Kind, Toolbox, ToolFailed
from kafka_bridge.errors import (
    BridgeError,
    Busy,
    Cause,
    Fenced,
    Internal,
    Malformed,
    NotFound,
    NothingCame,
    SettingsInvalid,
    TooLarge,
    Unavailable,
    Unreadable,
)
from kafka_bridge.tooling.messages import Json, Text
from tests.stand_ins import log_of


def failing(error, *before):
    def tool(call):
        yield from before
        raise error

    return tool


def failure_of(error):
    with pytest.raises(ToolFailed) as caught:
        list(Toolbox({"publish": failing(error)}, failing(error)).call("publish", {}, {}))
    return caught.value


def test_a_tools_messages_pass_as_they_come():
    said = [Json({"a": 1}), Text("b")]
    messages = Toolbox({"publish": failing(Malformed("c"), *said)}, failing(None)).call("publish", {}, {})

    assert [next(messages), next(messages)] == said
    with pytest.raises(ToolFailed, match="publish failed: c"):
        next(messages)


def test_parameters_and_credentials_reach_the_tool():
    def tool(call):
        yield Json({**call.saved, "topic": call.parameters.text("topic")})

    (message,) = Toolbox({"t": tool}, tool).call("t", {"bootstrap_servers": "b:1"}, {"topic": " x "})

    assert message.value == {"bootstrap_servers": "b:1", "topic": "x"}


@pytest.mark.parametrize(
    ("error", "kind", "told"),
    [
        (Malformed("topic: missing."), Kind.BAD_REQUEST, "publish failed: topic: missing. Correct the parameters"),
        (TooLarge("The record is above the limit."), Kind.BAD_REQUEST, "above the limit. Correct the parameters"),
        (NotFound("topic does not exist: t"), Kind.BAD_REQUEST, "does not exist: t. Check the topic's name"),
        (SettingsInvalid(["SASL password: missing."]), Kind.BAD_REQUEST, "SASL password: missing. Mend that in"),
        (Busy("24 calls read."), Kind.RATE_LIMIT, "24 calls read. Try again"),
        (Fenced(), Kind.UNAVAILABLE, "group.instance.id"),
        (NothingCame("No record came."), Kind.UNAVAILABLE, "No record came. Wait longer"),
        (Unavailable(Cause.TOPIC_DOES_NOT_EXIST), Kind.BAD_REQUEST, "topic does not exist. Check the topic's name"),
        (Unavailable(Cause.AUTHENTICATION_FAILED), Kind.AUTHORIZATION, "authentication failed. Check “SASL user name”"),
        (Unavailable(Cause.NOT_AUTHORIZED), Kind.AUTHORIZATION, "not authorized for topic. Have whoever runs Kafka"),
        (Unavailable(Cause.CONNECTION_REFUSED), Kind.CONNECTION, "connection refused. Check “Bootstrap servers”"),
        (Unavailable(Cause.HOST_NOT_FOUND), Kind.CONNECTION, "host not found. Check the names in “Bootstrap servers”"),
        (
            Unavailable(Cause.TLS_HANDSHAKE_FAILED),
            Kind.CONNECTION,
            "TLS handshake failed. Check “CA certificate (PEM)”",
        ),
        (Unavailable(Cause.QUEUE_FULL), Kind.UNAVAILABLE, "queue full. Too much"),
        (Unavailable(Cause.NOT_ACKNOWLEDGED), Kind.UNAVAILABLE, "not acknowledged in time. It may have been written"),
        (Unreadable(Cause.NOT_ACKNOWLEDGED), Kind.UNAVAILABLE, "Kafka did not answer"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, BridgeError) else None,
)
def test_a_failure_says_what_why_and_what_to_do(error, kind, told):
    failure = failure_of(error)

    assert failure.kind is kind
    assert str(failure).startswith("publish failed: ")
    assert told in str(failure)


@pytest.mark.parametrize("cause", [*Cause])
@pytest.mark.parametrize("kind", [Unavailable, Unreadable])
def test_what_the_library_has_said_is_not_told(cause, kind):
    assert "hunter2" not in str(failure_of(kind(cause, "hunter2")))


def test_a_defect_is_told_by_its_incident_and_its_text_reaches_neither_the_log_nor_the_app():
    with log_of("kafka_bridge.dify.tools") as lines:
        failure = failure_of(RuntimeError("hunter2"))

    assert failure.kind is Kind.UNAVAILABLE
    assert "hunter2" not in str(failure) + "".join(lines)
    assert Internal.title not in str(failure)
    assert "incident" in str(failure)


def test_the_traceback_that_the_sdk_sends_along_holds_only_our_own_failure():
    def tool(call):
        try:
            raise RuntimeError("hunter2")
        except RuntimeError as error:
            raise Unavailable(Cause.CONNECTION_REFUSED, "hunter2") from error
        yield

    with pytest.raises(ToolFailed) as caught:
        list(Toolbox({"publish": tool}, tool).call("publish", {}, {}))
    trace = "".join(traceback.format_exception(caught.value))

    assert "hunter2" not in trace
    assert "RuntimeError" not in trace


def test_credentials_that_do_not_work_are_refused_with_what_to_check():
    tools = Toolbox({}, failing(Unreadable(Cause.AUTHENTICATION_FAILED)))

    with pytest.raises(ToolFailed, match="Connecting to Kafka failed: authentication failed"):
        tools.validate({})


def test_credentials_that_work_are_taken_without_a_word():
    assert Toolbox({}, lambda call: iter(())).validate({}) is None


def test_a_caller_that_goes_ends_the_tool():
    ended = []

    def tool(call):
        try:
            yield Json({})
            yield Text("never")
        finally:
            ended.append(True)

    messages = Toolbox({"t": tool}, tool).call("t", {}, {})
    next(messages)
    messages.close()

    assert ended == [True]
