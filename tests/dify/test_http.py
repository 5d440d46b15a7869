import json
import re
from dataclasses import dataclass
from io import BytesIO

import pytest
from hypothesis import given
from hypothesis import strategies as st
from werkzeug import Request

from kafka_bridge import errors
from kafka_bridge.dify.hooks import Hooks
from kafka_bridge.dify.http import EMPTY_CHUNKED_BODY, MAX_ANSWER_BYTES, serve, to_inbound, to_response
from kafka_bridge.errors import Cause
from kafka_bridge.http import Outbound, json_reply
from tests.stand_ins import log_of, saved

LOGGER = "kafka_bridge.dify.http"


@dataclass
class Session:
    endpoint_id: str | None = "endpoint-1"
    app: object = None
    storage: object = None


def platform_request(body=b"{}", method="POST", path="/webhook", query="", **environ):
    """As the SDK makes it: a werkzeug request on an environ of its own."""
    return Request(
        {
            "REQUEST_METHOD": method,
            "PATH_INFO": path.encode().decode("latin-1"),
            "QUERY_STRING": query,
            "SERVER_NAME": "localhost",
            "SERVER_PORT": "80",
            "SERVER_PROTOCOL": "HTTP/1.1",
            "CONTENT_LENGTH": str(len(body)),
            "wsgi.input": BytesIO(body),
            "wsgi.input_terminated": True,
            "wsgi.url_scheme": "http",
            **environ,
        }
    )


def answer_of(handler, request=None, *, values=None, settings=None, session=None):
    return serve(
        handler,
        Hooks(),
        request or platform_request(),
        values=values or {},
        settings=saved() if settings is None else settings,
        session=session or Session(),
    )


def raising(error):
    def handler(_call):
        raise error

    return handler


# Requests.


def test_a_request_is_a_plain_value():
    inbound = to_inbound(
        platform_request(
            b"body",
            path="/webhook/shöp",
            query="a=1&b=2",
            CONTENT_TYPE="application/json",
            HTTP_X_GITHUB_EVENT="push",
            HTTP_X_NAME="ü",
        )
    )

    assert (inbound.method, inbound.path, inbound.query, inbound.body) == ("POST", "/webhook/shöp", "a=1&b=2", b"body")
    assert dict(inbound.headers) == {"content-type": "application/json", "x-github-event": "push", "x-name": "ü"}


def test_a_request_without_a_content_type_has_none():
    assert to_inbound(platform_request()).header("content-type") == ""


def test_nothing_of_the_environment_but_headers_is_a_header(monkeypatch):
    monkeypatch.setenv("HTTP_PROXY_TOKEN", "NEVERSHOWN")

    inbound = to_inbound(platform_request(REMOTE_ADDR="10.0.0.7", SERVER_SOFTWARE="x"))

    assert dict(inbound.headers) == {}


def test_an_empty_body_that_arrives_as_an_empty_chunk_is_empty():
    assert EMPTY_CHUNKED_BODY == b"0\r\n\r\n"
    assert to_inbound(platform_request(b"0\r\n\r\n")).body == b""


@pytest.mark.parametrize("body", [b"", b"0", b"0\r\n", b"0\r\n\r\n0\r\n\r\n", b" 0\r\n\r\n", b"\xff\x00", b"a=1&b=2"])
def test_any_other_body_is_its_bytes(body):
    assert to_inbound(platform_request(body)).body == body


def test_a_form_is_not_parsed_away():
    form = platform_request(b"a=1&b=2", CONTENT_TYPE="application/x-www-form-urlencoded")

    assert to_inbound(form).body == b"a=1&b=2"


@given(
    st.binary().filter(lambda body: body != EMPTY_CHUNKED_BODY),
    st.sampled_from(["", "application/json", "multipart/form-data; boundary=x", "application/x-www-form-urlencoded"]),
)
def test_a_body_is_never_changed(body, content_type):
    assert to_inbound(platform_request(body, CONTENT_TYPE=content_type)).body == body


# Answers.


def test_an_answer_is_a_response_with_its_headers():
    response = to_response(Outbound(503, b"body", "text/plain; charset=utf-8", (("Retry-After", "2"), ("X-A", "b"))))

    assert (response.status_code, response.get_data()) == (503, b"body")
    assert response.headers["Content-Type"] == "text/plain; charset=utf-8"
    assert (response.headers["Retry-After"], response.headers["X-A"]) == ("2", "b")


def test_a_content_type_is_not_embellished():
    assert to_response(json_reply({})).headers["Content-Type"] == "application/json"


# The call that a handler gets.


def test_a_handler_gets_the_request_the_hook_and_what_the_route_says():
    seen = []

    def handler(call):
        seen.append(call)
        return json_reply({})

    answer_of(handler, values={"source": "shop"})
    answer_of(handler, session=Session(endpoint_id=None), settings={})

    assert (seen[0].endpoint, seen[0].name, seen[0].inbound.body) == ("endpoint-1", "shop", b"{}")
    assert seen[0].hook.source("default").name == "default"
    assert (seen[1].endpoint, seen[1].name, dict(seen[1].hook.sources)) == ("", "", {})


def test_settings_that_were_never_saved_are_empty_settings():
    response = serve(
        lambda call: json_reply(sorted(call.hook.sources)),
        Hooks(),
        platform_request(),
        values={},
        settings=None,
        session=Session(),
    )

    assert (response.status_code, response.get_data()) == (200, b"[]")


# The error boundary.


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (errors.Malformed("A sentence."), 400),
        (errors.Unverified("a reason"), 401),
        (errors.Unauthorized(), 401),
        (errors.TokenNotConfigured(), 403),
        (errors.NotFound(), 404),
        (errors.MethodNotAllowed(["GET"]), 405),
        (errors.TooLarge(), 413),
        (errors.Unroutable(), 422),
        (errors.SettingsInvalid(["Topic: wrong."]), 500),
        (errors.Internal("0badcafe"), 500),
        (errors.Unavailable(Cause.QUEUE_FULL), 503),
        (errors.CertificateUnreachable(), 503),
    ],
)
def test_an_error_of_ours_is_a_problem_document(error, status):
    with log_of(LOGGER) as lines:
        response = answer_of(raising(error))

    document = json.loads(response.get_data())
    assert (response.status_code, document["status"]) == (status, status)
    assert response.headers["Content-Type"] == "application/problem+json"
    assert document["type"] == f"urn:kafka-bridge:{error.slug}"
    for name, value in error.headers:
        assert response.headers[name] == value
    assert lines == []


@pytest.mark.parametrize(
    "error",
    [
        ValueError("NEVERSHOWN"),
        RuntimeError("NEVERSHOWN"),
        KeyError("NEVERSHOWN"),
        TypeError("NEVERSHOWN"),
        AssertionError("NEVERSHOWN"),
        UnicodeDecodeError("utf-8", b"NEVERSHOWN", 0, 1, "NEVERSHOWN"),
        OSError(5, "NEVERSHOWN"),
        RecursionError("NEVERSHOWN"),
        MemoryError("NEVERSHOWN"),
        StopIteration("NEVERSHOWN"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_a_defect_is_a_problem_with_an_incident_that_leads_to_the_log(error):
    with log_of(LOGGER) as lines:
        response = answer_of(raising(error))

    document = json.loads(response.get_data())
    assert (response.status_code, document["type"]) == (500, "urn:kafka-bridge:internal")
    incident = re.search(r"incident ([0-9a-f]{8})\.", document["detail"])[1]
    (line,) = lines
    assert line.startswith(f"incident {incident}: {type(error).__name__}\n")
    assert "test_http.py" in line
    assert "NEVERSHOWN" not in line
    assert b"NEVERSHOWN" not in response.get_data()
    assert "NEVERSHOWN" not in str(response.headers)


def test_the_text_of_a_cause_is_in_neither_answer_nor_log():
    def handler(_call):
        try:
            raise ValueError("NEVERSHOWN")
        except ValueError as error:
            raise RuntimeError from error

    with log_of(LOGGER) as lines:
        response = answer_of(handler)

    assert "NEVERSHOWN" not in "".join(lines)
    assert b"NEVERSHOWN" not in response.get_data()


def test_two_incidents_have_two_ids():
    bodies = {answer_of(raising(RuntimeError())).get_data() for _ in range(2)}

    assert len(bodies) == 2


def test_a_handler_that_answers_nonsense_is_a_defect():
    assert answer_of(lambda _call: None).status_code == 500


def test_a_request_that_cannot_be_read_is_a_defect_and_not_an_exception():
    class Broken(BytesIO):
        def read(self, *_arguments):
            raise OSError("NEVERSHOWN")

        readline = readinto = read

    response = answer_of(lambda _call: json_reply({}), platform_request(**{"wsgi.input": Broken()}))

    assert response.status_code in {400, 500}
    assert b"NEVERSHOWN" not in response.get_data()


@pytest.mark.parametrize(
    "value", [object(), {1}, "\ud800", 2**70, {1: 2}], ids=["object", "set", "surrogate", "too large", "number as name"]
)
def test_settings_that_are_no_json_are_answered_and_not_raised(value):
    response = answer_of(lambda _call: json_reply({}), settings={"topic": value})

    assert response.status_code in {200, 500}


def test_an_answer_that_would_kill_the_process_is_not_given():
    with log_of(LOGGER) as lines:
        response = to_response(Outbound(200, b"x" * (MAX_ANSWER_BYTES + 1)))

    assert (response.status_code, len(response.get_data()) < 1000) == (500, True)
    assert re.fullmatch(r"incident [0-9a-f]{8}: an answer of 1048577 bytes", lines[0])
