"""Local functions in the place of Dify apps."""

import asyncio
from pathlib import Path

import pytest

from devhost.apps import AppError, Apps, load_app

NOT_FOUND = (
    "invoke app failed: request failed with status code: 400 and respond with: "
    '{"code":"invalid_param","message":"app not found","status":400}\n'
)


def double(inputs):
    return {"n": inputs["n"] * 2}


async def later(inputs):
    await asyncio.sleep(0)
    return inputs


def run(function, **inputs):
    (result,) = asyncio.run(Apps({"app": function}).run("app", inputs))
    return result


def test_a_run_has_what_a_run_in_dify_has():
    result = run(double, n=2)

    assert result["data"] == result["data"] | {
        "id": result["workflow_run_id"],
        "workflow_id": "app",
        "status": "succeeded",
        "outputs": {"n": 4},
        "error": None,
        "total_tokens": 0,
    }
    assert result["data"]["finished_at"] >= result["data"]["created_at"] > 0
    assert result["data"]["elapsed_time"] >= 0


def test_a_coroutine_is_an_app_too():
    assert run(later, a=1)["data"]["outputs"] == {"a": 1}


def test_an_app_may_stand_for_a_dify_that_is_down():
    def down(_inputs):
        raise AppError("dial tcp: connect: connection refused")

    with pytest.raises(AppError, match=r"^dial tcp"):
        run(down)


def test_a_slow_function_does_not_hold_up_the_others():
    async def scene():
        released = asyncio.Event()
        loop = asyncio.get_running_loop()
        waited = []

        def slow(_inputs):
            waited.append(asyncio.run_coroutine_threadsafe(released.wait(), loop).result(10))
            return {}

        apps = Apps({"slow": slow, "double": double})
        first = asyncio.create_task(apps.run("slow", {}))
        (second,) = await apps.run("double", {"n": 1})
        released.set()
        await first
        return second["data"]["outputs"], waited

    assert asyncio.run(scene()) == ({"n": 2}, [True])


@pytest.mark.parametrize(
    ("function", "error"),
    [
        (lambda _: 1 / 0, "division by zero"),
        (lambda _: (_ for _ in ()).throw(KeyError), "KeyError"),
        (lambda _: {"x": object()}, "Type is not JSON serializable: object"),
        (lambda _: None, "'NoneType' object is not iterable"),
    ],
    ids=["raises", "raises without a word", "gives no JSON", "gives nothing"],
)
def test_a_function_that_fails_is_a_failed_run_and_no_error(function, error):
    data = run(function)["data"]

    assert (data["status"], data["error"], data["outputs"]) == ("failed", error, {})


def test_a_stream_is_a_beginning_and_the_result():
    begun, finished = asyncio.run(Apps({"app": double}).run("app", {"n": 1}, streaming=True))

    assert begun["event"] == "workflow_started"
    assert (finished["event"], finished["data"]["outputs"]) == ("workflow_finished", {"n": 2})
    assert {begun["task_id"], begun["workflow_run_id"]} == {finished["task_id"], finished["workflow_run_id"]}


class TestFinding:
    def test_an_only_app_answers_to_every_id(self):
        (result,) = asyncio.run(Apps({"double": double}).run("a-uuid-of-dify", {"n": 1}))

        assert result["data"]["outputs"] == {"n": 2}

    @pytest.mark.parametrize("apps", [{}, {"double": double, "later": later}], ids=["no app", "several apps"])
    def test_otherwise_an_app_has_its_name(self, apps):
        with pytest.raises(AppError) as raised:
            asyncio.run(Apps(apps).run("other", {}))
        assert str(raised.value) == NOT_FOUND

        with pytest.raises(AppError, match="fetch app failed: data is nil"):
            Apps(apps).fetch("other")

    def test_several_apps_are_told_apart(self):
        apps = Apps({"double": double, "later": later})

        assert asyncio.run(apps.run("double", {"n": 1}))[0]["data"]["outputs"] == {"n": 2}
        assert asyncio.run(apps.run("later", {"n": 1}))[0]["data"]["outputs"] == {"n": 1}

    def test_the_form_is_the_functions_own(self):
        def with_form(inputs):
            return inputs

        with_form.user_input_form = [{"paragraph": {"variable": "payload"}}]
        apps = Apps({"with": with_form, "without": double})

        assert apps.fetch("with")["user_input_form"] == [{"paragraph": {"variable": "payload"}}]
        assert "user_input_form" not in apps.fetch("without")


FORM = [
    {"paragraph": {"variable": "payload", "required": True, "max_length": 5}},
    {"text-input": {"variable": "topic", "required": False}},
    {"json_object": {"variable": "event", "required": False}},
    {"select": {"variable": "kind", "options": ["a", "b"], "default": "a"}},
    {"number": {"variable": "n"}},
    {"checkbox": {"variable": "yes"}},
    {"file": {"variable": "file"}},
    {"file-list": {"variable": "files"}},
]


class TestTheForm:
    @pytest.fixture
    def app(self):
        def with_form(inputs):
            return inputs

        with_form.user_input_form = FORM
        return with_form

    def test_the_function_gets_what_it_declares_and_nothing_else(self, app):
        outputs = run(app, payload="p\0", n="1.5", yes="on", extra=1)["data"]["outputs"]

        assert outputs == {
            "payload": "p",
            "topic": None,
            "event": None,
            "kind": "a",
            "n": 1.5,
            "yes": True,
            "file": None,
            "files": None,
        }

    @pytest.mark.parametrize(
        ("inputs", "message"),
        [
            ({}, "payload is required in input form"),
            ({"payload": None}, "payload is required in input form"),
            ({"payload": {"a": 1}}, "(type 'paragraph') payload in input form must be a string"),
            ({"payload": "123456"}, "payload in input form must be less than 5 characters"),
            ({"topic": 5}, "(type 'text-input') topic in input form must be a string"),
            ({"event": "{}"}, "event in input form must be a dict"),
            ({"event": [1]}, "event in input form must be a dict"),
            ({"kind": "c"}, "kind in input form must be one of the following: ['a', 'b']"),
            ({"n": "many"}, "n in input form must be a valid number"),
            ({"file": "x"}, "file in input form must be a file"),
            ({"files": ["x"]}, "files in input form must be a list of files"),
        ],
    )
    def test_what_dify_refuses_is_refused_in_its_words(self, app, inputs, message):
        with pytest.raises(AppError) as raised:
            run(app, **({"payload": "p"} | inputs if inputs and "payload" not in inputs else inputs))

        assert str(raised.value) == NOT_FOUND.replace("app not found", message)

    def test_a_number_that_dify_does_not_expect_is_an_error_of_its_own(self, app):
        with pytest.raises(AppError, match="status code: 500"):
            run(app, payload="p", n=[1])

    def test_an_empty_form_declares_nothing(self, app):
        app.user_input_form = []

        assert run(app, payload="p")["data"]["outputs"] == {}


class TestChatflows:
    @pytest.fixture
    def app(self):
        def chat(inputs):
            if inputs["query"] == "fail":
                raise ConnectionRefusedError(111, "Connection refused")
            return {"answer": f"{inputs['query']}!"} if inputs["query"] != "x" else {"n": 1}

        chat.mode = "advanced-chat"
        return Apps({"chat": chat})

    def test_without_a_query_it_misses_one(self, app):
        with pytest.raises(AppError) as raised:
            asyncio.run(app.run("chat", {}))

        assert str(raised.value) == NOT_FOUND.replace("app not found", "missing query")

    def test_its_answer_is_a_message(self, app):
        (message,) = asyncio.run(app.run("chat", {}, query="hello"))

        assert message.keys() == {
            *("event", "task_id", "id", "message_id", "conversation_id", "mode", "answer", "metadata", "created_at")
        }
        assert (message["event"], message["mode"], message["answer"]) == ("message", "advanced-chat", "hello!")

    def test_outputs_without_an_answer_are_one_as_json(self, app):
        (message,) = asyncio.run(app.run("chat", {}, query="x"))

        assert message["answer"] == '{"n":1}'

    def test_a_failed_one_is_an_error(self, app):
        with pytest.raises(AppError) as raised:
            asyncio.run(app.run("chat", {}, query="fail"))

        assert str(raised.value) == NOT_FOUND.replace("app not found", "Run failed: [Errno 111] Connection refused")

    @pytest.mark.parametrize(
        ("query", "events"),
        [
            ("hello", ["workflow_started", "workflow_finished", "message", "message_end"]),
            ("fail", ["workflow_started", "workflow_finished", "error"]),
        ],
    )
    def test_a_stream_has_the_run_and_the_message(self, app, query, events):
        parts = asyncio.run(app.run("chat", {}, query=query, streaming=True))

        assert [part["event"] for part in parts] == events

    def test_a_workflow_does_not_mind_a_query(self):
        (result,) = asyncio.run(Apps({"double": double}).run("double", {"n": 1}, query="why?"))

        assert result["data"]["outputs"] == {"n": 2}


class TestLoading:
    @pytest.fixture
    def file(self, tmp_path: Path) -> Path:
        path = tmp_path / "mine.py"
        path.write_text("answer = 42\ndef run(inputs):\n    return {'seen': inputs}\n")
        return path

    def test_a_function_has_its_own_name(self, file):
        name, function = load_app(f"{file}:run")

        assert (name, function({"a": 1})) == ("run", {"seen": {"a": 1}})

    @pytest.mark.parametrize(
        ("reference", "said"),
        [
            ("{file}", "mine.py' names no function"),
            ("{file}x:run", "is no Python file"),
            ("{file}.py:run", "there is no file "),
            ("nothing", "'nothing' is no Python file"),
            ("{file}:absent", "has no function named 'absent'"),
            ("{file}:answer", "has no function named 'answer'"),
        ],
    )
    def test_what_is_no_function_is_said_to_be_none(self, file, reference, said):
        with pytest.raises(AppError) as raised:
            load_app(reference.format(file=file))

        assert said in str(raised.value)

    def test_a_file_that_cannot_be_loaded_says_why(self, file):
        file.write_text("import nowhere_to_be_found")

        with pytest.raises(AppError, match="ModuleNotFoundError: No module named 'nowhere_to_be_found'"):
            load_app(f"{file}:run")
