"""One endpoint for every path and method: the first part of the path names what it does, `echo` is the rest."""

import hashlib
import json
import os
import sys
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import gevent
from dify_plugin import Endpoint
from gevent.event import Event
from werkzeug import Request, Response

SHOWN_BYTES = 64 * 1024
GO: dict[str, Event] = {}
OUTCOMES: dict[str, dict[str, Any]] = {}


def shown(data: bytes) -> dict[str, Any]:
    if len(data) <= SHOWN_BYTES:
        return {"hex": data.hex()}
    return {"length": len(data), "sha256": hashlib.sha256(data).hexdigest()}


def as_json(value: object) -> Response:
    return Response(json.dumps(value), content_type="application/json")


def attempt(action: Callable[[], object]) -> dict[str, Any]:
    """What the action gives, or raises: gevent.Timeout is not an Exception."""
    try:
        return {"result": action()}
    except BaseException as error:  # noqa: BLE001
        return {"exception": type(error).__name__, "text": str(error)}


class Probe(Endpoint):
    def _invoke(self, r: Request, values: Mapping, settings: Mapping) -> Response:
        name, _, argument = r.path.lstrip("/").partition("/")
        action = getattr(self, "do_" + name.replace("-", "_"), None)
        return action(r, argument) if action else self.echo(r, settings)

    def echo(self, r: Request, settings: Mapping) -> Response:
        environ = r.environ
        return as_json(
            {
                "method": r.method,
                "path": environ["PATH_INFO"],
                "query_string": environ["QUERY_STRING"],
                "server": [environ[n] for n in ("SERVER_NAME", "SERVER_PORT", "SERVER_PROTOCOL", "wsgi.url_scheme")],
                "environ": {
                    name: value
                    for name, value in sorted(environ.items())
                    if name.startswith("HTTP_") or name in ("CONTENT_TYPE", "CONTENT_LENGTH")
                },
                "body": shown(r.get_data()),
                "settings": dict(settings),
                "endpoint_id": bool(self.session.endpoint_id),
            }
        )

    # Answers.

    def do_status(self, _r: Request, argument: str) -> Response:
        return Response(f"status {argument}", status=int(argument))

    def do_status_empty(self, _r: Request, argument: str) -> Response:
        return Response(b"", status=int(argument))

    def do_valueerror(self, _r: Request, _argument: str) -> Response:
        raise ValueError("boom")

    def do_crash(self, _r: Request, _argument: str) -> Response:
        raise RuntimeError("boom")

    def do_baseexception(self, _r: Request, _argument: str) -> Response:
        raise SystemExit("boom")

    def do_notaresponse(self, _r: Request, _argument: str) -> dict:
        return {"not": "a response"}

    def do_headers(self, _r: Request, _argument: str) -> Response:
        response = Response(bytes(range(256)), content_type="application/octet-stream")
        response.headers.add("Set-Cookie", "a=1; Path=/")
        response.headers.add("Set-Cookie", "b=2; Path=/; HttpOnly")
        response.headers["X-Custom"] = "caf\u00e9 value"
        response.headers["x-lower-case"] = "kept?"
        return response

    def do_hopheaders(self, _r: Request, _argument: str) -> Response:
        response = Response("hop", content_type="text/plain")
        response.headers["Connection"] = "keep-alive"
        response.headers["Content-Length"] = "3"
        response.headers["Date"] = "Thu, 01 Jan 1970 00:00:00 GMT"
        response.headers["Server"] = "probe"
        return response

    def do_notype(self, _r: Request, _argument: str) -> Response:
        response = Response("<html>sniffed?</html>")
        del response.headers["Content-Type"]
        return response

    def do_redirect(self, _r: Request, _argument: str) -> Response:
        return Response("", status=302, headers={"Location": "/elsewhere"})

    def do_list(self, _r: Request, _argument: str) -> Response:
        return Response(["a", "b", "c"], content_type="text/plain")

    def do_big(self, r: Request, _argument: str) -> Response:
        return Response(b"x" * int(r.args["n"]), content_type="text/plain")

    # Streams.

    def do_stream(self, r: Request, _argument: str) -> Response:
        n, size = int(r.args.get("n", 3)), int(r.args.get("size", 8))
        pause_s, last_s = (float(r.args.get(name, 0)) / 1000 for name in ("pause_ms", "last_ms"))

        def chunks() -> Iterator[bytes]:
            for number in range(n):
                if number and pause_s:
                    gevent.sleep(pause_s)
                yield f"{number:07d};".encode().ljust(size, b".")
            if last_s:
                gevent.sleep(last_s)

        return Response(chunks(), content_type="text/plain")

    def do_streamempty(self, _r: Request, _argument: str) -> Response:
        return Response((chunk for chunk in ()), status=202, content_type="text/plain")

    def do_streamerror(self, r: Request, _argument: str) -> Response:
        def chunks() -> Iterator[bytes]:
            if r.args.get("first", "1") == "1":
                yield b"first chunk\n"
                gevent.sleep(float(r.args.get("pause_ms", 50)) / 1000)
            raise RuntimeError("boom in stream")

        return Response(chunks(), content_type="text/plain")

    # Storage and apps.

    def do_storage(self, r: Request, _argument: str) -> Response:
        key = r.args.get("key", "k")
        value = r.args["value"].encode() if "value" in r.args else b"v" * int(r.args.get("size", 10))
        storage = self.session.storage
        operations: dict[str, Callable[[], object]] = {
            "set": lambda: storage.set(key, value),
            "get": lambda: shown(storage.get(key)),
            "del": lambda: storage.delete(key),
            "exist": lambda: storage.exist(key),
        }
        with gevent.Timeout(10):
            return as_json(attempt(operations[r.args["op"]]))

    def do_storage_overwrite(self, r: Request, _argument: str) -> Response:
        sizes = int(r.args["size"]), int(r.args.get("size2", r.args["size"]))
        for number in range(n := int(r.args["n"])):
            self.session.storage.set(r.args.get("key", "over"), b"v" * sizes[number % 2])
        return as_json({"done": n})

    def do_app(self, r: Request, _argument: str) -> Response:
        app_id, mode = r.args.get("app_id", "ok"), r.args.get("mode", "blocking")
        inputs = json.loads(r.args.get("inputs", '{"payload": "p"}'))

        def invoke() -> object:
            if r.args.get("op") == "fetch":
                return dict(self.session.app.fetch_app(app_id))
            answer = self.session.app.workflow.invoke(app_id, inputs, mode)
            if mode == "streaming":
                return list(answer)
            return {"length": len(json.dumps(answer))} if r.args.get("summary") == "1" else answer

        with gevent.Timeout(float(r.args.get("s", 30))):
            outcome = attempt(invoke)
        if name := r.args.get("outcome"):
            OUTCOMES[name] = outcome
        return as_json(outcome)

    def do_late(self, r: Request, argument: str) -> Response:
        """Use the session after `go`, in this request or (answer=now) when its answer is out; see `outcome`."""
        go = GO.setdefault(argument, Event())

        def act() -> None:
            go.wait()
            with gevent.Timeout(0.3):
                self.session.storage.set("late", b"late")

        def later() -> None:
            OUTCOMES[argument] = attempt(act)

        late = gevent.spawn(later)
        if r.args.get("answer") != "now":
            late.join()
        return Response("late")

    def do_go(self, _r: Request, argument: str) -> Response:
        GO[argument].set()
        return Response("gone")

    def do_outcome(self, _r: Request, argument: str) -> Response:
        return as_json(OUTCOMES.get(argument))

    # The process.

    def do_sleep(self, r: Request, _argument: str) -> Response:
        gevent.sleep(float(r.args["s"]))
        return Response("slept")

    def do_exit(self, _r: Request, _argument: str) -> Response:
        os._exit(3)

    def do_stdout(self, r: Request, _argument: str) -> Response:
        """Write the body as one line, SESSION in it being this session's id."""
        line = r.get_data().replace(b"SESSION", self.session.session_id.encode())
        sys.stdout.write(line.decode("utf-8", "surrogateescape") + "\n")
        sys.stdout.flush()
        gevent.sleep(float(r.args.get("pause_ms", 0)) / 1000)
        return Response("written")

    def do_stderr(self, r: Request, _argument: str) -> Response:
        sys.stderr.write(r.get_data().decode() + "\n")
        sys.stderr.flush()
        return Response("written")
