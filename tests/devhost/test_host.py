"""All of the host together, over sockets."""

import socket
import threading
import time

import httpx
import pytest

from devhost.host import BackgroundHost
from devhost.manifest import NoPlugin
from devhost.process import NotRunning
from devhost.storage import Accounting, Storage
from tests.brokers import wait_until
from tests.devhost.conftest import LISTENS, MakePlugin


@pytest.fixture
def client():
    with httpx.Client(trust_env=False, timeout=30) as one:
        yield one


def test_a_plugin_that_declares_the_setting_gets_the_hosts_broker(plugin: MakePlugin, client):
    folder = plugin(settings=("bootstrap_servers",))
    with BackgroundHost(endpoints={"shop": {"a": 1}, "own": {"bootstrap_servers": "b:1"}}, plugin=folder) as host:
        assert host.bootstrap
        assert client.get(f"{host.url('shop')}/").json() == {"a": 1, "bootstrap_servers": host.bootstrap}
        assert client.get(f"{host.url('own')}/").json() == {"bootstrap_servers": "b:1"}


def test_an_only_app_is_the_one_that_endpoints_run_which_name_none(plugin: MakePlugin, client):
    folder = plugin(settings=("app",))
    own = {"app": {"app_id": "other"}}
    with BackgroundHost(endpoints={"shop": {}, "own": own}, plugin=folder, apps={"triage": dict}) as host:
        assert client.get(f"{host.url('shop')}/").json() == {"app": {"app_id": "triage"}}
        assert client.get(f"{host.url('own')}/").json() == own
    with BackgroundHost(endpoints={"shop": {}}, plugin=folder, apps={"triage": dict, "other": dict}) as host:
        assert client.get(f"{host.url('shop')}/").json() == {}


def test_another_plugin_gets_its_settings_and_no_broker(plugin: MakePlugin, client):
    with BackgroundHost(endpoints={"shop": {"a": 1}}, plugin=plugin()) as host:
        assert client.get(f"{host.url('shop')}/").json() == {"a": 1}
        assert host.bootstrap == ""


def test_endpoints_come_change_and_go(plugin: MakePlugin, client):
    with BackgroundHost(endpoints={}, plugin=plugin()) as host:
        assert client.get(f"{host.url('shop')}/").status_code == 404
        host.configure("shop", {"a": 1})
        assert client.get(f"{host.url('shop')}/").json() == {"a": 1}
        host.configure("shop", {"a": 2})
        assert client.get(f"{host.url('shop')}/").json() == {"a": 2}
        host.remove("shop")
        assert client.get(f"{host.url('shop')}/").status_code == 404


def test_one_connection_carries_many_requests(plugin: MakePlugin):
    with BackgroundHost(endpoints={"shop": {"a": 1}}, plugin=plugin()) as host:
        request = b"GET /e/shop/ HTTP/1.1\r\nHost: x\r\n\r\n"
        with socket.create_connection(("127.0.0.1", host.host.port), timeout=20) as connection:
            connection.sendall(request * 20)
            seen = b""
            while seen.count(b'{"a": 1}') < 20:
                seen += connection.recv(65536)


@pytest.mark.parametrize(("quota", "effective"), [(1000, 1000), (1_000_000, 2048)])
def test_the_smaller_quota_counts(plugin: MakePlugin, quota, effective):
    with BackgroundHost(endpoints={}, plugin=plugin(), accounting=Accounting(quota_bytes=quota)) as host:
        assert host.host.storage._accounting.quota_bytes == effective


def test_hosts_may_share_a_storage_which_stays_open(plugin: MakePlugin):
    storage, folder = Storage(), plugin()
    with (
        BackgroundHost(endpoints={}, plugin=folder, storage=storage) as first,
        BackgroundHost(endpoints={}, plugin=folder, storage=storage) as second,
    ):
        first.host.storage.set("k", b"v")
        assert second.host.storage.get("k") == b"v"

    assert storage.get("k") == b"v"
    storage.close()


def test_stopping_cuts_requests_that_are_never_answered(plugin: MakePlugin):
    with BackgroundHost(endpoints={"shop": {}}, plugin=plugin(LISTENS)) as host:
        connection = socket.create_connection(("127.0.0.1", host.host.port), timeout=20)
        connection.sendall(b"GET /e/shop/ HTTP/1.1\r\nHost: x\r\n\r\n")
        wait_until(lambda: host.host.plugin.in_flight == 1)
        started = time.monotonic()

    assert time.monotonic() - started < 10
    with connection:
        assert connection.recv(1) == b""


def test_stopping_lets_a_request_that_is_nearly_done_be_answered(plugin: MakePlugin, client):
    late = LISTENS.replace(
        "for line in sys.stdin: pass",
        "import time\nfor line in sys.stdin:\n    time.sleep(0.4)\n    answer(json.loads(line)['session_id'], 'late')",
    )
    answers: list[str] = []
    with BackgroundHost(endpoints={"shop": {}}, plugin=plugin(late)) as host:
        asking = threading.Thread(target=lambda: answers.append(client.get(f"{host.url('shop')}/").text))
        asking.start()
        wait_until(lambda: host.host.plugin.in_flight == 1)

    asking.join()
    assert answers == ["late"]


class TestFailures:
    def test_a_plugin_that_cannot_start_is_reported_and_leaves_nothing_behind(self, plugin: MakePlugin):
        before = threading.active_count()

        with pytest.raises(NotRunning, match="SyntaxError"), BackgroundHost(endpoints={}, plugin=plugin("no python")):
            pass

        assert threading.active_count() == before

    def test_a_port_that_is_taken_is_reported(self, plugin: MakePlugin):
        with socket.socket() as other:
            other.bind(("127.0.0.1", 0))
            other.listen()

            with pytest.raises(OSError, match="in use"):
                BackgroundHost(endpoints={}, plugin=plugin(), port=other.getsockname()[1]).__enter__()

    def test_a_folder_without_a_plugin_is_reported_before_anything_starts(self, tmp_path):
        with pytest.raises(NoPlugin):
            BackgroundHost(endpoints={}, plugin=tmp_path)
