"""`POST /dispatch` and `"run": true`: the run's end is the answer of the one, and only in the answer of the other."""

import json

import pytest

from devhost.senders import SENDERS
from kafka_bridge.dify.http import MAX_ANSWER_BYTES
from tests.e2e.conftest import Consuming
from tests.e2e.consuming import API_DOWN, NOT_PUBLISHED, fresh
from tests.e2e.topics import Topics

NOW = 0.0


def only_even(inputs):
    """Fails for odd numbers."""
    if inputs["n"] % 2:
        raise RuntimeError(f"{inputs['n']} is odd")
    return {"half": inputs["n"] // 2}


class TestFormats:
    def test_one_value(self, consuming: Consuming):
        shop = consuming()

        told = shop.post("/dispatch", b'{"n": 1}', **{"Content-Type": "application/json"}).json()

        assert (told["run"], told["outputs"]) == ("succeeded", {"seen": told["id"]})
        assert told["run_id"]
        assert (shop.flow.calls[0]["n"], shop.flow.calls[0]["topic"]) == (1, "dispatch")

    def test_the_same_value_is_the_same_event(self, consuming: Consuming):
        shop = consuming()

        first, second = (shop.post("/dispatch", b"text").json()["id"] for _ in range(2))

        assert first == second
        assert [call["message"] for call in shop.flow.calls] == ["text", "text"]

    @pytest.mark.parametrize(
        ("body", "content_type"),
        [
            (b'[{"n": 0}, {"n": 2}, {"n": 4}]', "application/json"),
            (b'{"n": 0}\n\n{"n": 2}\r\n{"n": 4}', "application/x-ndjson"),
        ],
    )
    def test_many_values_are_answered_in_their_order(self, consuming: Consuming, body, content_type):
        shop = consuming()
        shop.flow.act = only_even

        told = shop.post("/dispatch", body, **{"Content-Type": content_type}).json()

        assert told["count"] == 3
        assert [record["outputs"] for record in told["records"]] == [{"half": 0}, {"half": 1}, {"half": 2}]

    def test_a_cloudevent_in_each_of_its_modes(self, consuming: Consuming):
        shop = consuming()
        attributes = {"specversion": "1.0", "id": "ce-1", "source": "/s", "type": "t.x"}
        structured = json.dumps({**attributes, "data": {"n": 1}}).encode()

        answers = [
            shop.post("/dispatch", b'{"n": 1}', **{f"ce-{name}": text for name, text in attributes.items()}).json(),
            shop.post("/dispatch", structured, **{"Content-Type": "application/cloudevents+json"}).json(),
            shop.post(
                "/dispatch", b"[%b]" % structured, **{"Content-Type": "application/cloudevents-batch+json"}
            ).json()["records"][0],
        ]

        assert [answer["id"] for answer in answers] == ["ce-1"] * 3
        assert [(call["event_id"], call["event_type"], call["n"]) for call in shop.flow.calls] == [
            ("ce-1", "t.x", 1)
        ] * 3

    def test_a_record_in_kafkas_own_words(self, consuming: Consuming):
        shop = consuming()
        record = {"topic": "o", "partition": 3, "offset": 7, "key": "k", "value": {"n": 1}, "headers": {"a": "b"}}

        told = shop.post("/dispatch", json.dumps(record).encode()).json()

        (call,) = shop.flow.calls
        assert told["id"] == "o-3-7"
        assert [call[name] for name in ("topic", "partition", "offset", "key", "n")] == ["o", 3, 7, "k", 1]
        assert call["headers"]["a"] == "b"

    @pytest.mark.parametrize(
        ("body", "content_type", "status"),
        [
            (b'{"topic": 5, "value": 1}', "application/json", 400),
            (b'{"value": 1, "offset": "x"}', "application/json", 400),
            (b'{"n": 1}\n{', "application/x-ndjson", 400),
            (b"{}", "application/cloudevents+json", 400),
            (b"{}", "application/cloudevents-batch+json", 400),
            (b"\n".join([b"1"] * 4001), "application/x-ndjson", 413),
        ],
    )
    def test_what_is_none_is_refused_and_nothing_is_run(self, consuming: Consuming, body, content_type, status):
        shop = consuming()

        answer = shop.post("/dispatch", body, **{"Content-Type": content_type})

        assert answer.status_code == status, answer.text
        assert not shop.flow.calls

    def test_no_records_are_done_at_once(self, consuming: Consuming):
        answer = consuming().post("/dispatch", b"[]")

        assert (answer.status_code, answer.json()["count"]) == (200, 0)


class TestStatus:
    def test_a_failed_run_is_a_502_that_says_which(self, consuming: Consuming):
        shop = consuming()
        shop.flow.act = only_even

        answer = shop.post("/dispatch", b'[{"n": 2}, {"n": 3}]')

        assert (answer.status_code, answer.json()["detail"]) == (502, "3 is odd")
        assert [record["run"] for record in answer.json()["records"]] == ["succeeded", "failed"]

    @pytest.mark.parametrize(("words", "status"), [(API_DOWN, 503), (NOT_PUBLISHED, 500)])
    def test_an_app_that_cannot_run(self, consuming: Consuming, words, status):
        shop = consuming()
        shop.flow.down = words

        answer = shop.post("/dispatch", b"{}")

        assert answer.status_code == status
        assert answer.headers.get("retry-after") == ("5" if status == 503 else None)

    def test_a_refused_input_is_a_422(self, consuming: Consuming):
        shop = consuming()
        shop.flow.form = [{"paragraph": {"variable": "text", "required": True}}]

        answer = shop.post("/dispatch", b"{}")

        assert (answer.status_code, answer.json()["detail"]) == (422, "text is required in input form")

    def test_after_one_that_failed_no_other_of_its_key_is_run(self, consuming: Consuming):
        shop = consuming()
        shop.flow.act = only_even
        records = [{"key": key, "value": {"n": n}} for key, n in (("a", 1), ("a", 2), ("b", 4), (None, 6), (None, 8))]

        answer = shop.post("/dispatch", json.dumps(records).encode())

        assert [record["run"] for record in answer.json()["records"]] == [
            "failed",
            "not started",
            *["succeeded"] * 3,
        ]
        assert sorted(call["n"] for call in shop.flow.calls) == [1, 4, 6, 8]

    def test_outputs_that_no_answer_can_hold_cost_the_caller_nothing_but_the_outputs(self, consuming: Consuming):
        shop = consuming()
        shop.flow.act = lambda inputs: {"text": "x" * MAX_ANSWER_BYTES}

        answer = shop.post("/dispatch", b"{}")

        assert answer.status_code == 200, answer.text
        assert answer.json()["run"] == "succeeded"
        assert answer.json()["run_id"]
        assert ("outputs" in answer.json(), answer.json()["left_out"]) == (False, ["outputs"])

    def test_records_whose_ids_alone_are_too_long_for_an_answer_are_not_run(self, consuming: Consuming):
        shop = consuming()
        records = [{"value": 1, "headers": {"ce_id": f"{n}" * 1000}} for n in range(2000)]

        answer = shop.post("/dispatch", json.dumps(records).encode())

        assert answer.status_code == 413
        assert not shop.flow.calls


class TestSigned:
    def test_a_body_that_is_signed_with_the_webhook_secret_needs_no_token(self, consuming: Consuming, secret):
        shop = consuming(webhook_secret=secret)
        signed = SENDERS["hmac"](secret, b'{"n": 1}', NOW, "")

        right = shop.client.post(f"{shop.url}/dispatch", content=b'{"n": 1}', headers=signed)
        forged = shop.client.post(f"{shop.url}/dispatch", content=b'{"n": 2}', headers=signed)
        windows = shop.client.post(f"{shop.url}/consume", content=b'{"n": 1}', headers=signed)

        assert (right.status_code, forged.status_code, windows.status_code) == (200, 401, 401)
        assert len(shop.flow.calls) == 1

    def test_without_a_secret_no_signature_is_right(self, consuming: Consuming):
        shop = consuming()
        signed = SENDERS["hmac"]("", b"{}", NOW, "")

        assert shop.client.post(f"{shop.url}/dispatch", content=b"{}", headers=signed).status_code == 401


class TestRunAfterPublishing:
    @pytest.fixture
    def live(self, consuming: Consuming):
        """An endpoint whose source `live` runs what it takes."""

        def make(**entry):
            topic = fresh("live")
            described = {"live": {"scheme": "none", "run": True, "topic": topic, **entry}}
            return consuming(sources=json.dumps(described), consume_topics=topic)

        return make

    def test_the_run_is_in_the_answer(self, live):
        shop = live()

        answer = shop.post("/webhook/live", b'{"id": "x-1", "n": 1}')

        told = answer.json()
        assert (answer.status_code, told["id"], told["run"], told["outputs"]) == (
            200,
            "x-1",
            "succeeded",
            {"seen": "x-1"},
        )
        assert told["duplicate"] is False

    def test_it_is_never_the_answers_condition(self, live, topics: Topics):
        shop = live()
        shop.flow.act = only_even
        failed = shop.post("/webhook/live", b'{"id": "x-1", "n": 1}')
        shop.flow.down = API_DOWN
        other = live()
        other.flow.down = API_DOWN
        down = other.post("/webhook/live", b'{"id": "x-2", "n": 2}')
        huge = live()
        huge.flow.act = lambda inputs: {"text": "x" * MAX_ANSWER_BYTES}
        long = huge.post("/webhook/live", b'{"id": "x-3"}')

        assert [(each.status_code, each.json()["run"]) for each in (failed, down, long)] == [
            (200, "failed"),
            (200, "unavailable"),
            (200, "succeeded"),
        ]
        assert failed.json()["error"] == "1 is odd"
        assert "outputs" not in long.json()
        assert [topics.count(each.topic) for each in (shop, other, huge)] == [1, 1, 1]

    def test_an_event_that_comes_again_is_not_run_again(self, live):
        shop = live(dedupe_seconds=60)

        first, second = (shop.post("/webhook/live", b'{"id": "once"}').json() for _ in range(2))

        assert (first["run"], "run" in second, second["duplicate"]) == ("succeeded", False, True)
        assert shop.flow.ids() == ["once"]

    def test_each_event_of_a_batch_has_its_own(self, live):
        shop = live()
        shop.flow.act = only_even
        lines = b"\n".join(json.dumps({"id": f"b-{n}", "n": n}).encode() for n in range(4))

        told = shop.post("/webhook/live", lines, **{"Content-Type": "application/x-ndjson"}).json()

        assert [record["run"] for record in told["records"]] == ["succeeded", "failed"] * 2

    def test_a_batch_whose_errors_are_long_is_answered(self, live):
        shop = live()

        def act(inputs):
            raise RuntimeError("long " * 100)

        shop.flow.act = act
        lines = b"\n".join(b'{"id": "b-%d"}' % n for n in range(2500))

        answer = shop.post("/webhook/live", lines, **{"Content-Type": "application/x-ndjson"})

        assert answer.status_code == 200, answer.text
        assert {record["run"] for record in answer.json()["records"]} == {"failed"}

    def test_without_an_app_the_event_is_taken_all_the_same(self, consuming: Consuming):
        topic = fresh("live")
        shop = consuming(app=None, sources=json.dumps({"live": {"scheme": "none", "run": True, "topic": topic}}))

        answer = shop.post("/webhook/live", b'{"id": "x-1"}')

        assert (answer.status_code, answer.json()["run"]) == (200, "misconfigured")
        assert "App to run: missing" in answer.json()["error"]
