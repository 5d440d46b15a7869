"""Words that rows of several vendors share. Pure."""

from typing import Final

from kafka_bridge.ingress.content import Location
from kafka_bridge.ingress.signatures import Signature, Timestamp

# For ids that the vendor documents as those of one event, or of one delivery with all its retries.
UNIQUE_S: Final = 300


def in_header(name: str, unit: str = "s") -> Timestamp:
    """A time in a header, within the usual five minutes."""
    return Timestamp(source="header", name=name, unit=unit)


def standard(prefix: str, fallback: Signature | None = None) -> Signature:
    """Standard Webhooks, with headers that begin with `prefix`."""
    return Signature(
        header=f"{prefix}-signature",
        encoding="base64",
        prefix="v1,",
        public_prefix="v1a,",
        separator=" ",
        key_encoding="whsec",
        template="{id}.{timestamp}.{body}",
        timestamp=in_header(f"{prefix}-timestamp"),
        id=Location(f"header:{prefix}-id"),
        fallback=fallback,
    )
