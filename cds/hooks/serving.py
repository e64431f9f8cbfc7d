"""Runs the service on a socket until it is told to stop."""

from __future__ import annotations

import logging
import signal
import socket
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import ip_address
from types import FrameType
from zoneinfo import ZoneInfo

import uvicorn

from cds.cards.wire import encode
from cds.hooks.app import Options, create_app
from cds.hooks.desk import Clock
from cds.rulebook.model import Rulebook

_GRACE_SECONDS = 10


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


def write_event(event: Mapping[str, object]) -> None:
    """One event as one line of JSON on standard error."""
    sys.stderr.write(encode(event).decode() + "\n")
    sys.stderr.flush()


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


def run(
    rulebook: Rulebook,
    zone: ZoneInfo,
    clock: Clock,
    listener: socket.socket,
    options: Options | None = None,
) -> None:
    """Serves on the socket until SIGTERM or SIGINT, then ends in order."""
    app = create_app(rulebook, zone, clock, write_event, options)
    _quiet_server_log()
    server = uvicorn.Server(
        uvicorn.Config(
            app,
            access_log=False,
            log_config=None,
            server_header=False,
            timeout_graceful_shutdown=_GRACE_SECONDS,
        )
    )

    def stop(_number: int, _frame: FrameType | None) -> None:
        server.should_exit = True

    # The server repeats the signal that ended it once it is done: by then these take it.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, stop)
    sys.stdout.write(f"{url_of(listener)}/cds-services\n")
    sys.stdout.flush()
    server.run(sockets=[listener])


class _OneLine(logging.Handler):
    """Turns the server's own log into events: class names only, since a text may quote a record."""

    def emit(self, record: logging.LogRecord) -> None:
        event: dict[str, object] = {"event": "server", "level": record.levelname.lower()}
        if record.exc_info and record.exc_info[0] is not None:
            event["error"] = record.exc_info[0].__name__
        else:
            event["message"] = str(record.msg).partition("\n")[0][:200]
        write_event(event)


def _quiet_server_log() -> None:
    logger = logging.getLogger("uvicorn")
    logger.handlers = [_OneLine()]
    logger.propagate = False
    logger.setLevel(logging.WARNING)
