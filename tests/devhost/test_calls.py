"""What a plugin may ask for, and in which words it is refused."""

import asyncio
from contextlib import asynccontextmanager

import pytest

from devhost.apps import Apps
from devhost.calls import Call, CallFailed, Calls, read_call
from devhost.frames import Malformed
from devhost.storage import Storage, StorageError

ALL = {"storage": {"enabled": True}, "app": {"enabled": True}}


@pytest.fixture
def ask():
    storage = Storage()

    def asking(kind, permissions=ALL, **request):
        calls = Calls(storage, Apps({"app": lambda inputs: inputs}), permissions)
        return asyncio.run(calls.answer(Call(kind, "r", request)))

    yield asking
    storage.close()


def test_storage_answers_as_a_struct(ask):
    assert ask("storage", opt="set", key="k", value="6162").parts == [{"data": "ok"}]
    assert ask("storage", opt="get", key="k").parts == [{"data": "6162"}]
    assert ask("storage", opt="exist", key="k").parts == [{"data": True, "exist_num": 1}]
    assert ask("storage", opt="del", key="k").parts == [{"data": "ok", "deleted_num": 1}]
    assert ask("storage", opt="exist", key="k").parts == [{"data": False, "exist_num": 0}]
    assert ask("storage", opt="exist", key="k").message == "struct"


class TestDisturbedStorage:
    @pytest.fixture
    def storage(self):
        storage = Storage()
        yield storage
        storage.close()

    def calls(self, storage, before=lambda: None, after=lambda: None):
        seen = []

        @asynccontextmanager
        async def around(operation, key):
            seen.append((operation, key))
            before()
            yield
            after()

        return Calls(storage, Apps({}), ALL, around_storage=around), seen

    def refuse(self):
        raise StorageError("no more")

    def test_every_call_to_storage_is_told_and_no_other_one(self, storage):
        calls, seen = self.calls(storage)
        for request in ({"opt": "set", "key": "k", "value": ""}, {"opt": "exist", "key": "k"}):
            asyncio.run(calls.answer(Call("storage", "r", request)))
        for request in ({"opt": "exist", "key": ""}, {"opt": "list", "key": "k"}):
            with pytest.raises(CallFailed):
                asyncio.run(calls.answer(Call("storage", "r", request)))

        assert seen == [("set", "k"), ("exist", "k")]

    @pytest.mark.parametrize(("when", "written"), [("before", {}), ("after", {"k": b"ab"})])
    def test_a_call_may_be_refused_before_it_is_carried_out_or_after(self, storage, when, written):
        calls, _ = self.calls(storage, **{when: self.refuse})
        with pytest.raises(CallFailed, match="no more"):
            asyncio.run(calls.answer(Call("storage", "r", {"opt": "set", "key": "k", "value": "6162"})))

        assert storage.values == written

    def test_a_call_may_wait_while_others_go_on(self, storage):
        async def both():
            first, entered, release = [], asyncio.Event(), asyncio.Event()

            @asynccontextmanager
            async def around(_operation, key):
                if key == "slow":
                    entered.set()
                    await release.wait()
                yield

            calls = Calls(storage, Apps({}), ALL, around_storage=around)
            slow = asyncio.create_task(calls.answer(Call("storage", "r", {"opt": "exist", "key": "slow"})))
            await entered.wait()
            first.append((await calls.answer(Call("storage", "r", {"opt": "exist", "key": "k"}))).message)
            first.append(slow.done())
            release.set()
            await slow
            return first

        assert asyncio.run(both()) == ["struct", False]


def test_an_app_answers_as_a_stream_and_its_form_as_a_struct(ask):
    one = ask("app", app_id="app", inputs={"a": 1}, response_mode="blocking")
    events = ask("app", app_id="app", inputs={"a": 1}, response_mode="streaming")

    assert (one.message, [part["data"]["outputs"] for part in one.parts]) == ("stream", [{"a": 1}])
    assert [part["event"] for part in events.parts] == ["workflow_started", "workflow_finished"]
    assert ask("fetch_app", app_id="app").message == "struct"


def test_a_chatflow_is_asked_what_the_call_asks():
    def chat(inputs):
        return {"answer": inputs["query"]}

    chat.mode = "advanced-chat"
    storage = Storage()
    calls = Calls(storage, Apps({"chat": chat}), ALL)
    request = {"app_id": "chat", "inputs": {}, "response_mode": "blocking"}

    (answer,) = asyncio.run(calls.answer(Call("app", "r", {**request, "query": "why?"}))).parts

    assert answer["answer"] == "why?"
    with pytest.raises(CallFailed, match="missing query"):
        asyncio.run(calls.answer(Call("app", "r", request)))
    storage.close()


@pytest.mark.parametrize(("kind", "word"), [("storage", "storage"), ("app", "app"), ("fetch_app", "app")])
@pytest.mark.parametrize("permissions", [{}, {"storage": {"enabled": False}, "app": {}}], ids=["absent", "off"])
def test_what_the_manifest_does_not_allow_is_refused_first(ask, kind, word, permissions):
    with pytest.raises(CallFailed) as raised:
        ask(kind, permissions, opt="nonsense")

    assert str(raised.value) == f"permission denied, you need to enable {word} access in plugin manifest"


@pytest.mark.parametrize(
    ("kind", "request_", "said"),
    [
        ("storage", {"opt": "get", "key": ""}, "'Key' failed on the 'required' tag"),
        ("storage", {"opt": "get"}, "'Key' failed on the 'required' tag"),
        ("storage", {"opt": "list", "key": "k"}, "'Opt' failed on the 'storage_opt' tag"),
        ("storage", {"opt": "set", "key": "k", "value": "zz"}, "decode data failed: encoding/hex: invalid byte"),
        ("llm", {}, "does not answer calls of the type llm"),
    ],
)
def test_a_call_that_is_none_says_why(ask, kind, request_, said):
    with pytest.raises(CallFailed) as raised:
        ask(kind, **request_)

    assert said in str(raised.value)


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (None, "invoke request missing type: map[]"),
        ("text", "unmarshal invoke request failed: json: cannot unmarshal string into Go value of type map[string]"),
        ({"type": 5}, "invoke request missing type: map[type:%!s(float64=5)]"),
        ({"type": "storage"}, "invoke request missing request_id: map[type:storage]"),
        ({"type": "storage", "backwards_request_id": "r"}, "invoke request missing request: map["),
    ],
)
def test_what_is_no_call_ends_the_request(data, said):
    with pytest.raises(Malformed) as raised:
        read_call(data)

    assert str(raised.value).startswith(said)


def test_a_call_has_three_parts():
    data = {"type": "storage", "backwards_request_id": "r", "request": {"opt": "get"}}

    assert read_call(data) == Call("storage", "r", {"opt": "get"})
