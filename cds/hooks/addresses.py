"""Which network addresses may be connected to: public ones, those that an entry names, never some.

IANA IPv4 and IPv6 Special-Purpose Address Registries; RFC 6890. What an IPv6 address carries of
IPv4 (mapped, compatible, NAT64, 6to4) is judged as that IPv4 address.
"""

from __future__ import annotations

from collections.abc import Sequence
from ipaddress import (
    IPv4Address,
    IPv4Network,
    IPv6Address,
    IPv6Network,
    ip_address,
    ip_network,
)

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

# Never, whatever a configuration says: link-local, where clouds keep their metadata, the metadata
# addresses outside of it, nobody's address, and addresses of many.
_NEVER = tuple(
    ip_network(text)
    for text in (
        "0.0.0.0/8",
        "100.100.100.200/32",
        "168.63.129.16/32",
        "169.254.0.0/16",
        "192.0.0.192/32",
        "224.0.0.0/4",
        "255.255.255.255/32",
        "::/128",
        "fd00:ec2::254/128",
        "fd20:ce::254/128",
        "fe80::/10",
        "ff00::/8",
    )
)
_COMPATIBLE = IPv6Network("::/96")
_NAT64 = (IPv6Network("64:ff9b::/96"), IPv6Network("64:ff9b:1::/48"))
_TEREDO = IPv6Network("2001::/32")


def allowed_address(text: str, networks: Sequence[Network]) -> str:
    """The address to connect to, written plainly, or "" where it must not be connected to.

    ``text`` is an address as a resolver gives it; ``networks`` are those allowed beside public
    addresses. An IPv4 address in IPv6 clothes (``::ffff:…``) is given as IPv4.
    """
    try:
        address = ip_address(text)
    except ValueError:
        return ""
    if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
        address = address.ipv4_mapped
    carried = _carried(address)
    found = (address, *carried)
    if any(_within(item, _NEVER) for item in found):
        return ""
    if _within(address, networks):
        return str(address)
    return str(address) if all(item.is_global for item in found) else ""


def is_never(network: Network) -> bool:
    """Whether a configuration names a network of which no address is ever connected to."""
    if isinstance(network, IPv4Network):
        return any(isinstance(each, IPv4Network) and network.subnet_of(each) for each in _NEVER)
    return any(isinstance(each, IPv6Network) and network.subnet_of(each) for each in _NEVER)


def _carried(address: Address) -> tuple[IPv4Address, ...]:
    """The IPv4 addresses that an IPv6 address leads to."""
    if isinstance(address, IPv4Address):
        return ()
    low = IPv4Address(int(address) & 0xFFFFFFFF)
    if any(address in network for network in _NAT64):
        return (low,)
    if address.sixtofour is not None:
        return (address.sixtofour,)
    if address in _TEREDO and address.teredo is not None:
        return address.teredo
    # ``::1`` is the loopback address, not 0.0.0.1.
    return (low,) if address in _COMPATIBLE and int(address) > 1 else ()


def _within(address: Address, networks: Sequence[Network]) -> bool:
    return any(address.version == item.version and address in item for item in networks)
