"""What came in is recorded in storage, through HTTP, host and the plugin's process; no sender notices."""

import asyncio
import json
import re
import secrets
import statistics
import time
from collections.abc import Callable, Iterator

import httpx
import pytest

from devhost.host import BackgroundHost
from devhost.storage import Accounting, Storage
from tests.brokers import SOAK, Broker, wait_until
from tests.e2e.consuming import Endpoint, Flow, fresh
from tests.e2e.storing import BROKEN, Faults, Shop, stored_events, stored_texts

# What the last of a row of requests has left behind is written by the next one, a second later at the most.
GROUP_S = 1.0
WAIT_S = 0.25
# What a busy machine adds to the slowest of some dozens of requests.
NOISE_S = 0.25

type MakeShop = Callable[..., Shop]


@pytest.fixture(scope="module")
def flow() -> Flow:
    """The app of the module's host."""
    return Flow()


@pytest.fixture(scope="module")
def faults() -> Faults:
    """What is wrong with the storage of the module's host."""
    return Faults()


@pytest.fixture(scope="module")
def recording_host(embedded: Broker, flow: Flow, faults: Faults) -> Iterator[BackgroundHost]:
    """A host whose storage can be disturbed."""
    with BackgroundHost(
        endpoints={}, bootstrap=embedded.bootstrap, apps={"flow": flow}, around_storage=faults
    ) as running:
        yield running


@pytest.fixture
def shop(recording_host: BackgroundHost, client: httpx.Client, faults: Faults) -> Iterator[MakeShop]:
    """Configure endpoints of the test's own; storage works before and after it."""
    made: list[str] = []
    faults.mend()

    def make(host: BackgroundHost = recording_host, **settings: object) -> Shop:
        hook, secret, token = fresh("hook"), secrets.token_urlsafe(24), secrets.token_urlsafe(16)
        host.configure(
            hook,
            {"webhook_secret": secret, "api_token": token, "topic": fresh("t"), "keep_events": "100000", **settings},
        )
        if host is recording_host:
            made.append(hook)
        return Shop(host.url(hook), secret, token, client)

    yield make
    faults.mend()
    for hook in made:
        recording_host.remove(hook)


def ids(events):
    return [event["event_id"] for event in events]


# What is recorded.


class TestRecorded:
    def test_an_accepted_event_is_there_with_where_it_lies_when_its_sender_has_the_answer(self, shop, recording_host):
        one = shop(key="{body.customer}")
        answer = one.deliver({"id": "e-1", "event_type": "order.paid", "customer": "c-17"}, user_agent="shop/1").json()

        (event,) = one.events()
        assert {**event, "id": "", "time": "", "duration_ms": 0} == {
            "id": "",
            "time": "",
            "outcome": "accepted",
            "source": "default",
            "scheme": "hmac",
            "event_id": "e-1",
            "type": "order.paid",
            "id_signed": True,
            "verdict": "verified",
            "reason": "",
            "topic": answer["topic"],
            "partition": answer["partition"],
            "offset": answer["offset"],
            "key": "c-17",
            "status": 200,
            "duration_ms": 0,
            "runs": [],
        }
        assert 0 < event["duration_ms"] < 30_000
        whole = one.show(event["id"])
        assert json.loads(whole["body"]) == {"id": "e-1", "event_type": "order.paid", "customer": "c-17"}
        assert (whole["method"], whole["path"], whole["body_bytes"]) == ("POST", "/webhook", len(whole["body"]))
        assert whole["headers"]["user-agent"] == "shop/1"
        assert "x-webhook-signature" not in whole["headers"]
        assert event["id"] in stored_events(recording_host.host.storage)

    def test_a_duplicate_and_what_a_route_drops_are_told_apart(self, shop):
        one = shop(sources=json.dumps({"default": {"dedupe_seconds": 60, "routes": {"noise.*": "drop"}}}))
        first, again, dropped = (
            one.deliver({"id": event_id, "event_type": event_type}).json()
            for event_id, event_type in (("e-1", "order.paid"), ("e-1", "order.paid"), ("e-2", "noise.tick"))
        )
        assert (first["duplicate"], again["duplicate"], dropped["dropped"]) == (False, True, True)

        events = {event["outcome"]: event for event in one.events()}
        assert sorted(events) == ["accepted", "dropped", "duplicate"]
        for outcome in ("accepted", "duplicate"):
            assert [events[outcome][name] for name in ("topic", "partition", "offset")] == [
                first[name] for name in ("topic", "partition", "offset")
            ]
        assert (events["dropped"]["topic"], events["dropped"]["offset"]) == (None, None)

    def test_what_kafka_has_not_acknowledged_is_a_failure_with_its_cause(self, shop):
        one = shop(bootstrap_servers="127.0.0.1:1")
        answer = one.deliver({"id": "e-1"})
        assert answer.status_code == 503

        (event,) = one.events()
        assert (event["outcome"], event["status"], event["verdict"]) == ("failed", 503, "verified")
        assert event["reason"].startswith("connection refused")
        assert (event["offset"], event["event_id"]) == (None, "e-1")

    def test_whoever_cannot_sign_is_seen_with_the_reason_and_pushes_nothing_out_of_the_log(self, shop):
        one = shop(keep_events="60")
        for number in range(40):
            one.deliver({"id": f"e-{number}"})
        for _ in range(150):
            assert one.deliver({"id": "guess"}, secret="guessed").status_code == 401

        events = one.events()
        rejected = [event for event in events if event["outcome"] == "rejected"]
        assert ids(event for event in events if event["outcome"] == "accepted") == [f"e-{n}" for n in range(39, -1, -1)]
        assert 1 <= len(rejected) <= 7
        assert {(event["status"], event["verdict"], event["topic"]) for event in rejected} == {(401, "rejected", None)}
        assert all(event["reason"] for event in rejected)
        # How many more there were is told by the next one that is recorded, minutes later; and at once by the numbers.
        counted = re.search(r'requests_total\{.*outcome="rejected".*\} (\S+)', one.get("/metrics").text)
        assert counted
        assert float(counted[1]) == 150

    def test_every_event_of_a_batch_is_recorded(self, shop):
        one = shop()
        answer = one.deliver(b'{"id": 1}\n{"id": 2}\n{"id": 3}\n', content_type="application/x-ndjson")
        assert answer.json()["count"] == 3

        assert sorted(ids(one.events())) == ["1", "2", "3"]

    def test_a_body_that_is_no_text_and_one_that_is_large_are_kept_as_far_as_they_can_be(self, shop):
        one = shop()
        assert one.deliver(b"\xff\x00", content_type="application/octet-stream").status_code == 200
        assert one.deliver({"id": "e-2", "filler": "x" * 900_000}).status_code == 200

        large, binary = (one.show(event["id"]) for event in one.events())
        assert (binary["body"], binary["body_encoding"], binary["body_note"]) == ("/wA=", "base64", "")
        assert (large["body_note"], large["body_bytes"] > 900_000, len(large["body"])) == ("cut", True, 16 * 1024)

    def test_where_no_events_are_kept_nothing_reaches_storage(self, shop, faults, recording_host):
        one = shop(keep_events="0")
        before, stored = faults.calls.total(), len(recording_host.host.storage.values)
        for number in range(5):
            assert one.deliver({"id": f"e-{number}"}).status_code == 200

        assert one.events() == []
        assert one.health()[1]["storage"] == "unused"
        assert (faults.calls.total(), len(recording_host.host.storage.values)) == (before, stored)

    def test_of_the_events_the_newest_are_kept(self, shop):
        one = shop(keep_events="20")
        for number in range(70):
            one.deliver({"id": f"e-{number}"})

        assert ids(one.events()) == [f"e-{number}" for number in range(69, 49, -1)]


class TestRuns:
    def consuming(self, shop: MakeShop, flow: Flow, embedded: Broker, **settings: object) -> tuple[Shop, Endpoint]:
        topic, group = fresh("orders"), fresh("group")
        one = shop(
            topic=topic,
            consume_topics=topic,
            group_id=group,
            offset_reset="earliest",
            client_config='{"group.protocol": "consumer"}',
            **settings,
        )
        return one, Endpoint(one.url, one.token, one.client, flow, topic, group, embedded.bootstrap)

    def test_a_run_within_the_senders_request_stands_with_its_event(self, shop, flow):
        flow.act = lambda inputs: {"seen": inputs["event_id"]}
        one = shop(app={"app_id": "flow"}, sources='{"default": {"run": true}}')
        answer = one.deliver({"id": "e-1"}).json()
        assert answer["run"] == "succeeded"

        (event,) = one.events()
        (run,) = event["runs"]
        assert (run["outcome"], run["ending"], run["attempt"], run["run_id"]) == (
            "run",
            "succeeded",
            1,
            answer["run_id"],
        )
        assert (run["topic"], run["offset"]) == (event["topic"], event["offset"])
        assert ids(one.events(outcome="succeeded")) == ["e-1"]

    def test_runs_and_the_dead_letter_of_a_record_stand_with_the_event_that_brought_it(self, shop, flow, embedded):
        def act(inputs):
            if inputs["event_id"] == "bad":
                raise RuntimeError("no such customer")
            return {}

        flow.act = act
        one, endpoint = self.consuming(shop, flow, embedded, max_attempts="2")
        for event_id in ("good", "bad"):
            assert one.deliver({"id": event_id}).status_code == 200
        endpoint.consume_until(lambda totals: totals["succeeded"] == 1 and totals["dead_lettered"] == 1)

        events = {event["event_id"]: event for event in one.events()}
        assert [(run["outcome"], run["ending"]) for run in events["good"]["runs"]] == [("run", "succeeded")]
        assert [(run["outcome"], run["attempt"]) for run in events["bad"]["runs"]] == [
            ("run", 1),
            ("run", 2),
            ("dead-lettered", 2),
        ]
        assert "no such customer" in events["bad"]["runs"][0]["error"]
        assert ids(one.events(outcome="dead-lettered")) == ["bad"]

    def test_runs_of_a_long_window_are_written_while_it_is_open(self, shop, flow, embedded, recording_host):
        flow.act = dict
        one, endpoint = self.consuming(shop, flow, embedded)
        endpoint.produce([{"value": b"{}", "headers": [("ce_id", f"r-{n}".encode())]} for n in range(5)])
        ended: list[object] = []

        async def window() -> None:
            async with httpx.AsyncClient(trust_env=False, timeout=60) as client:
                task = asyncio.create_task(
                    client.post(
                        f"{one.url}/consume",
                        content=b'{"max_seconds": 6, "wait": true}',
                        headers={"Authorization": f"Bearer {one.token}"},
                    )
                )
                deadline = time.monotonic() + 5.5
                wanted = {f"r-{n}" for n in range(5)}
                while not wanted <= {entry.event_id for entry in stored_events(recording_host.host.storage).values()}:
                    assert time.monotonic() < deadline
                    await asyncio.sleep(0.02)
                ended.append(task.done())
                await task

        asyncio.run(window())

        assert ended == [False]


# What must not be kept.


class TestSecrecy:
    def test_no_secret_and_nothing_masked_is_told_or_stored(self, shop, flow, recording_host):
        hidden = [f"HIDDEN-{secrets.token_hex(8)}" for _ in range(6)]
        webhook, token, other, password, email, card = hidden

        def act(inputs):
            raise RuntimeError(f"cannot charge {inputs} with {token} and {other}")

        flow.act = act
        one = shop(
            webhook_secret=webhook,
            api_token=token,
            source_secrets=json.dumps({"other": other}),
            sources=json.dumps({"default": {"run": True}, "other": {"secret": "other"}}),
            ssl_key_password=password,
            mask_paths="customer.email,cards.*.number,id,event_type",
            key="{body.customer.email}",
            app={"app_id": "flow"},
        )
        one.secret, one.token = webhook, token
        body = {
            "id": email,
            "event_type": card,
            "customer": {"email": email},
            "cards": [{"number": card}],
            "oops": [webhook, token, password],
        }
        kept = {"user_agent": f"{webhook} {email} {card} {token}", "x_request_id": email}
        assert one.deliver(body, **kept).status_code == 200
        # Not verified, and shows what another sender would.
        for shown in (webhook, other, token):
            assert one.deliver({"id": shown}, secret="guessed", user_agent=shown).status_code == 401
            assert one.deliver(b"x" * 16_380 + shown.encode(), secret="guessed", content_type="text/plain").is_error
        # A form, a batch, and what is above every limit.
        form = f"customer.email={email}&payload={json.dumps({'customer': {'email': email}})}"
        assert one.deliver(form.encode(), content_type="application/x-www-form-urlencoded").status_code == 200
        lines = b"\n".join(json.dumps(body).encode() for _ in range(3))
        assert one.deliver(lines, content_type="application/x-ndjson").status_code == 200
        assert one.deliver({"customer": {"email": email}, "filler": "x" * 1_100_000}).status_code == 413

        events = one.events()
        assert len(events) >= 6
        answers = [
            one.get("/events", limit=500),
            one.get("/events", format="ndjson"),
            one.get("/events", text="HIDDEN"),
            one.client.get(f"{one.url}/health"),
            *(one.get(f"/events/{event['id']}") for event in events),
        ]
        told = b"\0".join([answer.content for answer in answers] + [str(a.headers).encode() for a in answers])
        stored = b"\0".join(stored_texts(recording_host.host.storage))
        assert b'"***"' in told
        assert b'"***"' in stored
        for number, value in enumerate(hidden):
            for place in (told, stored):
                at = place.find(value.encode())
                assert at < 0, (number, place[max(0, at - 500) : at + 200])

    def test_endpoints_of_one_installation_see_nothing_of_each_other(self, shop):
        mine, other = shop(), shop()
        mine.deliver({"id": "mine"})
        other.deliver({"id": "other"})
        (event,) = mine.events()

        assert ids(other.events()) == ["other"]
        assert other.get(f"/events/{event['id']}").status_code == 404
        stranger = Shop(mine.url, mine.secret, other.token, mine.client)
        for path in ("/events", f"/events/{event['id']}"):
            assert stranger.get(path).status_code == 401
            assert mine.client.get(f"{mine.url}{path}").status_code == 401
        assert mine.get("/events", cursor="../../x").status_code == 400


# Storage that does not do what it should.


class Senders:
    """Delivers to two endpoints in turn, one that records and one that does not, a few at once; compares the times."""

    def __init__(self, *shops: Shop) -> None:
        self._shops = shops
        self.answers: dict[str, list[dict]] = {shop.url: [] for shop in shops}
        self.times_s: dict[str, list[float]] = {shop.url: [] for shop in shops}

    def run(self, count: int, in_flight: int = 4) -> None:
        asyncio.run(self._run(iter(range(count)), in_flight))

    async def _run(self, numbers: Iterator[int], in_flight: int) -> None:
        async with httpx.AsyncClient(trust_env=False, timeout=30) as client:

            async def worker() -> None:
                for number in numbers:
                    for shop in self._shops:
                        await self._deliver(client, shop, number)

            await asyncio.gather(*(worker() for _ in range(in_flight)))

    async def _deliver(self, client: httpx.AsyncClient, shop: Shop, number: int) -> None:
        began = time.monotonic()
        answer = await client.post(f"{shop.url}/webhook", content=json.dumps({"id": f"e-{number}"}).encode())
        self.times_s[shop.url].append(time.monotonic() - began)
        assert answer.status_code == 200, answer.text
        self.answers[shop.url].append(answer.json())


FAULTS = {
    "slow": ({"pause_s": 0.5}, "storage does not answer in time"),
    "hanging": ({"hangs": True}, "storage does not answer in time"),
    "failing": ({"says": BROKEN}, "storage has failed"),
    "full": ({"full": True}, "the plugin's storage is full"),
}


class TestFaults:
    @pytest.mark.parametrize("fault", FAULTS)
    @pytest.mark.parametrize("early", [True, False], ids=["from the start", "later"])
    def test_no_sender_notices_and_whoever_asks_for_health_does(self, shop, faults, figures, fault, early):
        recorded = shop(scheme="none")
        baseline = shop(scheme="none", keep_events="0")
        if not early:
            Senders(recorded).run(20)
        for name, value in FAULTS[fault][0].items():
            setattr(faults, name, value)
        senders = Senders(recorded, baseline)
        senders.run(150)

        ours, others = senders.times_s[recorded.url], senders.times_s[baseline.url]
        figures(
            f"storage {fault}{' from the start' if early else ''}: a webhook takes {statistics.median(ours) * 1e3:.1f}"
            f" ms, at the most {max(ours) * 1e3:.0f}; without recording {statistics.median(others) * 1e3:.1f},"
            f" at the most {max(others) * 1e3:.0f}"
        )
        for told in senders.answers.values():
            # One record each, and each of them where the answer says.
            assert len({(answer["partition"], answer["offset"]) for answer in told}) == len(told) == 150
            assert sum(answer["duplicate"] for answer in told) == 0
        assert max(ours) < WAIT_S + max(others) + NOISE_S
        # Only those that try are slow: a few.
        assert statistics.median(ours) < statistics.median(others) + 0.05
        status, health = recorded.health()
        assert (status, health["status"], health["storage"]) == (200, "degraded", FAULTS[fault][1])
        assert health["kafka"] == "ok"
        # What waits is shown all the same, from memory.
        page = recorded.page(limit=500)
        assert 150 <= len(page["events"]) <= 150 + (0 if early else 20)
        assert "trouble" in page or len(page["events"]) == 150 + (0 if early else 20)

        faults.mend()
        wait_until(lambda: recorded.health()[1]["storage"] == "ok", 60)
        assert len(recorded.events()) == 150 + (0 if early else 20)

    def test_storage_that_was_away_holds_all_of_it_soon_after(self, shop, faults, recording_host):
        one = shop(scheme="none")
        Senders(one).run(10)
        faults.hangs = True
        until = time.monotonic() + (20 if SOAK else 4)
        sent = 10
        while time.monotonic() < until:
            Senders(one).run(5)
            sent += 5
        faults.mend()
        wait_until(lambda: one.health()[1]["storage"] == "ok", 60)

        stored = stored_events(recording_host.host.storage)
        assert {event["id"] for event in one.events()} <= stored.keys()
        assert len(one.events()) == sent

    @pytest.mark.parametrize("in_full", [True, False], ids=["overwrites count in full", "differences count"])
    def test_within_a_small_quota_the_log_is_shorter_and_goes_on(self, embedded, client, shop, in_full):
        quota = 700_000
        accounting = Accounting(quota_bytes=quota, overwrites_count_in_full=in_full)
        with BackgroundHost(endpoints={}, bootstrap=embedded.bootstrap, accounting=accounting) as host:
            one = shop(host, scheme="none")
            noise = secrets.token_hex(7_000)
            for number in range(200):
                answer = one.deliver({"id": f"e-{number}", "noise": f"{secrets.token_hex(4_000)}{noise[number:]}"})
                assert answer.status_code == 200
            wait_until(lambda: one.deliver({"id": "last"}).is_success and one.health()[1]["storage"] == "ok", 60)

            found = ids(one.events())
            assert found[0] == "last"
            assert len(found) > 30
            # The daemon counts what it deletes as it lies there: what was written over quota was never counted.
            assert 0 < host.host.storage.used_bytes <= quota


# Many at once.


def test_many_senders_at_full_rate_need_few_writes(shop, faults, figures):
    one = shop(scheme="none")
    Senders(one).run(20)
    count = 4000 if SOAK else 1000
    before = faults.writes
    began = time.monotonic()
    Senders(one).run(count, in_flight=64)
    took_s = time.monotonic() - began
    wait_until(lambda: one.page(limit=1)["events"][0]["outcome"] == "accepted")

    writes = faults.writes - before
    figures(f"recording: {writes / count:.4f} storage writes per event, 64 in flight, {count / took_s:.0f} events/s")
    assert len(one.events()) == count + 20
    assert writes <= count * 0.1


def test_two_processes_with_one_storage_lose_and_mix_up_nothing(embedded, client, shop, figures):
    """Two nodes of a cluster: an endpoint is served by both."""
    storage = Storage(plugin="author/name")
    faults = Faults()
    hook, count = fresh("hook"), 600 if SOAK else 150
    settings = {"scheme": "none", "api_token": "token", "topic": fresh("t"), "keep_events": "100000"}
    options = {"bootstrap": embedded.bootstrap, "storage": storage, "around_storage": faults}
    with (
        BackgroundHost(endpoints={hook: settings, "other": settings}, **options) as first,
        BackgroundHost(endpoints={hook: settings, "other": settings}, **options) as second,
    ):
        nodes = [Shop(host.url(hook), "", "token", client) for host in (first, second)]
        others = [Shop(host.url("other"), "", "token", client) for host in (first, second)]
        for _ in range(3):
            # Both at the same time, and both endpoints.
            Senders(*nodes, *others).run(count // 3, in_flight=8)
        # Who looks sees the other one's some seconds later at the most.
        for shops in (nodes, others):
            for node in shops:
                wait_until(lambda node=node: len(node.events()) == 2 * count, 20)
            lists = [node.events() for node in shops]
            assert lists[0] == lists[1]
            places = {(event["topic"], event["partition"], event["offset"]) for event in lists[0]}
            assert len(places) == len({event["id"] for event in lists[0]}) == 2 * count
        mine, theirs = ({event["id"] for event in shops[0].events()} for shops in (nodes, others))
        assert mine.isdisjoint(theirs)

    # A third process finds all of it.
    with BackgroundHost(endpoints={hook: settings}, **options) as third:
        node = Shop(third.url(hook), "", "token", client)
        assert {event["id"] for event in node.events()} == mine
    storage.close()
