"""Runs the service on a socket until it is told to stop."""

from __future__ import annotations

import socket
import sys
from dataclasses import replace
from functools import partial

from cds.hooks.crew import Running
from cds.hooks.doorstep import url_of
from cds.hooks.edition import Edition, Source
from cds.hooks.journal import Journal
from cds.hooks.supervisor import Supervisor, can_supervise
from cds.hooks.tls import Tls
from cds.hooks.worker import Place, work

__all__ = ["Running", "run"]


def run(source: Source, edition: Edition, running: Running) -> int:
    """Serves on the socket until SIGTERM or SIGINT, then ends in order; the code to exit with.

    Raises Unservable. Where processes cannot be forked one serves, and reloads nothing.
    """
    options = replace(running.options, settings=edition.settings)
    started = partial(_announce, running.listener, options.tls)
    if can_supervise():
        return Supervisor(source, edition, running).run(started)
    journal = Journal(running.clock)
    place = Place(ready=started)
    work(edition, running.clock, running.listener, options, journal, place)
    return 0


def _announce(listener: socket.socket, tls: Tls | None) -> None:
    """Says on standard output where the services are, for whoever started this."""
    sys.stdout.write(f"{url_of(listener, tls)}/cds-services\n")
    sys.stdout.flush()
