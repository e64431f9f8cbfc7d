"""Where to listen, and whether it may be: all that can keep a service from starting at once.

It stands apart from the server, so that a start that is refused is refused before anything is read.
"""

from __future__ import annotations

import socket
from dataclasses import dataclass
from ipaddress import ip_address

from cds.hooks.settings import Settings
from cds.hooks.tls import Tls


class Unservable(Exception):  # noqa: N818 - it is how a start ends
    """Why the service cannot start, in words for whoever starts it."""


@dataclass(frozen=True, slots=True)
class Address:
    """Where to listen; port 0 takes any that is free."""

    host: str
    port: int

    @property
    def is_loopback(self) -> bool:
        """Whether only this machine can reach it."""
        if self.host == "localhost":
            return True
        try:
            return ip_address(self.host).is_loopback
        except ValueError:
            return False


def check_auth(auth: str | None, address: Address, settings: Settings, tls: Tls | None) -> str:
    """A warning to be shown at start, or ""; raises Unservable where nothing would guard the door.

    ``auth`` is "jwt", "none" or None where nothing was said. Tokens are checked as soon as the
    settings name issuers.
    """
    if settings.issuers:
        if auth == "none":
            raise Unservable(
                "--auth none: the configuration names issuers, whose tokens are checked;"
                " accepted: no --auth, or a configuration without issuers"
            )
        _check_keys(settings)
        if tls is None and not address.is_loopback:
            return f"no TLS on {address.host}: tokens and records must not travel in clear text"
        return ""
    if auth == "jwt":
        raise Unservable(
            "--auth jwt: no issuer is named, so nobody could call; accepted: a --config with"
            " service: {public-url: https://…, issuers: [{iss: …, keys: FILE}]}"
        )
    if auth is None and not address.is_loopback:
        raise Unservable(
            f"--host {address.host}: anybody who reaches this address could send records and read"
            " the answers, since callers are not checked; accepted: a loopback address such as"
            " 127.0.0.1, issuers in --config, or --auth none where something in front checks"
            " callers"
        )
    return f"callers are not checked (no authentication) on {address.host}"


def _check_keys(settings: Settings) -> None:
    if not settings.issuers:
        return
    from cds.hooks.keys import KeysError, read_key_file

    for issuer in settings.issuers:
        if issuer.keys is None:
            continue
        try:
            read_key_file(issuer.keys)
        except (OSError, KeysError) as error:
            why = str(error) if isinstance(error, KeysError) else _why(error)
            what = f"the keys of issuer {issuer.iss} cannot be read: {issuer.keys}: {why}"
            raise Unservable(f"{what}; accepted: a file with a JWK Set") from error


def listen(address: Address) -> socket.socket:
    """A socket that listens; raises Unservable where the address cannot be had."""
    where = f"{address.host}:{address.port}"
    try:
        family, *_, target = socket.getaddrinfo(
            address.host, address.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        found = socket.socket(family, socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise Unservable(f"--host {address.host}: no such address ({_why(error)})") from error
    try:
        found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        found.bind(target)
        found.listen(2048)
    except OSError as error:
        found.close()
        what = f"cannot listen on {where}: {_why(error)}"
        raise Unservable(f"{what}; accepted: a free --port, or 0 for any") from error
    return found


def _why(error: Exception) -> str:
    text = error.strerror if isinstance(error, OSError) else None
    return (text or str(error) or type(error).__name__).lower()


def url_of(listener: socket.socket, tls: Tls | None = None) -> str:
    """The address as a URL, with the port that was really taken."""
    host, port = listener.getsockname()[:2]
    scheme = "http" if tls is None else "https"
    return f"{scheme}://[{host}]:{port}" if ":" in host else f"{scheme}://{host}:{port}"
