"""What a proof needs from outside: a certificate, a confirmation.

With the client that the SDK brings along, and its proxies: what the platform lets nobody reach, we do not either. In
the plugin nothing else calls anybody but Kafka, and the tool that listens to streams (`tooling.sse`).
"""

import time
from typing import Final

import httpx

from kafka_bridge.ingress.outside import FetchFailed

TIMEOUT_S: Final = 3.0
MAX_BYTES: Final = 64 * 1024
_PASSING: Final = frozenset((httpx.codes.REQUEST_TIMEOUT, httpx.codes.TOO_MANY_REQUESTS))


def fetch(url: str) -> bytes:
    """The body of the answer to a GET; a `Fetch` of the proofs. Raises FetchFailed. The URL was checked before."""
    deadline = time.monotonic() + TIMEOUT_S
    body = bytearray()
    try:
        with (
            httpx.Client(timeout=TIMEOUT_S, follow_redirects=False) as client,
            # As it is: what was packed may be of any size.
            client.stream("GET", url, headers={"Accept-Encoding": "identity"}) as response,
        ):
            if response.status_code != httpx.codes.OK:
                # What is not there now will not be there in a moment; a server in trouble, or one that is asked too
                # often, says something else then.
                passing = response.is_server_error or response.status_code in _PASSING
                raise FetchFailed(f"HTTP {response.status_code}", lasting=not passing)
            for chunk in response.iter_raw():
                body += chunk
                if len(body) > MAX_BYTES:
                    raise FetchFailed(f"more than {MAX_BYTES} bytes", lasting=True)
                if time.monotonic() > deadline:
                    raise FetchFailed("too slow")
    except (httpx.HTTPError, httpx.InvalidURL, OSError, ValueError) as error:
        # Not its text, which may name a proxy; ValueError and OSError: a proxy or certificates that do not exist.
        raise FetchFailed(type(error).__name__) from error
    return bytes(body)
