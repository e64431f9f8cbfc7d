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
from cds.hooks.keys import KeysError, read_key_file
from cds.hooks.protocol import server_options
from cds.hooks.settings import Settings
from cds.hooks.tls import Tls
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
    for issuer in settings.issuers:
        if issuer.keys is None:
            continue
        try:
            read_key_file(issuer.keys)
        except (OSError, KeysError) as error:
            why = str(error) if isinstance(error, KeysError) else _why(error)
            what = f"the keys of issuer {issuer.iss} cannot be read: {issuer.keys}: {why}"
            raise Unservable(f"{what}; accepted: a file with a JWK Set") from error


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


def url_of(listener: socket.socket, tls: Tls | None = None) -> str:
    """The address as a URL, with the port that was really taken."""
    host, port = listener.getsockname()[:2]
    scheme = "http" if tls is None else "https"
    return f"{scheme}://[{host}]:{port}" if ":" in host else f"{scheme}://{host}:{port}"


def run(
    rulebook: Rulebook,
    zone: ZoneInfo,
    clock: Clock,
    listener: socket.socket,
    options: Options | None = None,
) -> None:
    """Serves on the socket until SIGTERM or SIGINT, then ends in order."""
    options = options or Options()
    app = create_app(rulebook, zone, clock, write_event, options)
    _quiet_server_log()
    server = uvicorn.Server(
        uvicorn.Config(
            app,
            access_log=False,
            log_config=None,
            server_header=False,
            timeout_graceful_shutdown=_GRACE_SECONDS,
            **server_options(options.settings),
            **(options.tls.server_options() if options.tls is not None else {}),
        )
    )

    def stop(_number: int, _frame: FrameType | None) -> None:
        server.should_exit = True

    # The server repeats the signal that ended it once it is done: by then these take it.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, stop)
    sys.stdout.write(f"{url_of(listener, options.tls)}/cds-services\n")
    sys.stdout.flush()
    server.run(sockets=[listener])


class _OneLine(logging.Handler):
    """Turns the server's own log into events: class names only, since a text may quote a record."""

    def emit(self, record: logging.LogRecord) -> None:
        event: dict[str, object] = {"event": "server", "level": record.levelname.lower()}
        if record.exc_info and record.exc_info[0] is not None:
            event["error"] = record.exc_info[0].__name__
        elif not record.name.startswith("uvicorn"):
            event["logger"] = record.name
        else:
            event["message"] = str(record.msg).partition("\n")[0][:200]
        write_event(event)


def _quiet_server_log() -> None:
    for name in ("uvicorn", ""):  # "" is whatever else may speak: the event loop, HTTP clients
        logger = logging.getLogger(name)
        logger.handlers = [_OneLine()]
        logger.propagate = False
        logger.setLevel(logging.WARNING)
