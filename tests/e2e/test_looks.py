"""`/metrics` and `/consumer` through HTTP, host and the plugin's process."""

import json
import threading
from typing import Any

import httpx
from prometheus_client.parser import text_string_to_metric_families

from tests.brokers import wait_until
from tests.e2e.consuming import Endpoint, event, fresh

PREFIX = "kafka_bridge_"


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def scrape(client: httpx.Client, url: str, token: str) -> dict[str, float]:
    """Samples by name; those with labels of their own with the values of these behind it."""
    answer = client.get(f"{url}/metrics", headers=bearer(token))
    assert answer.status_code == 200, answer.text
    found: dict[str, float] = {}
    for family in text_string_to_metric_families(answer.text):
        for sample in family.samples:
            labels = [value for name, value in sorted(sample.labels.items()) if name != "endpoint"]
            found[" ".join([sample.name.removeprefix(PREFIX), *labels])] = sample.value
    return found


def consumer(endpoint: Endpoint) -> dict[str, Any]:
    answer = endpoint.client.get(f"{endpoint.url}/consumer", headers=bearer(endpoint.token))
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_requests_are_counted_by_what_became_of_them(endpoint, token, client):
    url = endpoint(
        api_token=token,
        webhook_secret="x",
        sources=json.dumps(
            {
                "a": {"scheme": "none", "topic": fresh("t"), "dedupe_seconds": 60, "routes": {"noise": "drop"}},
            }
        ),
    )
    for body in (b'{"id": "1"}', b'{"id": "1"}', b'{"id": "2"}', b'{"id": "3", "type": "noise"}'):
        assert client.post(f"{url}/webhook/a", content=body).status_code == 200
    assert client.post(f"{url}/webhook", content=b"{}").status_code == 401
    assert client.post(f"{url}/webhook/nobody", content=b"{}").status_code == 404

    found = scrape(client, url, token)

    requests = {name: value for name, value in found.items() if name.startswith("webhook_requests_total")}
    assert requests == {
        "webhook_requests_total accepted a": 2,
        "webhook_requests_total duplicate a": 1,
        "webhook_requests_total dropped a": 1,
        "webhook_requests_total rejected default": 1,
    }
    assert found["records_published_total"] == found["publish_latency_seconds_count"] == 2
    assert found["webhook_request_duration_seconds_count"] == 5
    assert (found["producer_connected"], found["producer_queue_records"], found["event_log_recorded_total"]) == (
        1,
        0,
        5,
    )


def test_runs_and_the_lag_are_counted(consuming, client):
    endpoint = consuming(max_attempts="1")
    endpoint.produce(event(n) for n in range(5))

    def act(inputs: dict[str, Any]) -> dict[str, object]:
        if inputs["event_id"] == "e-1":
            raise ValueError("boom")
        return {}

    endpoint.flow.act = act
    endpoint.consume_until(lambda totals: totals["consumed"] == 3, max_records=3)
    found = scrape(client, endpoint.url, endpoint.token)

    assert (found["runs_total succeeded"], found["runs_total failed"], found["dead_letters_total"]) == (2, 1, 1)
    assert found["run_duration_seconds_count"] == 3
    assert found[f"consumer_lag_records {endpoint.topic}"] == 2
    assert found["runs_in_flight"] == 0


def test_whoever_looks_at_the_consumer_joins_nothing(consuming):
    endpoint = consuming()

    for _ in range(3):
        assert consumer(endpoint)["state"] == "idle"
    scrape(endpoint.client, endpoint.url, endpoint.token)

    assert (consumer(endpoint)["assigned"], endpoint.committed()) == ([], -1001)


def test_a_consumer_is_seen_at_work_and_afterwards(consuming):
    endpoint = consuming(concurrency="2")
    endpoint.produce(event(n) for n in range(4))
    running, free = threading.Event(), threading.Event()

    def act(_: dict[str, Any]) -> dict[str, object]:
        running.set()
        free.wait(30)
        return {}

    endpoint.flow.act = act
    window = threading.Thread(target=lambda: endpoint.consume(max_seconds=20))
    window.start()
    try:
        assert running.wait(20)
        wait_until(lambda: consumer(endpoint)["in_flight"] == 2)
        busy = consumer(endpoint)
        in_flight = scrape(endpoint.client, endpoint.url, endpoint.token)["runs_in_flight"]
    finally:
        free.set()
        window.join(30)
    after = consumer(endpoint)

    assert (busy["state"], busy["waiting"], busy["lag"], in_flight) == ("running", 2, 4, 2)
    assert (busy["assigned"][0]["topic"], busy["assigned"][0]["position"]) == (endpoint.topic, 0)
    assert (after["state"], after["in_flight"], after["waiting"]) == ("joined", 0, 0)
    (assigned,) = [each for each in after["assigned"] if each["partition"] == 0]
    assert (assigned["position"], assigned["lag"], after["lag"]) == (4, 0, 0)
    assert (after["trouble"], after["circuit"], after["blocked"], after["problems"]) == (None, None, {}, [])


def test_a_wrong_app_is_told_and_degrades_health(consuming):
    endpoint = consuming(scheme="none")
    endpoint.flow.down = "fetch app failed: data is nil"
    endpoint.produce([event(0)])
    endpoint.consume(max_seconds=5)

    found = consumer(endpoint)
    health = endpoint.client.get(f"{endpoint.url}/health").json()

    assert found["circuit"]
    assert health["consumer"] in {"the app cannot be run", "Dify is not available"}
    assert (health["status"], "detail" in health) == ("degraded", False)
