"""Runs an app through Dify's own HTTP API, for the worker that runs outside Dify. Its calls may come from any thread.

Blocking calls only: a stream that is refused answers 200 and then nothing (`POST /workflows/run`).
"""

import ssl
import time
from collections.abc import Mapping
from http import HTTPStatus
from typing import Final
from urllib.parse import SplitResult, urlsplit

import httpx
import orjson

from kafka_bridge.dispatch import verdicts
from kafka_bridge.dispatch.attempt import Attempts, Described
from kafka_bridge.dispatch.ended import Ended, Ending
from kafka_bridge.dispatch.form import Form
from kafka_bridge.dispatch.inputs import Inputs
from kafka_bridge.dispatch.payload import Payload
from kafka_bridge.errors import SettingsInvalid
from kafka_bridge.settings.secret import Secret

# Whom Dify's log names as the one who ran the app.
USER: Final = "kafka-bridge"
CONNECT_TIMEOUT_S: Final = 5.0
# An idle connection is given up before Dify does (gunicorn: after two seconds): of a request that meets its end nobody
# knows whether it was seen.
KEEP_IDLE_S: Final = 1.0
MAX_CONNECTIONS: Final = 1000
# Far above what a workflow gives, and far below what the process can hold.
MAX_ANSWER_BYTES: Final = 32 * 1024 * 1024
_CHAT: Final = frozenset({"chat", "advanced-chat", "agent-chat"})


class DifyService:
    """One app of Dify's, reached by its API key. Close it when it is no longer needed."""

    def __init__(self, *, api_url: str, api_key: str, user: str = USER) -> None:
        """`api_url` and `api_key` as the app's page in Dify shows them. Raises SettingsInvalid."""
        key = Secret(api_key.strip())
        url, problems = _api_url(api_url.strip())
        if not key.reveal() or not key.reveal().isascii() or not key.reveal().isprintable():
            problems.append("DIFY_API_KEY must be the key of an app, as its API page shows it.")
        if problems:
            raise SettingsInvalid(problems)
        try:
            client = httpx.Client(
                base_url=url,
                headers={"Authorization": f"Bearer {key.reveal()}"},
                limits=httpx.Limits(max_connections=MAX_CONNECTIONS, keepalive_expiry=KEEP_IDLE_S),
            )
        except (httpx.InvalidURL, OSError, ValueError) as error:
            # Their text may hold a proxy's password.
            raise SettingsInvalid(
                ["The proxy or the certificates that the environment names cannot be used."]
            ) from error
        self._app = _App(client, key, user)
        self._attempts = Attempts(time.monotonic)

    def run(self, inputs: Inputs, payload: Payload, *, timeout_s: float) -> Ended:
        """Run the app for one record. Raises nothing; an app that is still running after `timeout_s` is `UNKNOWN`."""
        return self._attempts.run("", self._app, inputs, payload, timeout_s=timeout_s)

    def close(self) -> None:
        """Let go of the connections."""
        self._app.client.close()


class _App:
    """The calls."""

    def __init__(self, client: httpx.Client, key: Secret, user: str) -> None:
        self.client = client
        self._key = key
        self._user = user

    def describe(self, timeout_s: float) -> Described | Ended:
        deadline = time.monotonic() + timeout_s
        parameters = self._call("GET", "parameters", None, timeout_s)
        if isinstance(parameters, Ended):
            return parameters
        if not (document := _json(parameters)):
            return Ended(Ending.MISCONFIGURED, error="DIFY_API_URL is not the address of Dify's API")
        info = self._call("GET", "info", None, max(0.1, deadline - time.monotonic()))
        # Old versions of Dify say nothing of the mode, or have no such path; then the first run tells.
        mode = None if isinstance(info, Ended) else _json(info).get("mode")
        return Described(Form.parse(document), mode in _CHAT if isinstance(mode, str) else None)

    def run_workflow(self, inputs: Mapping[str, object], timeout_s: float) -> Ended:
        return self._run("workflows/run", {"inputs": inputs}, timeout_s)

    def run_chat(self, inputs: Mapping[str, object], query: str, timeout_s: float) -> Ended:
        return self._run("chat-messages", {"inputs": inputs, "query": query}, timeout_s)

    def _run(self, path: str, body: Mapping[str, object], timeout_s: float) -> Ended:
        content = orjson.dumps({**body, "response_mode": "blocking", "user": self._user})
        answer = self._call("POST", path, content, timeout_s)
        return answer if isinstance(answer, Ended) else self._told(verdicts.of_http(HTTPStatus.OK, answer))

    def _call(self, method: str, path: str, content: bytes | None, timeout_s: float) -> bytes | Ended:
        """The body of the answer, or how the run ended because there is none."""
        try:
            status, body = self._exchange(method, path, content, timeout_s)
        except (httpx.HTTPError, httpx.InvalidURL, OSError, ValueError) as error:
            return self._told(_unanswered(error, timeout_s))
        except RuntimeError:
            return Ended(Ending.NOT_STARTED, error="the connection to Dify was closed by ourselves")
        return body if status == HTTPStatus.OK else self._told(verdicts.of_http(status, body))

    def _exchange(self, method: str, path: str, content: bytes | None, timeout_s: float) -> tuple[int, bytes]:
        deadline = time.monotonic() + timeout_s
        timeout = httpx.Timeout(timeout_s, connect=min(CONNECT_TIMEOUT_S, timeout_s))
        body = bytearray()
        headers = {"Content-Type": "application/json"} if content else {}
        with self.client.stream(method, path, content=content, headers=headers, timeout=timeout) as response:
            for chunk in response.iter_bytes():
                body += chunk
                if len(body) > MAX_ANSWER_BYTES:
                    raise httpx.RemoteProtocolError(f"an answer of more than {MAX_ANSWER_BYTES} bytes")
                # The client's own timeout starts again with every piece.
                if time.monotonic() > deadline:
                    raise httpx.ReadTimeout("")
        return response.status_code, bytes(body)

    def _told(self, ended: Ended) -> Ended:
        # Whatever is in between may repeat a request in its answer.
        return ended._replace(error=ended.error.replace(self._key.reveal(), "***"))


def _api_url(text: str) -> tuple[str, list[str]]:
    """The address with `/v1` at its end, and what is wrong with it."""
    try:
        parts = urlsplit(text)
        legal = parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
    except ValueError:
        parts, legal = SplitResult("", "", "", "", ""), False
    if (
        not legal
        or parts.query
        or parts.fragment
        or parts.username is not None
        or not text.isprintable()
        or " " in text
    ):
        return "", ["DIFY_API_URL must be an address like https://api.dify.ai/v1, without a user name or a query."]
    path = parts.path.rstrip("/")
    return f"{parts.scheme}://{parts.netloc}{path if path.endswith('/v1') else f'{path}/v1'}", []


def _unanswered(error: Exception, timeout_s: float) -> Ended:
    """How a call ended that has no answer. By its kind: what was not connected has not begun."""
    match error:
        case httpx.ConnectError() | httpx.ProxyError() if _is_tls(error):
            return Ended(Ending.MISCONFIGURED, error=verdicts.bounded(f"no TLS connection to Dify: {error}"))
        case httpx.ConnectError() | httpx.ConnectTimeout() | httpx.PoolTimeout() | httpx.ProxyError():
            words = str(error) or type(error).__name__
            return Ended(Ending.UNAVAILABLE, error=verdicts.bounded(f"no connection to Dify: {words}"))
        case httpx.TimeoutException():
            return Ended(Ending.UNKNOWN, error=f"no answer from Dify within {timeout_s:.0f} s")
        case httpx.NetworkError() | httpx.ProtocolError() | httpx.DecodingError():
            return Ended(Ending.UNKNOWN, error=verdicts.bounded(f"the connection to Dify broke: {error}"))
        case _:
            # A proxy or certificates that do not exist: their text may hold a password.
            return Ended(Ending.MISCONFIGURED, error=f"Dify cannot be called ({type(error).__name__})")


def _is_tls(error: Exception) -> bool:
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, ssl.SSLError):
            return True
        cause = cause.__cause__ or cause.__context__
    return False


def _json(body: bytes) -> Mapping[str, object]:
    try:
        document = orjson.loads(body)
    except orjson.JSONDecodeError:
        return {}
    return document if isinstance(document, dict) else {}
