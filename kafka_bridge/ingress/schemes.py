"""Who proves itself how: one row per vendor. Pure.

The key is the secret as text unless a row says otherwise. Where a vendor names no window for its timestamp, it is five
minutes.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from kafka_bridge.ingress.scheme import Scheme
from kafka_bridge.ingress.vendors import business, development, generic, messaging, sealed

SCHEMES: Final[Mapping[str, Scheme]] = MappingProxyType(
    {**generic.ROWS, **development.ROWS, **business.ROWS, **messaging.ROWS, **sealed.ROWS}
)
