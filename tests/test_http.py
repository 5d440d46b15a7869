import json

import pytest

from kafka_bridge import errors
from kafka_bridge.errors import Cause
from kafka_bridge.http import Inbound, json_reply, problem


def document(outbound):
    return json.loads(outbound.body)


def test_a_problem_is_a_document_of_rfc_9457():
    outbound = problem(errors.Unroutable("The topic cannot be made."), instance="evt_1")

    assert outbound.status == 422
    assert outbound.content_type == "application/problem+json"
    assert document(outbound) == {
        "type": "urn:kafka-bridge:unroutable",
        "title": "The event cannot be routed to a topic",
        "status": 422,
        "detail": "The topic cannot be made.",
        "instance": "evt_1",
    }


def test_a_problem_without_a_known_event_has_no_instance():
    assert "instance" not in document(problem(errors.NotFound()))


def test_unavailable_says_when_to_come_back():
    outbound = problem(errors.Unavailable(Cause.CONNECTION_REFUSED, "10.0.0.7:9092: Connection refused"))

    assert outbound.status == 503
    assert outbound.headers == (("Retry-After", "2"),)
    assert document(outbound)["detail"] == "connection refused"
    assert b"10.0.0.7" not in outbound.body


def test_unauthorized_names_the_way_to_authenticate():
    outbound = problem(errors.Unauthorized())

    assert outbound.status == 401
    assert outbound.headers == (("WWW-Authenticate", "Bearer"),)


def test_method_not_allowed_names_the_methods_that_are():
    outbound = problem(errors.MethodNotAllowed(["GET", "HEAD"]))

    assert outbound.status == 405
    assert outbound.headers == (("Allow", "GET, HEAD"),)


@pytest.mark.parametrize("reason", ["no signature", "the signature does not match", "the timestamp is 301 s old", ""])
def test_unverified_is_answered_alike_whatever_the_reason(reason):
    assert problem(errors.Unverified("another reason")) == problem(errors.Unverified(reason))


def test_the_status_of_the_document_is_the_status_of_the_answer():
    for error in (errors.Malformed(), errors.TokenNotConfigured(), errors.TooLarge(), errors.Internal("0badcafe")):
        outbound = problem(error)

        assert outbound.status == document(outbound)["status"]


def test_an_inbound_finds_headers_by_lower_case_name():
    inbound = Inbound(method="GET", path="/", headers={"x-event": "push"})

    assert inbound.header("x-event") == "push"
    assert inbound.header("x-other") == ""


def test_a_json_reply_is_json():
    outbound = json_reply({"id": "ü", "offset": None})

    assert (outbound.status, outbound.content_type) == (200, "application/json")
    assert document(outbound) == {"id": "ü", "offset": None}
