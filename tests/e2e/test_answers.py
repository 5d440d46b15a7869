"""What a sender is told, exactly, and what lies in Kafka afterwards: through HTTP, host and the plugin's process."""

import hashlib
import hmac
import json
import secrets
import socket
import time
from collections.abc import Callable

import httpx
import pytest

from devhost.host import BackgroundHost
from devhost.senders import SENDERS
from tests.e2e.topics import Topics

UNVERIFIED = {
    "type": "urn:kafka-bridge:not-verified",
    "title": "The request could not be verified",
    "status": 401,
    "detail": "The request could not be verified",
}
MIB = 1024 * 1024


def sign(secret: str, body: bytes) -> str:
    return hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()


def problem(answer: httpx.Response, status: int, slug: str) -> dict[str, object]:
    """The problem document, after its form was checked."""
    assert (answer.status_code, answer.headers["content-type"]) == (status, "application/problem+json"), answer.text
    document = answer.json()
    assert (document["status"], document["type"]) == (status, f"urn:kafka-bridge:{slug}")
    return document


@pytest.fixture
def nothing_published(topics: Topics):
    """Whatever the test does, no topic grows."""
    before = topics.counts()
    yield
    assert topics.counts() == before


class TestAccepted:
    def test_a_signed_event_is_answered_with_its_coordinates_and_lies_there(self, client, host, secret, topics):
        body = json.dumps({"id": "o-1", "event_type": "order.paid", "total": 3}).encode()
        answer = client.post(
            f"{host.url('shop')}/webhook",
            content=body,
            headers={"X-Webhook-Signature": sign(secret, body), "Content-Type": "application/json"},
        )

        assert (answer.status_code, answer.headers["content-type"]) == (200, "application/json")
        found = answer.json()
        assert {**found, "partition": 0, "offset": 0} == {
            "id": "o-1",
            "topic": "e2e.default",
            "partition": 0,
            "offset": 0,
            "duplicate": False,
        }
        message = topics.at(found["topic"], found["partition"], found["offset"])
        headers = dict(message.headers())
        assert message.value() == body
        assert message.key() is None
        assert {**headers, "ce_time": b""} == {
            "ce_specversion": b"1.0",
            "ce_id": b"o-1",
            "ce_source": b"/webhook/default",
            "ce_type": b"order.paid",
            "ce_time": b"",
            "content-type": b"application/json",
            "webhook-source": b"default",
            "webhook-scheme": b"hmac",
        }

    @pytest.mark.parametrize(
        "body", [b"", b"\xff\xfe\x00\x80", b'{"id": "\xc3\x28"}', b"\r\n", b"x" * 900_000], ids=repr
    )
    def test_any_signed_body_is_published_byte_for_byte(self, client, host, secret, topics, body):
        answer = client.post(
            f"{host.url('shop')}/webhook", content=body, headers={"X-Webhook-Signature": sign(secret, body)}
        )

        found = answer.json()
        assert answer.status_code == 200, answer.text
        assert topics.at(found["topic"], found["partition"], found["offset"]).value() == body
        assert found["id"] == hashlib.sha256(b"default\x00" + body).hexdigest()

    @pytest.mark.parametrize("scheme", sorted(SENDERS))
    def test_every_scheme_is_accepted_from_its_vendors_signature(self, client, endpoint, topics, scheme):
        secret = "whsec_" + secrets.token_urlsafe(24).replace("-", "A").replace("_", "B")
        topic = f"e2e.scheme.{scheme}.{secrets.token_hex(3)}"
        url = endpoint(scheme=scheme, webhook_secret=secret, topic=topic)
        body = b'{"id": "e-1", "type": "t"}'

        answer = client.post(f"{url}/webhook", content=body, headers=SENDERS[scheme](secret, body, time.time(), "e-1"))

        assert answer.status_code == 200, answer.text
        assert [message.value() for message in topics.read(topic)] == [body]

    def test_both_secrets_of_a_rotation_are_accepted(self, client, endpoint):
        url = endpoint(webhook_secret=json.dumps(["new-one", "old-one"]))

        statuses = [
            client.post(f"{url}/webhook", content=b"{}", headers={"X-Webhook-Signature": sign(key, b"{}")}).status_code
            for key in ("new-one", "old-one", "older-one")
        ]

        assert statuses == [200, 200, 401]

    def test_one_endpoint_serves_many_sources(self, client, endpoint, topics):
        run = secrets.token_hex(3)
        url = endpoint(
            sources=json.dumps(
                {
                    "a": {"scheme": "github", "topic": f"e2e.{run}.{{source}}.{{type}}", "key": "{body.n}"},
                    "b": {"scheme": "none", "topic": f"e2e.{run}.b"},
                }
            ),
            source_secrets=json.dumps({"a": "secret-of-a"}),
        )

        first = client.post(
            f"{url}/webhook/a", content=b'{"n": 7}', headers=SENDERS["github"]("secret-of-a", b'{"n": 7}', 0, "x")
        )
        second = client.post(f"{url}/webhook/b/", content=b"plain")

        assert (first.json()["topic"], second.json()["topic"]) == (f"e2e.{run}.a.push", f"e2e.{run}.b")
        assert topics.read(f"e2e.{run}.a.push")[0].key() == b"7"

    def test_a_repeated_signature_header_counts_by_its_last_value(self, client, host, secret):
        # The platform hands on the last of repeated headers; a right one there is a right one.
        good, bad = ("X-Webhook-Signature", sign(secret, b"x")), ("X-Webhook-Signature", "0" * 64)

        statuses = [
            client.post(f"{host.url('shop')}/webhook", content=b"x", headers=pair).status_code
            for pair in ([bad, good], [good, bad])
        ]

        assert statuses == [200, 401]


@pytest.mark.usefixtures("nothing_published")
class TestRefused:
    @pytest.mark.parametrize(
        "headers",
        [
            {},
            {"X-Webhook-Signature": ""},
            {"X-Webhook-Signature": "0" * 64},
            {"X-Webhook-Signature": "sha256="},
            {"X-Webhook-Signature": "sha1=" + "0" * 40},
            {"X-Webhook-Signature": "é" * 64},
            {"X-Webhook-Signature": "0" * 8000},
            {"X-Webhook-Signature": "0" * 100_000},
            {"X-Hub-Signature-256": "right name elsewhere"},
        ],
        ids=lambda headers: str(headers)[:50],
    )
    def test_a_signature_that_is_missing_or_wrong_gets_one_text_for_every_cause(self, client, host, headers):
        answer = client.post(
            f"{host.url('shop')}/webhook", content=b"{}", headers={k: v.encode() for k, v in headers.items()}
        )

        assert problem(answer, 401, "not-verified") == UNVERIFIED

    def test_a_right_signature_twice_in_one_header_is_not_one_signature(self, client, host, secret):
        twice = f"{sign(secret, b'{}')},{sign(secret, b'{}')}"

        answer = client.post(f"{host.url('shop')}/webhook", content=b"{}", headers={"X-Webhook-Signature": twice})

        assert problem(answer, 401, "not-verified") == UNVERIFIED

    def test_a_signature_over_another_body_is_refused(self, client, host, secret):
        answer = client.post(
            f"{host.url('shop')}/webhook", content=b"{} ", headers={"X-Webhook-Signature": sign(secret, b"{}")}
        )

        assert problem(answer, 401, "not-verified") == UNVERIFIED

    @pytest.mark.parametrize("size", [10 * MIB, 10 * MIB + 1, 12 * MIB])
    def test_a_body_that_the_platform_cuts_off_is_too_large_though_its_signature_is_right(
        self, client, host, secret, size
    ):
        body = b"x" * size

        answer = client.post(
            f"{host.url('shop')}/webhook", content=body, headers={"X-Webhook-Signature": sign(secret, body)}
        )

        assert "10 MiB" in problem(answer, 413, "too-large")["detail"]

    @pytest.mark.parametrize("size", [1_000_001, 10 * MIB - 1])
    def test_a_body_above_the_clients_limit_names_the_limit(self, client, host, secret, size):
        body = b"x" * size

        answer = client.post(
            f"{host.url('shop')}/webhook", content=body, headers={"X-Webhook-Signature": sign(secret, body)}
        )

        assert "message.max.bytes is 1000000" in problem(answer, 413, "too-large")["detail"]

    def test_a_record_that_only_its_headers_push_over_the_limit_is_refused_too(self, client, host, secret):
        body = b"x" * 999_990

        answer = client.post(
            f"{host.url('shop')}/webhook", content=body, headers={"X-Webhook-Signature": sign(secret, body)}
        )

        assert "message.max.bytes" in problem(answer, 413, "too-large")["detail"]

    def test_an_unknown_source_is_not_found(self, client, host):
        answer = client.post(f"{host.url('shop')}/webhook/unknown", content=b"{}")

        assert problem(answer, 404, "not-found")["detail"] == "There is no such source."

    @pytest.mark.parametrize(
        "value", ["a b", "a/b", "ü", "x" * 250, "..", "", None, 7.5e300, ["list"], {"an": "object"}]
    )
    def test_a_template_that_yields_no_legal_topic_is_unroutable(self, client, endpoint, value):
        url = endpoint(scheme="none", topic="{body.t}")

        answer = client.post(f"{url}/webhook", content=json.dumps({"t": value}))

        assert problem(answer, 422, "unroutable")["instance"]

    def test_a_topic_that_is_not_allowed_is_unroutable(self, client, endpoint):
        url = endpoint(scheme="none", topic="{body.t}", topic_allow="orders.*, audit")

        answer = client.post(f"{url}/webhook", content=b'{"t": "secrets"}')

        assert "allowed topics" in problem(answer, 422, "unroutable")["detail"]

    def test_publishing_can_be_switched_off_and_nothing_is_lost_silently(self, client, endpoint):
        url = endpoint(scheme="none", publishing="disabled")

        answer = client.post(f"{url}/webhook", content=b"{}")

        assert problem(answer, 503, "unavailable")["detail"] == "publishing is disabled"
        assert int(answer.headers["retry-after"]) > 0

    def test_a_kafka_that_is_away_is_a_503_with_the_cause(self, client, endpoint):
        url = endpoint(scheme="none", bootstrap_servers="127.0.0.1:1")

        answers = [client.post(f"{url}/webhook", content=b"{}") for _ in range(2)]

        assert [problem(answer, 503, "unavailable")["detail"] for answer in answers] == ["connection refused"] * 2
        assert int(answers[0].headers["retry-after"]) > 0

    @pytest.mark.parametrize(
        ("settings", "label"),
        [
            ({}, "Webhook secret"),
            ({"webhook_secret": ""}, "Webhook secret"),
            ({"webhook_secret": "   "}, "Webhook secret"),
            ({"webhook_secret": "[]"}, "Webhook secret"),
            ({"webhook_secret": '["", "x"]'}, "Webhook secret"),
            ({"webhook_secret": '{"token": "x"}'}, "Webhook secret"),
            ({"webhook_secret": "[not json"}, "Webhook secret"),
            ({"webhook_secret": "x", "bootstrap_servers": ""}, "Bootstrap servers"),
            ({"webhook_secret": "x", "bootstrap_servers": "http://broker:9092"}, "Bootstrap servers"),
            ({"webhook_secret": "x", "bootstrap_servers": "broker:99999"}, "Bootstrap servers"),
            ({"webhook_secret": "x", "scheme": "hmac256"}, "Signature scheme"),
            ({"webhook_secret": "x", "security_protocol": "TLS"}, "Security protocol"),
            ({"webhook_secret": "x", "security_protocol": "SASL_SSL"}, "SASL user name"),
            ({"webhook_secret": "x", "sasl_username": "only a name"}, "SASL password"),
            ({"webhook_secret": "x", "ssl_ca_pem": "no pem"}, "CA certificate (PEM)"),
            ({"webhook_secret": "x", "client_config": "{"}, "Extra client properties (JSON)"),
            ({"webhook_secret": "x", "client_config": '{"acks": 0}'}, "Extra client properties (JSON)"),
            ({"webhook_secret": "x", "client_config": '{"linger.ms": "soon"}'}, "Extra client properties (JSON)"),
            ({"webhook_secret": "x", "topic": "{"}, "Topic"),
            ({"webhook_secret": "x", "topic": "a topic"}, "Topic"),
            ({"webhook_secret": "x", "key": "{nothing}"}, "Record key"),
            ({"webhook_secret": "x", "sources": "[]"}, "Sources (JSON)"),
            ({"webhook_secret": "x", "sources": "nonsense"}, "Sources (JSON)"),
            ({"webhook_secret": "x", "source_secrets": "nonsense"}, "Source secrets (JSON)"),
            ({"webhook_secret": "x", "publishing": "perhaps"}, "Publishing"),
        ],
        ids=str,
    )
    def test_settings_that_cannot_work_are_the_operators_fault_and_named(self, client, endpoint, settings, label):
        url = endpoint(**settings)
        body = b"{}"

        answer = client.post(f"{url}/webhook", content=body, headers={"X-Webhook-Signature": sign("x", body)})

        assert label in problem(answer, 500, "settings-invalid")["detail"]

    def test_a_header_that_is_not_utf8_never_reaches_the_plugin(self, host, secret):
        raw = (
            b"POST /e/shop/webhook HTTP/1.1\r\nHost: x\r\nX-Webhook-Signature: %s\r\nX-Other: \xff\r\n"
            % sign(secret, b"{}").encode()
        )

        assert exchange(host, raw + b"Content-Length: 2\r\n\r\n{}").startswith(b"HTTP/1.1 500 ")

    def test_a_header_name_with_an_underscore_never_reaches_the_plugin(self, host, secret):
        raw = (
            b"POST /e/shop/webhook HTTP/1.1\r\nHost: x\r\nX-Webhook-Signature: %s\r\nX_Other: 1\r\n"
            % sign(secret, b"{}").encode()
        )

        assert exchange(host, raw + b"Content-Length: 2\r\n\r\n{}").startswith(b"HTTP/1.1 500 ")


class TestOtherPaths:
    def test_a_probe_of_a_webhook_path_says_that_it_is_there(self, client, host):
        answer = client.get(f"{host.url('shop')}/webhook")

        assert (answer.status_code, answer.json()) == (
            200,
            {"status": "healthy", "service": "kafka_bridge", "source": "default"},
        )
        assert client.head(f"{host.url('shop')}/webhook").status_code == 200
        assert client.get(f"{host.url('shop')}/webhook/unknown").status_code == 404

    def test_options_names_the_methods(self, client, host):
        assert client.options(f"{host.url('shop')}/webhook").headers["allow"] == "GET, HEAD, OPTIONS, POST"

    @pytest.mark.parametrize("path", ["webhook", "webhook/", "webhook/default"])
    def test_the_default_source_has_three_spellings(self, client, host, secret, path):
        answer = client.post(
            f"{host.url('shop')}/{path}", content=b"{}", headers={"X-Webhook-Signature": sign(secret, b"{}")}
        )

        assert answer.json()["topic"] == "e2e.default"

    @pytest.mark.parametrize("method", ["PUT", "DELETE"])
    def test_another_method_is_not_allowed(self, client, host, method):
        answer = client.request(method, f"{host.url('shop')}/webhook")

        assert problem(answer, 405, "method-not-allowed")
        assert answer.headers["allow"] == "GET, HEAD, OPTIONS, POST"

    @pytest.mark.parametrize("path", ["nowhere", "webhook/a/b", "a//b", "%2e%2e/etc", "health/x"])
    def test_an_unknown_path_is_not_found(self, client, host, path):
        problem(client.get(f"{host.url('shop')}/{path}"), 404, "not-found")

    def test_health_is_open_and_its_detail_is_not(self, client, host, token):
        closed = client.get(f"{host.url('shop')}/health")
        opened = client.get(f"{host.url('shop')}/health", headers={"Authorization": f"Bearer {token}"})

        assert (closed.status_code, set(closed.json())) == (200, {"status", "kafka", "storage", "consumer"})
        assert opened.json()["detail"] == {"problems": [], "warnings": [], "sources": {"default": "hmac"}}

    def test_health_names_what_is_wrong(self, client, endpoint, token):
        away = client.get(f"{endpoint(scheme='none', bootstrap_servers='127.0.0.1:1')}/health")
        empty = client.get(f"{endpoint(api_token=token)}/health", headers={"Authorization": f"Bearer {token}"})

        assert (away.status_code, away.json()["kafka"]) == (503, "connection refused")
        assert empty.status_code == 503
        assert empty.json()["detail"]["problems"] == ["Webhook secret (source default): missing."]

    def test_management_asks_for_the_token_before_anything_else(self, client, host, endpoint, token):
        url = f"{host.url('shop')}/events"

        refused = client.get(url)
        assert problem(refused, 401, "unauthorized")
        assert refused.headers["www-authenticate"] == "Bearer"
        assert client.get(url, headers={"Authorization": "Bearer wrong"}).status_code == 401
        assert client.get(url, headers={"Authorization": f"Bearer {token}"}).status_code == 200
        assert (
            "API token"
            in problem(client.get(f"{endpoint(scheme='none')}/events"), 403, "token-not-configured")["detail"]
        )


def exchange(host: BackgroundHost, raw: bytes) -> bytes:
    """One request over a socket, byte for byte; the answer until the server closes."""
    with socket.create_connection(("127.0.0.1", host.host.port), timeout=20) as connection:
        connection.sendall(raw.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n", 1))
        answer = b""
        while chunk := connection.recv(65536):
            answer += chunk
    return answer


def test_no_secret_reaches_the_log(client: httpx.Client, endpoint: Callable[..., str], host: BackgroundHost):
    marker = "marker" + secrets.token_hex(8)
    url = endpoint(
        webhook_secret=marker,
        api_token=marker,
        sasl_username="u",
        sasl_password=marker,
        bootstrap_servers="127.0.0.1:1",
        source_secrets=json.dumps({"a": marker}),
        ssl_key_pem=marker,
    )
    for path in ("webhook", "webhook/a", "health", "events"):
        answers = [client.post(f"{url}/{path}", content=marker), client.get(f"{url}/{path}")]
        assert not any(marker in answer.text for answer in answers)

    assert not [line for _, line in host.lines if marker in line]
    assert any("webhook answered" in line for kind, line in host.lines if kind == "log")
