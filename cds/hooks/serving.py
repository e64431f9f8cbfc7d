"""Runs the service on a socket until it is told to stop."""

from __future__ import annotations

import socket
import sys
from dataclasses import dataclass, replace
from functools import partial
from ipaddress import ip_address

from cds.hooks.crew import Running
from cds.hooks.edition import Edition, Source
from cds.hooks.journal import Journal
from cds.hooks.supervisor import Supervisor, can_supervise
from cds.hooks.worker import Place, Unservable, work

__all__ = ["Address", "Running", "Unservable", "check_auth", "listen", "run", "url_of"]


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


def check_auth(auth: str | None, address: Address) -> str:
    """A warning to be shown at start; raises Unservable where nothing would guard the door.

    ``auth`` is "jwt", "none" or None where nothing was said.
    """
    if auth == "jwt":
        raise Unservable(
            "--auth jwt: this version cannot check JWTs yet, and does not serve as if it did;"
            " accepted: --auth none behind a gateway that checks them, or a loopback address"
        )
    if auth is None and not address.is_loopback:
        raise Unservable(
            f"--host {address.host}: anybody who reaches this address could send records and read"
            " the answers, since callers are not checked; accepted: a loopback address such as"
            " 127.0.0.1, or --auth none where something in front checks callers"
        )
    return f"callers are not checked (no authentication) on {address.host}"


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


def url_of(listener: socket.socket) -> str:
    """The address as a URL, with the port that was really taken."""
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def run(source: Source, edition: Edition, running: Running) -> int:
    """Serves on the socket until SIGTERM or SIGINT, then ends in order; the code to exit with.

    Raises Unservable. Where processes cannot be forked one serves, and reloads nothing.
    """
    options = replace(running.options, settings=edition.settings)
    started = partial(_announce, running.listener)
    if can_supervise():
        return Supervisor(source, edition, running).run(started)
    journal = Journal(running.clock)
    place = Place(ready=started)
    work(edition, running.clock, running.listener, options, journal, place)
    return 0


def _announce(listener: socket.socket) -> None:
    """Says on standard output where the services are, for whoever started this."""
    sys.stdout.write(f"{url_of(listener)}/cds-services\n")
    sys.stdout.flush()
