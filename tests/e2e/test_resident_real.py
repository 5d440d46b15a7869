"""The resident consumer on a real Kafka: how soon a webhook runs, two processes of the plugin, and the end of one."""

import statistics
import time

import pytest

from devhost.host import BackgroundHost
from tests.brokers import wait_until
from tests.e2e.consuming import Endpoint, Flow, endpoint_on, event, fresh
from tests.real.kafka import RealKafka

pytestmark = pytest.mark.real

WEBHOOKS = 30
LONG_S = 40.0


@pytest.fixture
def on(kafka: RealKafka, token: str, client):
    """Put an endpoint on a host, with the protocol and the fetches that are the default."""

    def make(host: BackgroundHost, flow: Flow, **settings: object) -> Endpoint:
        on = {"bootstrap_servers": kafka.bootstrap, "consumer": "enabled", "scheme": "none", **settings}
        return endpoint_on(host, "flow", flow, token=token, client=client, **on)

    return make


def host_of(flow: Flow, **environment: str) -> BackgroundHost:
    return BackgroundHost(endpoints={}, apps={"flow": flow}, environment=environment)


def members(kafka: RealKafka, group: str) -> int:
    """How many the broker counts in a group."""
    admin = kafka.admin()
    return len(admin.describe_consumer_groups([group])[group].result(20).members)


def test_how_soon_a_webhook_runs_its_workflow(kafka: RealKafka, on, figures):
    flow, topic = Flow(), fresh("orders")
    kafka.create_topics(topic)
    started: dict[str, float] = {}
    flow.act = lambda inputs: started.setdefault(inputs["event_id"], time.perf_counter()) and {}
    with host_of(flow) as host:
        shop = on(host, flow, topic=topic, consume_topics=topic)
        delays = []
        for number in range(WEBHOOKS + 1):
            began = time.perf_counter()
            assert shop.post("/webhook", b'{"id": "w-%d"}' % number).status_code == 200
            wait_until(lambda number=number: f"w-{number}" in started, LONG_S)
            delays.append((started[f"w-{number}"] - began) * 1000)

    # The first one has waited for the consumer to join its group.
    median = statistics.median(delays[1:])
    figures(f"webhook to the start of its workflow, on a real Kafka: {median:.0f} ms, slowest {max(delays[1:]):.0f} ms")
    # A tenth of it is the bar, on a machine that does nothing else.
    assert median < 1000


def test_two_processes_share_the_records_and_one_takes_over_what_the_other_leaves(kafka: RealKafka, on):
    flows, topic, group = [Flow(), Flow()], fresh("orders"), fresh("group")
    kafka.create_topics(topic, partitions=2)
    with host_of(flows[0], KAFKA_BRIDGE_WINDOW_S="1") as first, host_of(flows[1], KAFKA_BRIDGE_WINDOW_S="1") as second:
        shops = [
            on(host, flow, consume_topics=topic, group_id=group)
            for host, flow in zip((first, second), flows, strict=True)
        ]
        wait_until(lambda: [len(shop.consumer()["assigned"]) for shop in shops] == [1, 1], LONG_S)
        shops[0].produce(event(n) | {"partition": n % 2} for n in range(10))
        wait_until(lambda: sum(len(flow.calls) for flow in flows) == 10, LONG_S)
        assert sorted(flows[0].ids() + flows[1].ids()) == sorted(f"e-{n}" for n in range(10))
        assert [len(flow.calls) for flow in flows] == [5, 5]

        # Its endpoint is deleted: it finds out, leaves, and the other one has all.
        first.remove(shops[0].hook)
        wait_until(lambda: members(kafka, group) == 1, LONG_S)
        wait_until(lambda: len(shops[1].consumer()["assigned"]) == 2, LONG_S)
        shops[1].produce(event(n) | {"partition": n % 2} for n in range(10, 14))
        wait_until(lambda: len(flows[1].calls) == 9, LONG_S)
        assert shops[1].post("/consumer/stop").status_code == 200
        wait_until(lambda: members(kafka, group) == 0, LONG_S)

    assert sorted(flows[0].ids() + flows[1].ids()) == sorted(f"e-{n}" for n in range(14))
