"""The resident consumer in the plugin's own process: it starts, stops, goes on, and leaves nothing behind."""

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from devhost.host import BackgroundHost
from kafka_bridge.dify.visits import HEADER
from tests.brokers import Broker, wait_until
from tests.e2e.consuming import API_DOWN, Endpoint, Flow, endpoint_on, event, fresh

FLOWS = 40
# Nobody listens there.
DEAD_PROXY = "http://127.0.0.1:9"
PROXIES = dict.fromkeys(
    ("HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"), DEAD_PROXY
)

type Resident = Callable[..., Endpoint]


class Requests:
    """What was handed to the plugin, by path."""

    def __init__(self) -> None:
        self.raw: list[bytes] = []

    def note(self, _hook: str, raw: bytes) -> None:
        self.raw.append(raw)

    def windows(self, hook: str) -> list[dict[str, str]]:
        """The headers of the plugin's own calls to an endpoint."""
        found = []
        for raw in list(self.raw):
            head = raw.partition(b"\r\n\r\n")[0].decode("latin-1").split("\r\n")
            headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in head[1:])}
            if HEADER in headers and headers["dify-hook-id"] == hook and head[0] == "POST /consume HTTP/1.1":
                found.append(headers)
        return found


@contextmanager
def host_of(
    broker: str, flows: dict[str, Flow], requests: Requests | None = None, **environment: str
) -> Iterator[BackgroundHost]:
    """A host whose operator sends all traffic through a proxy that is dead."""
    on_request = {"on_request": requests.note} if requests else {}
    with BackgroundHost(
        endpoints={}, bootstrap=broker, apps=flows, environment={**PROXIES, **environment}, **on_request
    ) as running:
        yield running


@pytest.fixture(scope="module")
def apps() -> dict[str, Flow]:
    return {f"flow-{number}": Flow() for number in range(FLOWS)}


@pytest.fixture(scope="module")
def requests() -> Requests:
    return Requests()


@pytest.fixture(scope="module")
def resident_host(embedded: Broker, apps: dict[str, Flow], requests: Requests) -> Iterator[BackgroundHost]:
    """With windows as they are."""
    with host_of(embedded.bootstrap, apps, requests) as running:
        yield running


@pytest.fixture(scope="module")
def free(apps: dict[str, Flow]) -> Iterator[str]:
    return iter(apps)


@pytest.fixture
def resident(
    resident_host: BackgroundHost, apps: dict[str, Flow], free: Iterator[str], token: str, client: httpx.Client
) -> Iterator[Resident]:
    """Configure an endpoint whose resident consumer is enabled."""
    made: list[Endpoint] = []

    def make(**settings: Any) -> Endpoint:
        app = next(free)
        on = {"consumer": "enabled", "scheme": "none", **settings}
        made.append(endpoint_on(resident_host, app, apps[app], token=token, client=client, **on))
        return made[-1]

    yield make
    for each in made:
        each.post("/consumer/stop")
        resident_host.remove(each.hook)


@pytest.fixture
def short(embedded: Broker, token: str, client: httpx.Client) -> Iterator[tuple[BackgroundHost, Resident]]:
    """A host of the test's own, whose windows last a second."""
    flows = {f"flow-{number}": Flow() for number in range(12)}
    names = iter(flows)
    with host_of(embedded.bootstrap, flows, KAFKA_BRIDGE_WINDOW_S="1") as running:

        def make(**settings: Any) -> Endpoint:
            app = next(names)
            on = {"consumer": "enabled", "scheme": "none", **settings}
            return endpoint_on(running, app, flows[app], token=token, client=client, **on)

        yield running, make


def save(host: BackgroundHost, endpoint: Endpoint, **settings: Any) -> None:
    """Other settings for an endpoint, as its operator saves them."""
    host.configure(endpoint.hook, {**host.host.gateway.endpoints[endpoint.hook].settings, **settings})


def probe(endpoint: Endpoint) -> None:
    """A request that nobody needs a token for."""
    assert endpoint.client.get(f"{endpoint.url}/health").status_code in {200, 503}


def state(endpoint: Endpoint) -> str:
    return endpoint.consumer()["resident"]["state"]


def ran(endpoint: Endpoint, *numbers: int) -> Callable[[], bool]:
    return lambda: sorted(endpoint.flow.ids()) == sorted(f"e-{number}" for number in numbers)


# Starting.


@pytest.mark.parametrize("path", ["/health", "/webhook", "/nothing/there"])
def test_the_first_request_of_any_kind_starts_it(resident: Resident, requests: Requests, path):
    shop = resident()
    shop.produce(event(n) for n in range(3))

    shop.client.get(f"{shop.url}{path}")
    wait_until(ran(shop, 0, 1, 2))

    assert len(requests.windows(shop.hook)) == 1
    assert state(shop) == "running"
    wait_until(lambda: shop.committed() == 3)


def test_a_webhook_starts_it_and_is_run_by_it(resident: Resident):
    topic = fresh("orders")
    shop = resident(topic=topic, consume_topics=topic)

    assert shop.post("/webhook", b'{"id": "w-1", "n": 7}').status_code == 200
    wait_until(lambda: shop.flow.ids() == ["w-1"])


def test_without_the_setting_nothing_starts(resident: Resident):
    shop = resident(consumer="disabled")
    shop.produce([event(1)])

    probe(shop)
    assert shop.consumer()["resident"] == {"state": "disabled"}
    refused = shop.post("/consumer/start")
    assert (refused.status_code, refused.json()["detail"]) == (500, "Resident consumer: disabled.")
    # And `/consume` is what it was.
    assert shop.consume_until(lambda totals: totals["succeeded"] == 1)["ended_by"] == "caught_up"


def test_it_needs_no_api_token(resident: Resident):
    shop = resident(api_token="")
    shop.produce([event(1)])

    probe(shop)
    wait_until(ran(shop, 1))


# Stopping, and starting again.


def test_stopped_by_hand_it_stays_so_whatever_comes_until_it_is_started(resident: Resident):
    shop = resident()
    shop.produce([event(1)])
    probe(shop)
    wait_until(ran(shop, 1))

    stopped = shop.post("/consumer/stop")
    assert (stopped.status_code, stopped.json()["resident"]["state"]) == (200, "stopped")
    shop.produce([event(2)])
    for _ in range(5):
        probe(shop)
    assert state(shop) == "stopped"
    assert shop.consumer()["state"] == "idle"
    assert ran(shop, 1)()

    assert shop.post("/consumer/start").status_code == 200
    wait_until(ran(shop, 1, 2))
    assert state(shop) == "running"


@pytest.mark.parametrize("path", ["/consumer/start", "/consumer/stop"])
def test_nobody_starts_or_stops_it_without_the_token(resident: Resident, path):
    shop = resident()
    probe(shop)
    wait_until(lambda: state(shop) == "running")

    assert shop.client.post(f"{shop.url}{path}").status_code == 401
    assert state(shop) == "running"


def test_who_switches_it_off_and_sends_a_request_has_stopped_it(resident: Resident, resident_host: BackgroundHost):
    shop = resident()
    shop.produce([event(1)])
    probe(shop)
    wait_until(ran(shop, 1))

    save(resident_host, shop, consumer="disabled")
    probe(shop)
    wait_until(lambda: shop.consumer()["state"] == "idle")
    shop.produce([event(2)])
    # Its group is left: the next window of somebody joins it anew and has the record.
    assert shop.consume_until(lambda totals: totals["succeeded"] == 1)["lag"] == 0

    save(resident_host, shop, consumer="enabled")
    shop.produce([event(3)])
    probe(shop)
    wait_until(ran(shop, 1, 2, 3))


def test_other_settings_are_taken_at_once(
    resident: Resident, resident_host: BackgroundHost, apps: dict[str, Flow], free: Iterator[str]
):
    shop = resident()
    shop.produce([event(1)])
    probe(shop)
    wait_until(ran(shop, 1))

    another = next(free)
    save(resident_host, shop, app={"app_id": another})
    probe(shop)
    wait_until(lambda: shop.consumer()["resident"]["windows"] == 2 and state(shop) == "running")
    shop.produce([event(2)])
    wait_until(lambda: apps[another].ids() == ["e-2"])
    assert ran(shop, 1)()

    # Another topic is another member of the group.
    topic = fresh("orders")
    save(resident_host, shop, app={"app_id": another}, consume_topics=topic)
    shop.produce([event(3)], topic=topic)
    probe(shop)
    wait_until(lambda: apps[another].ids() == ["e-2", "e-3"])


def threads(host: BackgroundHost) -> list[str]:
    """The names of the plugin's native threads."""
    found = []
    for task in Path(f"/proc/{host.pid}/task").iterdir():
        try:
            found.append((task / "comm").read_text().strip())
        except OSError:
            continue
    return sorted(found)


@pytest.mark.skipif(not Path("/proc/self/task").is_dir(), reason="counts the threads in /proc")
def test_an_endpoint_that_is_deleted_leaves_its_group_and_nothing_behind(short):
    host, make = short
    other = make(consumer="disabled")
    probe(other)
    shop = make()
    # What the process has when somebody consumes with it once, and its producer connection.
    before = threads(host)
    shop.produce([event(1)])
    probe(shop)
    wait_until(ran(shop, 1))
    wait_until(lambda: shop.committed() == 1)
    assert len(threads(host)) > len(before)

    host.remove(shop.hook)
    wait_until(lambda: any("ended: the daemon knows no such endpoint" in line for _, line in host.lines), 30)
    shop.produce([event(2)])
    # Another member of the group has all partitions at once, not after the session of the first one has timed out.
    save(host, other, consume_topics=shop.topic, group_id=shop.group)
    assert other.consume_until(lambda totals: totals["succeeded"] == 1)["lag"] == 0
    assert other.flow.ids() == ["e-2"]
    host.remove(other.hook)
    # One of the other's, for half a minute.
    wait_until(lambda: sum(name == "rdk:main" for name in threads(host)) <= before.count("rdk:main") + 1, 30)
    assert [line for kind, line in host.lines if kind == "log" and "incident" in line] == []


def test_windows_follow_each_other_and_what_runs_for_long_holds_up_nothing(short):
    _, make = short
    shop, release = make(ordering="key", concurrency="3"), threading.Event()

    def act(inputs):
        if inputs["n"] == 0:
            release.wait(30)
        return {}

    shop.flow.act = act
    shop.produce([event(0, key="stuck")])
    probe(shop)
    wait_until(lambda: bool(shop.flow.calls))
    for number in range(1, 5):
        windows = shop.consumer()["resident"]["windows"]
        wait_until(lambda windows=windows: shop.consumer()["resident"]["windows"] > windows)
        shop.produce([event(number, key="k")])
        wait_until(lambda number=number: len(shop.flow.calls) == number + 1, 5)
    # Nothing above it is committed.
    assert shop.committed() <= 0
    release.set()
    wait_until(lambda: shop.committed() == 5)

    assert ran(shop, 0, 1, 2, 3, 4)()
    assert len(shop.flow.calls) == 5


# Its token.


def test_a_window_is_asked_for_without_the_api_token_and_with_one_that_opens_nothing_else(
    resident: Resident, resident_host: BackgroundHost, requests: Requests
):
    shop, other = resident(), resident(consumer="disabled")
    probe(shop)
    wait_until(lambda: state(shop) == "running")
    (window,) = requests.windows(shop.hook)
    shown = window[HEADER]

    assert "authorization" not in window
    for url in (shop.url, other.url):
        for method, path in (
            ("POST", "/consume"),
            ("GET", "/consumer"),
            ("POST", "/consumer/stop"),
            ("POST", "/dispatch"),
            ("GET", "/events"),
            ("GET", "/metrics"),
        ):
            for headers in ({HEADER: shown}, {"Authorization": f"Bearer {shown}"}):
                answer = shop.client.request(method, f"{url}{path}", headers=headers)
                assert (answer.status_code, answer.headers["www-authenticate"]) == (401, "Bearer"), (method, path)
    assert state(shop) == "running"
    told = shop.client.get(f"{shop.url}/health", headers={"Authorization": f"Bearer {shop.token}"}).text
    assert shown not in told + json.dumps(shop.consumer()) + "".join(line for _, line in resident_host.lines)


# What goes wrong.


def test_while_dify_is_down_records_wait_and_are_run_when_it_is_back(resident: Resident):
    shop = resident()
    shop.flow.down = API_DOWN
    shop.produce(event(n) for n in range(3))

    probe(shop)
    wait_until(lambda: shop.consumer()["circuit"] is not None)
    health = shop.client.get(f"{shop.url}/health").json()
    assert (health["consumer"], health["status"]) == ("Dify is not available", "degraded")
    assert state(shop) == "running"

    shop.flow.down = ""
    wait_until(ran(shop, 0, 1, 2), 30)


class Deaf:
    """A daemon that cannot have settings decrypted: it answers 500 before the plugin hears of a request."""

    def __init__(self, host: BackgroundHost) -> None:
        self._host, self._gateway = host, host.host.gateway
        self.endpoints = self._gateway.endpoints
        self.refused = 0

    def __enter__(self):
        self._host.host.gateway = self
        return self

    def __exit__(self, *_):
        self._host.host.gateway = self._gateway

    async def __call__(self, scope, receive, send):
        if not scope["path"].endswith("/consume"):
            await self._gateway(scope, receive, send)
            return
        self.refused += 1
        body = b'{"code":-500,"message":"failed to decrypt settings: data is nil"}'
        await send({"type": "http.response.start", "status": 500, "headers": [(b"content-length", b"%d" % len(body))]})
        await send({"type": "http.response.body", "body": body})


def test_a_daemon_in_trouble_is_asked_ever_more_rarely_until_it_is_well(short):
    host, make = short
    shop = make()
    with Deaf(host) as deaf:
        shop.produce([event(1)])
        probe(shop)
        wait_until(lambda: deaf.refused >= 2)
        told = shop.consumer()["resident"]
        assert told["state"] == "failing"
        assert "HTTP 500" in told["reason"]
        assert "decrypt" not in json.dumps(told)
        assert deaf.refused <= 4
        assert shop.client.get(f"{shop.url}/health").json()["consumer"] == "the resident consumer is failing"
    wait_until(ran(shop, 1), 30)
    assert state(shop) == "running"


def test_a_kafka_that_is_away_is_told_and_costs_no_storm_of_requests(resident: Resident, requests: Requests):
    shop = resident(bootstrap_servers="127.0.0.1:9")

    probe(shop)
    wait_until(lambda: shop.consumer()["trouble"] == "connection refused")

    assert state(shop) == "running"
    assert len(requests.windows(shop.hook)) == 1


def test_settings_that_cannot_work_are_told_and_mended_by_the_next_request(
    resident: Resident, resident_host: BackgroundHost
):
    topics = resident().topic
    shop = resident(consume_topics="")
    probe(shop)
    wait_until(lambda: state(shop) == "failing")
    assert shop.consumer()["resident"]["reason"] == "Topics to consume: missing."

    shop.produce([event(1)], topic=topics)
    save(resident_host, shop, consume_topics=topics)
    probe(shop)
    wait_until(ran(shop, 1))


def test_another_window_has_no_place_beside_it(resident: Resident):
    shop = resident()
    probe(shop)
    wait_until(lambda: state(shop) == "running")

    assert shop.post("/consume").status_code == 429


# Many.


def test_two_endpoints_run_each_its_own_app(resident: Resident):
    shops = [resident(), resident()]
    for number, shop in enumerate(shops):
        shop.produce([event(number)])
        probe(shop)

    for number, shop in enumerate(shops):
        wait_until(ran(shop, number))


def test_ten_endpoints_of_which_one_is_stuck(short, figures):
    host, make = short
    del host
    release = threading.Event()
    stuck, *others = [make(concurrency="4") for _ in range(10)]
    stuck.flow.act = lambda inputs: {"released": release.wait(60)}
    stuck.produce(event(n) for n in range(8))
    for shop in others:
        shop.produce([event(0)])
    for shop in (*others, stuck):
        probe(shop)
    # All are there by the time that one of them gets stuck.
    for shop in others:
        wait_until(ran(shop, 0), 30)
    wait_until(lambda: len(stuck.flow.calls) >= 3)
    for shop in others:
        shop.produce(event(n) for n in range(1, 21))
    for shop in others:
        wait_until(ran(shop, *range(21)), 60)
        wait_until(lambda shop=shop: shop.committed() == 21)
    in_flight = len(stuck.flow.calls)
    assert stuck.committed() <= 0
    release.set()
    wait_until(lambda: stuck.committed() == 8, 30)

    figures(f"ten endpoints, one of them stuck with {in_flight} of 4 slots: the others ran {9 * 21} records")
    assert in_flight == 3
    assert ran(stuck, *range(8))()


# What it costs.


def busy_s(pid: int) -> float:
    """Processor time that a process has had, to the nanosecond."""
    total = 0
    for task in Path(f"/proc/{pid}/task").iterdir():
        try:
            total += int((task / "schedstat").read_text().split()[0])
        except OSError:
            continue
    return total / 1e9


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/schedstat").is_file(), reason="needs /proc/<pid>/schedstat")
def test_while_nothing_comes_it_costs_next_to_nothing(embedded, token, client, figures):
    flows, requests = {"flow": Flow(), "other": Flow()}, Requests()
    measured = 10.0
    with host_of(embedded.bootstrap, flows, requests) as host:
        quiet = endpoint_on(host, "flow", flows["flow"], token=token, client=client, consumer="disabled")
        probe(quiet)
        calls = Counted(host)
        shares = []
        for shop in (None, endpoint_on(host, "other", flows["other"], token=token, client=client, consumer="enabled")):
            if shop is not None:
                shop.produce([event(1)])
                probe(shop)
                wait_until(ran(shop, 1))
                wait_until(lambda shop=shop: shop.committed() == 1)
            # What was begun by then has ended: the member rests after two seconds without a record.
            pause(4.0)
            began, asked, called = busy_s(host.pid), len(requests.raw), calls.count
            pause(measured)
            shares.append((busy_s(host.pid) - began) / measured)
        without, idle = shares

    figures(
        f"a resident consumer that has nothing to do: {100 * idle:.2f} % of a core, {100 * without:.2f} % without it;"
        f" in {measured:.0f} s {len(requests.raw) - asked} requests, {calls.count - called} calls of its session"
    )
    assert len(requests.raw) == asked
    assert calls.count - called <= 1
    # A hundredth is the bar; a machine that is many times slower is none of its business.
    assert idle < 0.05


def pause(seconds: float) -> None:
    """What is measured is time in which nothing happens."""
    threading.Event().wait(seconds)


class Counted:
    """Counts what the plugin asks of its sessions."""

    def __init__(self, host: BackgroundHost) -> None:
        self.count = 0
        answered = host.host.plugin._calls.answer

        async def answer(call):
            self.count += 1
            return await answered(call)

        host.host.plugin._calls.answer = answer  # type: ignore[method-assign]
