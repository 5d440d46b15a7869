"""The platform's request and answer, ours in between, and the one error boundary.

An exception that left `_invoke` would reach the caller: a `ValueError` as a 404 with its text, any other as a 500 with
its text. None leaves here.
"""

import logging
import secrets
import traceback
from collections.abc import Mapping
from typing import Final, Protocol

from werkzeug import Request, Response

from kafka_bridge.dify.call import Call, Handler
from kafka_bridge.dify.hooks import Hooks
from kafka_bridge.errors import BridgeError, Internal
from kafka_bridge.http import Inbound, Outbound, problem

logger = logging.getLogger(__name__)

# How an empty body arrives: the daemon writes it as an empty chunked one, and the SDK does not decode the chunks.
EMPTY_CHUNKED_BODY: Final = b"0\r\n\r\n"


class Session(Protocol):
    """What is used of the SDK's session."""

    endpoint_id: str | None


def serve(
    handler: Handler,
    hooks: Hooks,
    request: Request,
    *,
    values: Mapping[str, object],
    settings: Mapping[str, object] | None,
    session: Session,
) -> Response:
    """Answer one request. Raises nothing."""
    try:
        call = Call(
            to_inbound(request), hooks.get(settings or {}), session.endpoint_id or "", str(values.get("source", ""))
        )
        return to_response(handler(call))
    except BridgeError as error:
        return to_response(problem(error))
    except Exception as error:  # noqa: BLE001 - the boundary; see above
        incident = secrets.token_hex(4)
        # Without the exception's own text: it may quote what was sent, or a secret.
        trace = "".join(traceback.format_tb(error.__traceback__))
        logger.error("incident %s: %s\n%s", incident, type(error).__qualname__, trace)  # noqa: TRY400
        return to_response(problem(Internal(incident)))


def to_inbound(request: Request) -> Inbound:
    """The SDK's request as a plain value."""
    environ = request.environ
    headers = {key[5:].replace("_", "-").lower(): value for key, value in environ.items() if key.startswith("HTTP_")}
    if content_type := environ.get("CONTENT_TYPE"):
        headers["content-type"] = content_type
    body = request.get_data()
    return Inbound(
        method=request.method,
        path=request.path,
        query=environ.get("QUERY_STRING", ""),
        headers=headers,
        body=b"" if body == EMPTY_CHUNKED_BODY else body,
    )


def to_response(outbound: Outbound) -> Response:
    """Our answer as the SDK wants it."""
    return Response(outbound.body, outbound.status, outbound.headers, content_type=outbound.content_type)
