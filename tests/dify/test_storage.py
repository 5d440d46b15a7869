import pytest

from devhost.storage import Storage, StorageError
from kafka_bridge.broker.loops import ThreadLoop
from kafka_bridge.dify.storage import CALL_S, MAX_VALUE_BYTES, SessionStore
from kafka_bridge.events.log.store import StorageFailed
from tests.stand_ins import Ticking


class Session:
    """The SDK's `session.storage` over the local host's."""

    def __init__(self, error=""):
        self.storage, self.error, self.calls = Storage(), error, []

    def _call(self, name, *arguments):
        self.calls.append(name)
        if self.error:
            raise RuntimeError(self.error)
        return getattr(self.storage, name)(*arguments)

    def get(self, key):
        return self._call("get", key)

    def set(self, key, val):
        return self._call("set", key, val)

    def delete(self, key):
        return self._call("delete", key)

    def exist(self, key):
        return self._call("exist", key)


class Deadlines(ThreadLoop):
    """Notes the deadlines that it is asked for."""

    def __init__(self):
        super().__init__()
        self.asked = []

    def deadline(self, seconds):
        self.asked.append(seconds)
        return super().deadline(seconds)


def store(session, *, until=10.0, loop=None):
    return SessionStore(session, loop or ThreadLoop(), Ticking().clock, until=until)


def failure(session, act, **options):
    with pytest.raises(StorageFailed) as caught:
        act(store(session, **options))
    return caught.value


def test_what_was_written_is_read_and_deleted():
    one = store(Session())
    one.set("k", b"\x00value")

    assert one.get("k") == b"\x00value"
    one.delete("k")
    assert one.get("k") is None
    one.delete("k")


def test_a_value_that_is_there_and_cannot_be_read_is_a_failure_and_not_a_missing_one():
    session = Session()
    session.storage.set("k", b"v")
    broken = StorageError("load data failed, please check if the key is correct or you have not set it")
    session.get = session.delete = lambda _key: (_ for _ in ()).throw(broken)

    assert str(failure(session, lambda one: one.get("k"))) == "storage has failed"
    assert str(failure(session, lambda one: one.delete("k"))) == "storage has failed"


@pytest.mark.parametrize(
    ("text", "words", "full"),
    [
        ("save data failed: allocated size is greater than max storage size", "the plugin's storage is full", True),
        (
            "permission denied, you need to enable storage access in plugin manifest",
            "the plugin has no permission to use storage",
            False,
        ),
        ("resource not found", "the plugin has no permission to use storage", False),
        ("dial tcp 10.0.0.5:6379: connect: connection refused NEVERSHOWN", "storage has failed", False),
        ("", "storage has failed", False),
    ],
)
@pytest.mark.parametrize("act", [lambda one: one.set("k", b"v"), lambda one: one.get("k"), lambda one: one.delete("k")])
def test_what_the_platform_says_is_told_in_the_operators_words(text, words, full, act):
    session = Session(text or "x")
    failed = failure(session, act)

    assert (str(failed), failed.full, failed.unknown) == (words, full, False)


def test_a_call_that_is_given_up_may_have_happened():
    session = Session()
    session.set = lambda _key, _value: (_ for _ in ()).throw(TimeoutError)
    failed = failure(session, lambda one: one.set("k", b"v"))

    assert (str(failed), failed.unknown) == ("storage does not answer in time", True)


def test_every_call_has_an_end_of_its_own_and_none_is_begun_when_the_time_is_over():
    loop, session = Deadlines(), Session()
    store(session, until=0.25, loop=loop).set("k", b"v")
    store(session, until=100.0, loop=loop).set("k", b"v")
    late = failure(session, lambda one: one.set("k", b"v"), until=0.0)

    assert loop.asked == [0.25, CALL_S]
    assert session.calls == ["set", "set"]
    assert late.unknown is False


def test_a_value_that_would_end_the_process_is_not_written():
    session = Session()
    failure(session, lambda one: one.set("k", b"x" * (MAX_VALUE_BYTES + 1)))

    assert session.calls == []
    assert MAX_VALUE_BYTES * 2 < 5 * 1024 * 1024


def test_a_greenlet_that_is_killed_is_not_a_failure():
    session = Session()
    session.get = lambda _key: (_ for _ in ()).throw(GeneratorExit)

    with pytest.raises(GeneratorExit):
        store(session).get("k")
