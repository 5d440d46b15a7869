"""What `POST /consume` and `POST /dispatch` say when they cannot do anything."""

import time

import pytest

from tests.e2e.conftest import Consuming

PATHS = ("/consume", "/dispatch")
# What a refused port is waited for, and what a broker needs to say the rest, on a machine that does other things too.
SOON_S = 6.0


@pytest.mark.parametrize(
    "body",
    [
        b"[]",
        b"{",
        b"\xff",
        b'"x"',
        b'{"max_record": 1}',
        b'{"max_records": 0}',
        b'{"max_records": "5"}',
        b'{"max_records": true}',
        b'{"max_records": 1.5}',
        b'{"max_records": 1e999}',
        b'{"max_records": 100001}',
        b'{"max_seconds": 0}',
        b'{"max_seconds": -1}',
        b'{"max_seconds": 301}',
        b'{"max_seconds": null}',
        b'{"max_seconds": false}',
        b'{"wait": 1}',
        b"[" * 100_000,
    ],
)
def test_a_body_that_asks_for_no_window_is_malformed(consuming: Consuming, body):
    answer = consuming().post("/consume", body)

    assert answer.status_code == 400, answer.text
    assert answer.json()["type"] == "urn:kafka-bridge:malformed"


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("header", [None, "Bearer wrong", "Basic x", "Bearer"])
def test_without_the_token_nothing_is_run(consuming: Consuming, path, header):
    shop = consuming()
    headers = {} if header is None else {"Authorization": header}

    answer = shop.client.post(f"{shop.url}{path}", content=b"{}", headers=headers)

    assert (answer.status_code, answer.headers["www-authenticate"]) == (401, "Bearer")
    assert not shop.flow.calls


@pytest.mark.parametrize("path", PATHS)
def test_an_endpoint_without_a_token_runs_nothing_and_names_the_setting(consuming: Consuming, path):
    answer = consuming(api_token="").post(path, b"{}")

    assert answer.status_code == 403
    assert "“API token”" in answer.json()["detail"]


@pytest.mark.parametrize(
    ("path", "settings", "label"),
    [
        ("/consume", {"app": None}, "App to run"),
        ("/dispatch", {"app": None}, "App to run"),
        ("/consume", {"consume_topics": ""}, "Topics to consume"),
        ("/consume", {"consume_topics": "a b"}, "Topics to consume"),
        ("/consume", {"concurrency": "many"}, "Runs at once"),
        ("/dispatch", {"concurrency": "0"}, "Runs at once"),
        ("/consume", {"consume_topics": "t", "dead_letter_topic": "t"}, "Dead-letter topic"),
        ("/consume", {"consume_topics": "t", "result_topic": "t"}, "Result topic"),
        ("/consume", {"input_mapping": '{"a": "{nothing}"}'}, "Input mapping (JSON)"),
        ("/consume", {"bootstrap_servers": ""}, "Bootstrap servers"),
    ],
)
def test_settings_that_cannot_work_are_named_by_their_label(consuming: Consuming, path, settings, label):
    answer = consuming(**settings).post(path, b"{}")

    assert answer.status_code == 500, answer.text
    assert answer.json()["type"] == "urn:kafka-bridge:settings-invalid"
    assert f"{label}: " in answer.json()["detail"]


def test_without_topics_records_that_are_brought_are_run(consuming: Consuming):
    assert consuming(consume_topics="").post("/dispatch", b"{}").status_code == 200


@pytest.mark.parametrize(
    ("servers", "cause"),
    [("127.0.0.1:1", "connection refused"), ("no-such-host.invalid:9092", "host not found")],
)
def test_a_broker_that_cannot_be_reached_is_named_soon(consuming: Consuming, servers, cause):
    shop, began = consuming(bootstrap_servers=servers), time.monotonic()

    answer = shop.post("/consume", b"{}")

    assert (answer.status_code, answer.json()["detail"]) == (503, cause)
    assert answer.headers["retry-after"]
    assert time.monotonic() - began < SOON_S


@pytest.mark.parametrize("path", PATHS)
def test_another_method_is_not_allowed(consuming: Consuming, path):
    shop = consuming()

    answer = shop.client.get(f"{shop.url}{path}", headers={"Authorization": f"Bearer {shop.token}"})

    assert (answer.status_code, answer.headers["allow"]) == (405, "POST")
