"""Dify's HTTP API, as the stand-alone worker calls it: a server of our own answers like Dify, or as badly as can be."""

import contextlib
import json
import socket
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from kafka_bridge import service
from kafka_bridge.dispatch.ended import Ended, Ending
from kafka_bridge.dispatch.inputs import compile_inputs
from kafka_bridge.errors import SettingsInvalid
from kafka_bridge.service import DifyService
from tests.dispatch.records import payload

KEY = "app-NEVERSHOWN"
INPUTS, _ = compile_inputs({}, {})
FORM = {"user_input_form": [{"paragraph": {"variable": "a", "required": True}}]}
RESULT = {"workflow_run_id": "run-1", "data": {"status": "succeeded", "outputs": {"n": 1}}}
MESSAGE = {"message_id": "m-1", "conversation_id": "c-1", "answer": "42"}
# Bytes of an answer that is cut off, by what it is.
CUT = b'HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{"workflow_run_id'


class Dify(ThreadingHTTPServer):
    """Answers by path: `(status, body)`, raw bytes after which it hangs up, or a function of the request."""

    daemon_threads = True
    request_queue_size = 64

    def __init__(self):
        super().__init__(("127.0.0.1", 0), _Handler)
        self.requests = []
        self.answers = {
            "/v1/parameters": (200, FORM),
            "/v1/info": (200, {"name": "x", "mode": "workflow"}),
            "/v1/workflows/run": (200, RESULT),
            "/v1/chat-messages": (200, MESSAGE),
        }

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server_port}"

    @property
    def paths(self):
        return [path for path, _, _ in self.requests]

    def handle_error(self, request, client_address):
        pass


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        length = int(self.headers.get("content-length") or 0)
        body = json.loads(self.rfile.read(length)) if length else None
        self.server.requests.append((self.path, dict(self.headers), body))
        answer = self.server.answers.get(self.path, (404, "<html>not found</html>"))
        answer = answer(self) if callable(answer) else answer
        if answer is None:
            return
        if isinstance(answer, bytes):
            self.wfile.write(answer)
            self.close_connection = True
            return
        status, document = answer
        content = document.encode() if isinstance(document, str) else json.dumps(document).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    do_POST = do_GET  # noqa: N815 - the server looks it up by this name

    def log_message(self, *_):
        pass


@pytest.fixture
def dify() -> Iterator[Dify]:
    server = Dify()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()
    thread.join(10)


@pytest.fixture
def app(dify) -> Iterator[DifyService]:
    made = DifyService(api_url=dify.url, api_key=KEY)
    yield made
    made.close()


def run(app, value=b'{"a": 1, "b": 2}', timeout_s=20.0) -> Ended:
    return app.run(INPUTS, payload(value), timeout_s=timeout_s)


def test_a_workflow_runs_with_what_it_declares(dify, app):
    ended = run(app)

    assert ended == Ended(Ending.DONE, outputs={"n": 1}, run_id="run-1", duration_s=ended.duration_s)
    assert dify.paths == ["/v1/parameters", "/v1/info", "/v1/workflows/run"]
    assert dify.requests[-1][2] == {"inputs": {"a": "1"}, "response_mode": "blocking", "user": "kafka-bridge"}
    assert {headers["Authorization"] for _, headers, _ in dify.requests} == {f"Bearer {KEY}"}


def test_the_form_is_asked_for_once(dify, app):
    run(app)
    run(app)

    assert dify.paths == ["/v1/parameters", "/v1/info", "/v1/workflows/run", "/v1/workflows/run"]


@pytest.mark.parametrize("mode", ["chat", "advanced-chat", "agent-chat"])
def test_a_chat_app_is_asked(dify, app, mode):
    dify.answers["/v1/info"] = (200, {"mode": mode})

    ended = run(app, b"why?")

    assert (ended.ending, ended.outputs["answer"], ended.run_id) == (Ending.DONE, "42", "m-1")
    assert dify.paths[-1] == "/v1/chat-messages"
    assert dify.requests[-1][2]["query"] == "why?"


@pytest.mark.parametrize("info", [(404, "<html>"), (200, {"name": "x"}), (200, "no json"), (500, "")])
def test_where_dify_does_not_tell_the_mode_the_first_run_does(dify, app, info):
    dify.answers["/v1/info"] = info
    dify.answers["/v1/workflows/run"] = (400, {"code": "not_workflow_app", "message": "Please check", "status": 400})

    assert (run(app, b"why?").ending, run(app, b"how?").ending) == (Ending.DONE, Ending.DONE)
    assert dify.paths.count("/v1/workflows/run") == 1


@pytest.mark.parametrize("suffix", ["", "/", "/v1", "/v1/"])
def test_the_address_may_end_with_the_version_or_not(dify, suffix):
    app = DifyService(api_url=dify.url + suffix, api_key=f" {KEY}\n")

    assert run(app).ending is Ending.DONE
    app.close()


def test_an_address_may_have_a_path_before_the_version(dify):
    dify.answers = {f"/dify{path}": answer for path, answer in dify.answers.items()}
    app = DifyService(api_url=f"{dify.url}/dify", api_key=KEY)

    assert run(app).ending is Ending.DONE
    app.close()


@pytest.mark.parametrize(
    ("answer", "ending", "error"),
    [
        ((200, {**RESULT, "data": {"status": "failed", "error": "no"}}), Ending.FAILED, "no"),
        ((400, {"code": "invalid_param", "message": "a is required in input form"}), Ending.REFUSED, None),
        ((400, {"code": "invalid_param", "message": "Workflow not published"}), Ending.MISCONFIGURED, None),
        ((400, {"code": "invalid_param", "message": "Too many requests. Please"}), Ending.UNAVAILABLE, None),
        ((401, {"code": "unauthorized", "message": "Access token is invalid"}), Ending.MISCONFIGURED, None),
        ((429, {"code": "rate_limit_error", "message": "slow down"}), Ending.UNAVAILABLE, None),
        ((500, {"code": "internal_server_error", "message": "x"}), Ending.UNKNOWN, None),
        ((502, "<html>"), Ending.UNAVAILABLE, "HTTP 502"),
        ((503, "<html>"), Ending.UNAVAILABLE, "HTTP 503"),
        ((504, "<html>"), Ending.UNKNOWN, "HTTP 504"),
        ((302, ""), Ending.MISCONFIGURED, "HTTP 302"),
        ((200, "<html>"), Ending.UNKNOWN, "Dify's answer is not JSON"),
        (b"", Ending.UNKNOWN, None),
        (CUT, Ending.UNKNOWN, None),
        (b"no http at all\r\n\r\n", Ending.UNKNOWN, None),
        (b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 3\r\n\r\nabc", Ending.UNKNOWN, None),
    ],
)
def test_every_answer_has_its_meaning(dify, app, answer, ending, error):
    dify.answers["/v1/workflows/run"] = answer

    ended = run(app)

    assert ended.ending is ending
    assert ended.error == (error or ended.error) != ""


@pytest.mark.parametrize(
    ("answer", "ending"),
    [
        ((401, {"code": "unauthorized", "message": "Access token is invalid"}), Ending.MISCONFIGURED),
        ((200, "<html>the web page</html>"), Ending.MISCONFIGURED),
        ((500, ""), Ending.UNAVAILABLE),
        (b"", Ending.UNAVAILABLE),
    ],
)
def test_without_a_form_nothing_runs(dify, app, answer, ending):
    dify.answers["/v1/parameters"] = answer

    assert run(app).ending is ending
    assert "/v1/workflows/run" not in dify.paths


def test_an_app_that_has_changed_is_asked_again(dify, app, monkeypatch):
    monkeypatch.setattr("kafka_bridge.dispatch.attempt.FRESH_S", 0)
    run(app)
    declared = [{"paragraph": {"variable": name}} for name in ("a", "b")]
    dify.answers["/v1/parameters"] = (200, {"user_input_form": declared})
    dify.answers["/v1/workflows/run"] = lambda _: (
        (200, RESULT)
        if "b" in dify.requests[-1][2]["inputs"]
        else (400, {"code": "invalid_param", "message": "b is required in input form"})
    )

    assert run(app).ending is Ending.DONE


def test_a_dify_that_is_down_has_run_nothing():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}"
    app = DifyService(api_url=url, api_key=KEY)

    ended = run(app)

    assert ended.ending is Ending.UNAVAILABLE
    assert ended.error.startswith("no connection to Dify: ")
    app.close()


def test_a_dify_that_goes_down_later_has_run_nothing(dify, app):
    assert run(app).ending is Ending.DONE
    dify.answers["/v1/workflows/run"] = b""
    assert run(app).ending is Ending.UNKNOWN
    dify.shutdown()
    dify.server_close()

    assert run(app).ending is Ending.UNAVAILABLE


def test_a_certificate_that_is_not_trusted_is_for_a_person_to_mend(dify):
    # No TLS at all on the other side: for a client the same.
    app = DifyService(api_url=dify.url.replace("http:", "https:"), api_key=KEY)

    ended = run(app)

    assert ended.ending is Ending.MISCONFIGURED
    assert "TLS" in ended.error
    app.close()


class TestTime:
    def test_a_run_that_takes_too_long_is_unknown(self, dify, app):
        released = threading.Event()
        dify.answers["/v1/workflows/run"] = lambda _: released.wait(20) and (200, RESULT)
        started = time.monotonic()

        ended = run(app, timeout_s=0.3)
        released.set()

        assert ended.ending is Ending.UNKNOWN
        assert 0.2 < time.monotonic() - started < 10

    def test_so_is_one_whose_answer_comes_in_drops(self, dify, app):
        over = threading.Event()

        def drops(handler):
            handler.wfile.write(CUT)
            with contextlib.suppress(OSError):
                while not over.wait(0.05):
                    handler.wfile.write(b" ")
            handler.close_connection = True

        dify.answers["/v1/workflows/run"] = drops
        started = time.monotonic()

        ended = run(app, timeout_s=0.4)
        over.set()

        assert (ended.ending, ended.error) == (Ending.UNKNOWN, "no answer from Dify within 0 s")
        assert 0.3 < time.monotonic() - started < 10

    def test_an_answer_without_an_end_is_not_kept(self, dify, app, monkeypatch):
        monkeypatch.setattr(service, "MAX_ANSWER_BYTES", 1000)
        dify.answers["/v1/workflows/run"] = (200, {"x": "y" * 2000})

        ended = run(app)

        assert (ended.ending, "more than 1000 bytes" in ended.error) == (Ending.UNKNOWN, True)


def test_many_threads_may_call_at_once(dify, app):
    gate = threading.Barrier(8, timeout=20)
    dify.answers["/v1/workflows/run"] = lambda _: gate.wait() >= 0 and (200, RESULT)

    with ThreadPoolExecutor(8) as threads:
        endings = list(threads.map(lambda _: run(app).ending, range(16)))

    assert endings == [Ending.DONE] * 16


def test_after_its_end_nothing_is_started(dify, app):
    app.close()

    assert run(app).ending in {Ending.NOT_STARTED, Ending.UNAVAILABLE}
    assert dify.requests == []


class TestSettings:
    @pytest.mark.parametrize(
        "url",
        [
            "",
            "api.dify.ai/v1",
            "ftp://api.dify.ai",
            "http://",
            "http://:80",
            "http://user:secret@api.dify.ai",
            "https://api.dify.ai/v1?key=1",
            "https://api.dify.ai/v1#x",
            "http://[::1",
            "http://a:99999",
            "http://a b/",
            "http://a\n/",
        ],
    )
    def test_what_is_no_address_is_refused(self, url):
        with pytest.raises(SettingsInvalid, match="DIFY_API_URL must be an address") as raised:
            DifyService(api_url=url, api_key=KEY)

        assert "secret" not in str(raised.value)

    @pytest.mark.parametrize("key", ["", "  ", "app-ö", "app-\x00", "app-a\nb"])
    def test_what_is_no_key_is_refused_and_not_shown(self, key):
        with pytest.raises(SettingsInvalid, match="DIFY_API_KEY must be the key of an app") as raised:
            DifyService(api_url="https://api.dify.ai", api_key=key)

        assert "app-" not in str(raised.value)

    def test_a_proxy_that_is_none_is_said_without_its_password(self, monkeypatch):
        monkeypatch.setenv("HTTP_PROXY", "nonsense://user:secret@proxy:1")

        with pytest.raises(SettingsInvalid, match="proxy") as raised:
            DifyService(api_url="http://api.dify.ai", api_key=KEY)

        assert "secret" not in str(raised.value)


@pytest.mark.parametrize(
    "answer",
    [
        (400, {"code": "x", "message": f"Bearer {KEY} is wrong"}),
        (401, {"code": "unauthorized", "message": KEY}),
        (200, {**RESULT, "data": {"status": "failed", "error": KEY}}),
    ],
)
def test_the_key_is_in_no_text(dify, app, answer):
    dify.answers["/v1/workflows/run"] = answer

    ended = run(app)

    assert "***" in ended.error
    assert KEY not in repr(ended)
    assert KEY not in repr(vars(app)) + repr(vars(app._app))
