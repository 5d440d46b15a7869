"""The bridge's state machine, on a client whose every move the test decides, and with a clock of the test's own."""

import contextlib
import queue
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import pytest

from kafka_bridge.broker import bridge, pump
from kafka_bridge.broker.bridge import Connection
from kafka_bridge.broker.loops import ThreadLoop
from kafka_bridge.broker.ports import ClientDead, Report, Trouble
from kafka_bridge.broker.pump import State
from kafka_bridge.clock import Clock
from kafka_bridge.errors import BridgeError, Cause, Internal, SettingsInvalid, TooLarge, Unavailable, Unroutable
from kafka_bridge.events.record import Delivery, Record
from tests.brokers import wait_until


@dataclass
class Script:
    """What the client does."""

    reachable: bool = True
    refuses: BridgeError | None = None
    defect: bool = False
    trouble: Trouble | None = None
    dies: BridgeError | None = None
    produce_raises: Exception | None = None
    close_raises: Exception | None = None
    patience: list[float] = field(default_factory=list)
    built: int = 0
    closed: int = 0
    dropped: int = 0
    asked: int = 0
    polls: int = 0
    queued: list[tuple[Record, Callable[[object, object], None]]] = field(default_factory=list)
    reports: "queue.Queue[Callable[[], None]]" = field(default_factory=queue.Queue)

    def acknowledge(self, result: Delivery | BridgeError | None = None) -> None:
        """Report the oldest queued record."""
        record, on_report = self.queued.pop(0)
        outcome = result or Delivery(record.topic, 0, 7, None)
        self.reports.put(lambda: on_report(None, outcome))


class ScriptedClient:
    """Implements `ports.ProducerClient`."""

    def __init__(self, script: Script, on_trouble: Callable[[Trouble], None]) -> None:
        script.built += 1
        if script.refuses:
            raise script.refuses
        if script.defect:
            raise ZeroDivisionError("a defect")
        self.script = script
        self.on_trouble = on_trouble

    def produce(self, record: Record, on_report: Callable[[object, object], None]) -> None:
        if self.script.produce_raises:
            raise self.script.produce_raises
        self.script.queued.append((record, on_report))

    def read(self, report: Report) -> Delivery | BridgeError | None:
        return report[1]

    def poll(self, timeout_s: float) -> None:
        self.script.polls += 1
        if self.script.dies:
            error, self.script.dies = self.script.dies, None
            raise ClientDead(error)
        if self.script.trouble:
            self.on_trouble(self.script.trouble)
        with contextlib.suppress(queue.Empty):
            self.script.reports.get(timeout=0.005)()

    def reach(self, topic: str, timeout_s: float) -> bool:
        self.script.asked += 1
        self.script.patience.append(timeout_s)
        self.poll(timeout_s)
        return self.script.reachable

    def drop_queued(self) -> None:
        self.script.dropped += 1

    def close(self) -> None:
        self.script.closed += 1
        if self.script.close_raises:
            raise self.script.close_raises


class Rig:
    """A connection on a scripted client, and time that only the test moves."""

    def __init__(self, script: Script) -> None:
        self.script = script
        self.now = 1000.0
        self.may_go = True
        self.connection = Connection(
            lambda on_trouble: ScriptedClient(script, on_trouble),
            name="broker:9092",
            loop=ThreadLoop(),
            clock=Clock(now=lambda: self.now, monotonic=lambda: self.now),
            on_idle=lambda: self.may_go,
        )

    def send(self, count: int = 1) -> "Sending":
        return Sending(self.connection, count)

    def until(self, state: State) -> None:
        wait_until(lambda: self.connection.state is state)


class Sending:
    """A call of `send_all` on a thread of its own."""

    def __init__(self, connection: Connection, count: int) -> None:
        self.result: tuple[Delivery, ...] | None = None
        self.error: BridgeError | None = None
        self._records = [Record(topic="t", value=b"x")] * count
        self._connection = connection
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self) -> None:
        try:
            self.result = self._connection.send_all(self._records, timeout_s=9)
        except BridgeError as error:
            self.error = error

    @property
    def waiting(self) -> bool:
        return self._thread.is_alive()

    def join(self) -> "Sending":
        self._thread.join(15)
        assert not self._thread.is_alive(), "the caller was never let go"
        return self


@pytest.fixture
def script() -> Script:
    return Script()


@pytest.fixture
def rig(script: Script) -> Iterator[Rig]:
    rig = Rig(script)
    yield rig
    rig.connection.close()


def queued(rig: Rig, count: int) -> None:
    wait_until(lambda: len(rig.script.queued) == count)


def test_nothing_is_built_before_somebody_wants_to_write(rig):
    assert (rig.script.built, rig.connection.state) == (0, State.STARTING)


def test_a_caller_is_let_go_only_by_the_report_of_its_own_record(rig):
    first = rig.send()
    queued(rig, 1)
    second = rig.send()
    queued(rig, 2)
    rig.script.queued.reverse()

    rig.script.acknowledge(Delivery("t", 3, 42, None))

    assert second.join().result == (Delivery("t", 3, 42, None),)
    assert first.waiting
    rig.script.acknowledge()
    assert first.join().result == (Delivery("t", 0, 7, None),)


def test_records_sent_together_wait_for_all_reports(rig):
    sending = rig.send(3)
    queued(rig, 3)
    rig.script.acknowledge()
    rig.script.acknowledge()
    wait_until(lambda: rig.script.reports.empty())
    assert sending.waiting

    rig.script.acknowledge()

    assert len(sending.join().result) == 3


def test_one_record_that_fails_fails_all_that_were_sent_with_it(rig):
    sending = rig.send(2)
    queued(rig, 2)
    rig.script.acknowledge()
    rig.script.acknowledge(TooLarge())

    error = sending.join().error
    assert (type(error), error.index) == (TooLarge, 1)


def test_the_first_record_that_fails_is_the_one_that_is_named(rig):
    sending = rig.send(3)
    queued(rig, 3)
    for result in (None, Unroutable(), TooLarge()):
        rig.script.acknowledge(result)

    error = sending.join().error
    assert (type(error), error.index) == (Unroutable, 1)


def test_a_record_that_the_client_itself_refuses_is_named(rig):
    rig.script.produce_raises = TooLarge()

    error = rig.send(2).join().error
    assert (type(error), error.index) == (TooLarge, 0)


def test_one_client_serves_every_caller(rig):
    sendings = [rig.send() for _ in range(20)]
    queued(rig, 20)
    for _ in range(20):
        rig.script.acknowledge()

    assert all(sending.join().result for sending in sendings)
    assert rig.script.built == 1


def test_a_caller_waits_while_the_cluster_has_said_nothing_yet(rig):
    rig.script.reachable = False
    sending = rig.send()
    wait_until(lambda: rig.script.asked > 3)
    assert sending.waiting

    rig.script.reachable = True
    queued(rig, 1)
    rig.script.acknowledge()

    assert sending.join().result


@pytest.mark.parametrize("cause", [Cause.AUTHENTICATION_FAILED, Cause.TLS_HANDSHAKE_FAILED, Cause.HOST_NOT_FOUND])
def test_a_decisive_cause_is_told_without_waiting(rig, cause):
    rig.script.reachable = False
    rig.script.trouble = Trouble(cause, "what the library said")

    error = rig.send().join().error

    assert (error.cause, error.hint) == (cause, "what the library said")
    assert rig.script.queued == []


def test_a_refused_port_may_recover_within_a_second_and_is_told_after_it(rig):
    rig.script.reachable = False
    rig.script.trouble = Trouble(Cause.CONNECTION_REFUSED, "refused")
    sending = rig.send()
    wait_until(lambda: rig.script.asked > 3)
    assert sending.waiting

    rig.now += pump.VERDICT_S

    assert sending.join().error.cause is Cause.CONNECTION_REFUSED


def test_silence_is_told_after_a_whole_delivery_timeout(rig):
    rig.script.reachable = False
    sending = rig.send()
    wait_until(lambda: rig.script.asked > 1)
    rig.now += pump.SILENCE_S - 0.5
    asked = rig.script.asked
    wait_until(lambda: rig.script.asked > asked + 3)
    assert sending.waiting

    rig.now += 0.5

    assert sending.join().error.cause is Cause.NOT_ACKNOWLEDGED


def test_while_the_cluster_is_away_callers_are_told_at_once_and_nothing_is_queued(rig):
    rig.script.reachable = False
    rig.script.trouble = Trouble(Cause.AUTHENTICATION_FAILED, "no")
    rig.send().join()

    errors = [rig.send().join().error for _ in range(3)]

    assert [error.cause for error in errors] == [Cause.AUTHENTICATION_FAILED] * 3
    assert rig.script.queued == []


def test_a_cluster_that_is_back_is_noticed_without_a_new_client(rig):
    rig.script.reachable = False
    rig.script.trouble = Trouble(Cause.AUTHENTICATION_FAILED, "no")
    rig.send().join()

    rig.script.reachable, rig.script.trouble = True, None
    rig.until(State.UP)

    sending = rig.send()
    queued(rig, 1)
    rig.script.acknowledge()
    assert sending.join().result
    assert rig.script.built == 1


def test_nobody_asks_a_lost_cluster_for_ever(rig):
    rig.script.reachable = False
    rig.script.trouble = Trouble(Cause.AUTHENTICATION_FAILED, "no")
    rig.send().join()

    rig.now += pump.INTEREST_S
    polls = rig.script.polls
    wait_until(lambda: rig.script.polls > polls + 3)
    asked, polls = rig.script.asked, rig.script.polls
    wait_until(lambda: rig.script.polls > polls + 5)
    assert rig.script.asked == asked
    rig.script.reachable, rig.script.trouble = True, None

    sending = rig.send()
    queued(rig, 1)
    rig.script.acknowledge()
    assert sending.join().result, "the old verdict was given to a new caller"


def test_losing_all_brokers_lets_callers_go_with_the_cause_and_gives_up_what_was_not_sent(rig):
    sending = rig.send()
    queued(rig, 1)
    rig.script.reachable = False
    rig.script.trouble = Trouble(Cause.CONNECTION_REFUSED, "refused", all_brokers_down=True)
    rig.until(State.SUSPECT)
    assert sending.waiting

    rig.now += pump.VERDICT_S

    assert sending.join().error.cause is Cause.CONNECTION_REFUSED
    assert rig.script.dropped == 1


def test_one_lost_broker_of_several_is_no_outage(rig):
    sending = rig.send()
    queued(rig, 1)
    rig.script.trouble = Trouble(Cause.CONNECTION_REFUSED, "one of three")
    wait_until(lambda: rig.script.reports.empty())
    rig.script.acknowledge()

    assert sending.join().result
    assert rig.connection.state is State.UP


def test_a_record_that_timed_out_makes_the_next_caller_wait_for_a_sign_of_life(rig):
    first = rig.send()
    queued(rig, 1)
    rig.script.reachable = False
    rig.script.acknowledge(Unavailable(Cause.NOT_ACKNOWLEDGED))
    assert first.join().error.cause is Cause.NOT_ACKNOWLEDGED

    second = rig.send()
    rig.until(State.SUSPECT)
    rig.now += pump.VERDICT_S

    assert second.join().error.cause is Cause.NOT_ACKNOWLEDGED
    assert rig.script.queued == []


def test_a_topics_fault_is_no_outage(rig):
    sending = rig.send()
    queued(rig, 1)
    rig.script.acknowledge(Unavailable(Cause.NOT_AUTHORIZED))

    assert sending.join().error.cause is Cause.NOT_AUTHORIZED
    assert rig.connection.state is State.UP


def test_a_dead_client_fails_its_callers_with_the_cause_and_is_replaced_after_a_moment(rig):
    sending = rig.send()
    queued(rig, 1)
    rig.script.dies = Unavailable(Cause.NOT_AUTHORIZED)
    assert sending.join().error.cause is Cause.NOT_AUTHORIZED
    assert rig.send().join().error.cause is Cause.NOT_AUTHORIZED
    wait_until(lambda: rig.script.closed == 1)
    rig.script.queued.clear()

    rig.now += bridge.REBUILD_S
    again = rig.send()
    queued(rig, 1)
    rig.script.acknowledge()

    assert again.join().result
    assert rig.script.built == 2


def test_a_client_found_dead_by_a_caller_is_replaced_too(rig):
    rig.send()
    queued(rig, 1)
    rig.script.produce_raises = ClientDead(Unavailable(Cause.NOT_AUTHORIZED))
    assert rig.send().join().error.cause is Cause.NOT_AUTHORIZED
    wait_until(lambda: rig.script.closed == 1)
    rig.script.queued.clear()
    rig.script.produce_raises = None

    rig.now += bridge.REBUILD_S
    again = rig.send()
    queued(rig, 1)
    rig.script.acknowledge()

    assert again.join().result


def test_a_purged_record_waits_for_the_reason_of_its_purge(rig):
    sending = rig.send()
    queued(rig, 1)
    _, on_report = rig.script.queued.pop()
    rig.script.reports.put(lambda: on_report(None, None))
    wait_until(lambda: rig.script.reports.empty())
    assert sending.waiting

    rig.script.dies = Unavailable(Cause.NOT_AUTHORIZED)

    assert sending.join().error.cause is Cause.NOT_AUTHORIZED


def test_properties_that_the_client_refuses_are_told_as_invalid_settings(rig):
    rig.script.refuses = SettingsInvalid(["CA certificate (PEM): is refused by the client library."])

    assert isinstance(rig.send().join().error, SettingsInvalid)


def test_a_defect_in_the_pump_lets_callers_go(rig, caplog):
    rig.script.defect = True

    assert isinstance(rig.send().join().error, Internal)
    assert "ZeroDivisionError" in caplog.text


def test_an_error_of_produce_concerns_its_caller_alone(rig):
    first = rig.send()
    queued(rig, 1)
    rig.script.produce_raises = Unavailable(Cause.QUEUE_FULL)
    assert rig.send().join().error.cause is Cause.QUEUE_FULL

    rig.script.acknowledge()

    assert first.join().result


def test_too_many_callers_are_turned_away(rig, monkeypatch):
    monkeypatch.setattr(bridge, "MAX_WAITING", 3)
    sendings = [rig.send() for _ in range(3)]
    queued(rig, 3)

    assert rig.send().join().error.cause is Cause.QUEUE_FULL
    for _ in sendings:
        rig.script.acknowledge()
    assert all(sending.join().result for sending in sendings)
    assert rig.connection.waiting == 0


def test_an_idle_connection_goes(rig):
    sending = rig.send()
    queued(rig, 1)
    rig.script.acknowledge()
    sending.join()

    rig.now += pump.IDLE_S + 1

    wait_until(lambda: rig.script.closed == 1)
    assert rig.connection.state is State.CLOSED


def test_a_connection_that_is_waited_for_does_not_go(rig):
    sending = rig.send()
    queued(rig, 1)
    rig.now += pump.IDLE_S + 1
    rig.script.acknowledge()

    assert sending.join().result


def test_a_closed_connection_lets_its_callers_go(rig):
    sending = rig.send()
    queued(rig, 1)

    rig.connection.close()

    assert isinstance(sending.join().error, Unavailable)
    wait_until(lambda: rig.script.closed == 1)


def test_health_asks_again_when_the_last_sign_of_life_is_old(rig):
    rig.connection.check(topic="t", timeout_s=5)
    asked = rig.script.asked
    rig.connection.check(topic="t", timeout_s=5)
    assert rig.script.asked == asked

    rig.now += bridge.FRESH_S + 1
    rig.script.reachable = False
    rig.script.trouble = Trouble(Cause.AUTHENTICATION_FAILED, "no")

    with pytest.raises(Unavailable) as caught:
        rig.connection.check(topic="t", timeout_s=5)
    assert caught.value.cause is Cause.AUTHENTICATION_FAILED


def test_connected_lost_and_recovered_are_logged_once_each(rig, caplog):
    caplog.set_level("INFO")
    rig.connection.check(topic="t", timeout_s=5)
    rig.script.reachable = False
    rig.script.trouble = Trouble(Cause.AUTHENTICATION_FAILED, "the reason", all_brokers_down=True)
    rig.until(State.DOWN)
    asked = rig.script.asked
    wait_until(lambda: rig.script.asked > asked + 3)
    rig.script.reachable, rig.script.trouble = True, None
    rig.until(State.UP)

    assert [record.getMessage() for record in caplog.records] == [
        "Kafka connected: broker:9092",
        "Kafka connection lost: broker:9092: authentication failed (the reason)",
        "Kafka connection recovered: broker:9092",
    ]


def test_a_client_that_fails_to_close_is_replaced_all_the_same(rig, monkeypatch):
    monkeypatch.setattr(threading, "excepthook", lambda _: None)
    rig.script.close_raises, rig.script.dies = ZeroDivisionError(), Unavailable(Cause.NOT_AUTHORIZED)
    assert rig.send().join().error.cause is Cause.NOT_AUTHORIZED
    wait_until(lambda: rig.script.closed == 1 and not rig.connection._pumping)
    rig.script.close_raises = None

    rig.now += bridge.REBUILD_S
    sending = rig.send()
    queued(rig, 1)
    rig.script.acknowledge()

    assert sending.join().result


def test_a_slow_cluster_is_given_more_time_with_every_question(rig):
    rig.script.reachable = False
    sending = rig.send()
    wait_until(lambda: rig.script.asked > 6)
    rig.script.reachable = True
    queued(rig, 1)
    rig.script.acknowledge()
    sending.join()

    assert rig.script.patience[:5] == [0.3, 0.6, 1.2, 2.4, pump.REACH_SILENT_S]


def test_a_process_without_threads_turns_callers_away_and_goes_on_when_there_are_some(rig, monkeypatch):
    def no_thread(_target):
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patch:
        patch.setattr(ThreadLoop, "start_thread", lambda _self, target: no_thread(target))
        assert rig.send().join().error.cause is Cause.QUEUE_FULL
        assert rig.connection.waiting == 0

    rig.now += bridge.REBUILD_S
    sending = rig.send()
    queued(rig, 1)
    rig.script.acknowledge()
    assert sending.join().result


def test_few_ask_at_once_whether_a_cluster_that_hangs_is_there(rig):
    rig.script.reachable = False
    errors = queue.Queue()

    def check():
        try:
            rig.connection.check(topic="", timeout_s=9)
        except BridgeError as error:
            errors.put(error)

    threads = [threading.Thread(target=check) for _ in range(bridge.MAX_CHECKING + 5)]
    for thread in threads:
        thread.start()
    wait_until(lambda: errors.qsize() == 5)
    assert rig.connection.waiting == bridge.MAX_CHECKING

    rig.connection.close()
    for thread in threads:
        thread.join(15)

    assert rig.connection.waiting == 0


class Each:
    """A call of `send_each` on a thread of its own."""

    def __init__(self, rig, count):
        self.outcomes = None
        records = [Record(topic="t", value=str(number).encode()) for number in range(count)]
        self._thread = threading.Thread(
            target=lambda: setattr(self, "outcomes", rig.connection.send_each(records, timeout_s=9))
        )
        self._thread.start()

    def join(self):
        self._thread.join(15)
        assert not self._thread.is_alive()
        return self.outcomes


def test_of_records_that_are_told_one_by_one_each_has_its_own_outcome(rig):
    sending = Each(rig, 3)
    wait_until(lambda: len(rig.script.queued) == 3)
    too_large = TooLarge("above the limit")

    rig.script.acknowledge()
    rig.script.acknowledge(too_large)
    rig.script.acknowledge(Delivery("t", 0, 9, None))

    assert sending.join() == (Delivery("t", 0, 7, None), too_large, Delivery("t", 0, 9, None))


def test_one_that_the_client_refuses_at_once_keeps_no_other_from_being_written(rig, monkeypatch):
    refused = TooLarge("above the limit of the client")
    produce = ScriptedClient.produce

    def refuse(self, record, on_report):
        if record.value == b"1":
            raise refused
        produce(self, record, on_report)

    monkeypatch.setattr(ScriptedClient, "produce", refuse)
    sending = Each(rig, 3)
    wait_until(lambda: len(rig.script.queued) == 2)
    rig.script.acknowledge()
    rig.script.acknowledge()

    delivered = Delivery("t", 0, 7, None)
    assert sending.join() == (delivered, refused, delivered)


def test_where_all_are_refused_at_once_nobody_waits(rig):
    rig.script.produce_raises = error = Unroutable("the topic refuses it")

    assert Each(rig, 2).join() == (error, error)


def test_what_has_no_report_when_the_client_dies_has_its_cause(rig):
    sending = Each(rig, 2)
    wait_until(lambda: len(rig.script.queued) == 2)
    rig.script.acknowledge()
    wait_until(rig.script.reports.empty)
    rig.script.dies = Unavailable(Cause.NOT_AUTHORIZED)

    first, second = sending.join()

    assert first == Delivery("t", 0, 7, None)
    assert isinstance(second, Unavailable)
    assert second.cause is Cause.NOT_AUTHORIZED
