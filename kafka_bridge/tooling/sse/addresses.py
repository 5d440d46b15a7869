"""To which addresses nothing is sent unless the operator allows it. Pure.

A plugin stands inside the operator's network, and whoever writes a URL into a workflow, a model among them, need not.
The ranges are those of https://www.iana.org/assignments/iana-ipv4-special-registry and iana-ipv6-special-registry,
written out because what `ipaddress` says of some of them depends on the version of Python.
"""

from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from types import MappingProxyType
from typing import Final

_IPV4: Final = MappingProxyType(
    {
        "a loopback address": ("127.0.0.0/8",),
        # Where most clouds tell a machine its secrets.
        "a link-local address": ("169.254.0.0/16",),
        "a private address": ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16"),
        # Of a provider's own network, that of a cloud too.
        "a shared address": ("100.64.0.0/10",),
        # Azure's, in the middle of the public internet.
        "a metadata address": ("168.63.129.16/32",),
        "an unspecified address": ("0.0.0.0/8",),
        "a multicast address": ("224.0.0.0/4",),
        "a reserved address": (
            "192.0.0.0/24",
            "192.0.2.0/24",
            "192.88.99.0/24",
            "198.18.0.0/15",
            "198.51.100.0/24",
            "203.0.113.0/24",
            "240.0.0.0/4",
        ),
    }
)
# Outside of 2000::/3 nothing is public, so these only say more of it; the others are ranges within it.
_IPV6: Final = MappingProxyType(
    {
        "a loopback address": ("::1/128",),
        "an unspecified address": ("::/128",),
        "a link-local address": ("fe80::/10",),
        "a private address": ("fc00::/7", "fec0::/10"),
        "a multicast address": ("ff00::/8",),
        # Tunnels, which lead to an IPv4 address of the sender's choice, are among them (2001::/32, 2002::/16).
        "a reserved address": ("2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20"),
    }
)
_PUBLIC_IPV6: Final = IPv6Network("2000::/3")
# How the IPv6-only part of the world reaches IPv4: the address in the last 32 bits is what is meant.
_NAT64: Final = IPv6Network("64:ff9b::/96")
_COMPATIBLE: Final = IPv6Network("::/96")


def refusal(text: str) -> str:
    """What kind of address it is that nothing is sent to; empty for an address of the public internet."""
    try:
        address = ip_address(text.partition("%")[0])
    except ValueError:
        return "an unknown kind of address"
    if isinstance(address, IPv4Address):
        return _of_ipv4(address)
    embedded = _embedded(address)
    return _of_ipv6(address) if embedded is None else _of_ipv4(embedded)


def _of_ipv4(address: IPv4Address) -> str:
    return next((kind for kind, ranges in _IPV4.items() if any(address in IPv4Network(one) for one in ranges)), "")


def _of_ipv6(address: IPv6Address) -> str:
    kinds = (kind for kind, ranges in _IPV6.items() if any(address in IPv6Network(one) for one in ranges))
    return next(kinds, "" if address in _PUBLIC_IPV6 else "a reserved address")


def _embedded(address: IPv6Address) -> IPv4Address | None:
    if address.ipv4_mapped is not None:
        return address.ipv4_mapped
    if address in _NAT64 or (address in _COMPATIBLE and int(address) > 1):
        return IPv4Address(int(address) & 0xFFFFFFFF)
    return None
