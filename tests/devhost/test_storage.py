"""The daemon's storage: what counts, what stays, what is cached. Single cases are in the recordings."""

import threading

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from devhost.storage import CACHE_S, FOLDER_BYTES, ROOT, Accounting, Storage, StorageError

MISSING = "load data failed, please check if the key is correct or you have not set it"
KEYS = st.sampled_from(["a", "b", "c/d", "c/e", "./a", "c//d", "/b"])


def refused(call) -> str:
    with pytest.raises(StorageError) as raised:
        call()
    return str(raised.value)


class AsADictionary(RuleBasedStateMachine):
    """Within the quota the store is a dictionary of cleaned keys, and the counter the sum of its values."""

    def __init__(self):
        super().__init__()
        self.storage = Storage()
        self.model: dict[str, bytes] = {}

    @staticmethod
    def cleaned(key):
        return key.removeprefix("./").removeprefix("/").replace("//", "/")

    @rule(key=KEYS, value=st.binary(max_size=100))
    def write(self, key, value):
        self.storage.set(key, value)
        self.storage._cache.clear()  # which knows only the spelling that was read
        self.model[self.cleaned(key)] = value

    @rule(key=KEYS)
    def read(self, key):
        if self.cleaned(key) in self.model:
            assert self.storage.get(key) == self.model[self.cleaned(key)]
        else:
            assert refused(lambda: self.storage.get(key)) == MISSING
        assert self.storage.exist(key) == (self.cleaned(key) in self.model)

    @rule(key=KEYS)
    def delete(self, key):
        if self.model.pop(self.cleaned(key), None) is None:
            assert "no such file or directory" in refused(lambda: self.storage.delete(key))
        else:
            self.storage.delete(key)
            self.storage._cache.clear()

    @invariant()
    def what_counts_is_the_sum(self):
        assert self.storage.used_bytes == sum(map(len, self.model.values()))

    def teardown(self):
        self.storage.close()


TestAsADictionary = AsADictionary.TestCase


@pytest.fixture
def storage():
    store = Storage(accounting=Accounting(quota_bytes=1000), plugin="me/mine")
    yield store
    store.close()


@pytest.mark.parametrize(("in_full", "fits"), [(False, 100), (True, 10)])
def test_overwriting_is_free_only_since_the_daemon_gives_the_old_size_back(in_full, fits):
    store = Storage(accounting=Accounting(quota_bytes=1000, overwrites_count_in_full=in_full))
    for _ in range(fits):
        store.set("k", b"x" * 100)

    if in_full:
        assert refused(lambda: store.set("k", b"x")) == (
            "save data failed: allocated size is greater than max storage size"
        )
    assert store.used_bytes == (1000 if in_full else 100)
    store.close()


def test_a_value_over_the_quota_is_written_but_not_counted(storage):
    refused(lambda: storage.set("k", b"x" * 1001))

    assert storage.used_bytes == 0
    assert storage.get("k") == b"x" * 1001


def test_deleting_what_was_never_counted_makes_room_that_there_is_not(storage):
    refused(lambda: storage.set("k", b"x" * 1001))
    storage.delete("k")

    assert storage.used_bytes == -1001
    storage.set("k", b"x" * 2001)


def test_deleting_a_folder_deletes_what_is_in_it_and_counts_only_the_folder(storage):
    storage.set("f/a", b"x" * 100)
    storage.set("f/b/c", b"x" * 100)
    storage.set("fa", b"x")
    storage.delete("f")

    assert not storage.exist("f/b/c")
    assert storage.exist("fa")
    assert storage.used_bytes == 201 - FOLDER_BYTES


def test_an_error_names_the_path_as_an_installation_would(storage):
    storage.set("a", b"x")

    assert refused(lambda: storage.delete("b")) == (
        f"delete data failed: stat {ROOT}/me/mine/b: no such file or directory"
    )
    assert refused(lambda: storage.set("a/b/c", b"x")) == (f"save data failed: mkdir {ROOT}/me/mine/a: not a directory")


def test_what_was_read_is_read_from_the_cache_for_five_minutes(storage):
    now = [1000.0]
    store = Storage(accounting=Accounting(quota_bytes=10), clock=lambda: now[0])
    store.set("k", b"old")
    store.get("k")
    refused(lambda: store.set("k", b"longer than the quota"))

    now[0] += CACHE_S - 1
    assert store.get("k") == b"old"
    assert store.exist("k")
    now[0] += 1
    assert store.get("k") == b"longer than the quota"
    store.close()


def test_deleting_says_whether_the_value_was_in_the_cache(storage):
    storage.set("a", b"x")
    storage.set("b", b"x")
    storage.get("b")

    assert (storage.delete("a"), storage.delete("b")) == (0, 1)


def test_a_file_keeps_everything(tmp_path):
    first = Storage(tmp_path / "store")
    first.set("a/b", b"value")
    first.close()

    second = Storage(tmp_path / "store")
    assert (second.get("a/b"), second.used_bytes) == (b"value", 5)
    second.clear()
    assert (second.exist("a"), second.used_bytes) == (False, 0)
    second.close()


def test_a_key_may_begin_with_a_dot(storage):
    storage.set(".hidden", b"x")

    assert storage.get("./.hidden") == b"x"
    assert not storage.exist("hidden")


def test_what_is_stored_can_be_looked_at():
    storage = Storage()
    storage.set("a", b"1")
    storage.set("c/d", b"")

    assert storage.values == {"a": b"1", "c/d": b""}
    storage.close()


def test_hosts_on_threads_of_their_own_may_share_one():
    storage, errors = Storage(), []

    def use(name):
        try:
            for number in range(300):
                storage.set(f"{name}-{number % 7}", bytes(number % 50))
                storage.get(f"{name}-{number % 7}")
                if number % 7 == 6:
                    storage.delete(f"{name}-6")
        except Exception as error:  # noqa: BLE001 - whatever it is
            errors.append(error)

    threads = [threading.Thread(target=use, args=(name,)) for name in "abcd"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert errors == []
    assert storage.used_bytes == sum(map(len, storage.values.values()))
    storage.close()
