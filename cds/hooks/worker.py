"""One process that answers: the server on a socket that it may share with others, and its end.

Told to stop or to retire, it accepts no more; a client that is connected gets one more answer, with
``Connection: close``; what is in flight is finished, for as long as the grace time says.
"""

from __future__ import annotations

import asyncio
import contextlib
import signal
import socket
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from time import monotonic
from types import FrameType

import uvicorn

from cds.hooks.app import Options, Seat, create_app
from cds.hooks.desk import Clock
from cds.hooks.edition import Edition
from cds.hooks.gate import Gate
from cds.hooks.journal import Journal, take_over_logging
from cds.hooks.protocol import server_options

RETIRE = signal.SIGTERM if not hasattr(signal, "SIGUSR1") else signal.SIGUSR1
"""Others have taken the place; SIGTERM and SIGINT: the service ends."""

_KEEP_ALIVE_SECONDS = 5
# Who is connected and says nothing waits no longer than this once the service ends.
_IDLE_SECONDS = 1.0
_PULSE_SECONDS = 1.0
_LOOK_SECONDS = 0.05


@dataclass(slots=True)
class Place:
    """What a worker is told by whoever started it.

    ``ready`` is called once calls are accepted, ``pulse`` every second after that, ``closed`` once
    no more are; ``life`` is a descriptor that reads as ended when the parent is gone.
    """

    seat: Seat = field(default_factory=Seat)
    ready: Callable[[], object] = lambda: None
    closed: Callable[[], None] = lambda: None
    pulse: Callable[[], None] = lambda: None
    life: int | None = None


def work(
    edition: Edition,
    clock: Clock,
    listener: socket.socket,
    options: Options,
    journal: Journal,
    place: Place,
) -> None:
    """Answers on the socket until told to end, and ends in order."""
    journal.start()
    take_over_logging(journal.write)
    app = create_app(edition.rulebook, edition.zone, clock, journal.write, options, place.seat)
    config = uvicorn.Config(
        app,
        access_log=False,
        log_config=None,
        server_header=False,
        timeout_keep_alive=_KEEP_ALIVE_SECONDS,
        **server_options(options.settings),
        **(options.tls.server_options() if options.tls is not None else {}),
    )
    server = _Server(config, place, options.settings.notice_ms / 1000)
    server.grace = options.settings.grace_ms / 1000

    def pulse() -> None:
        app.state.metrics.refresh(place.seat.gate.inside)
        app.state.metrics.lost_lines.set(journal.dropped)
        place.pulse()

    server.pulse = pulse
    server.run(sockets=[listener])
    journal.close()


class _Server(uvicorn.Server):
    """uvicorn's server with an end that loses no call."""

    grace = 10.0
    pulse: Callable[[], None] = staticmethod(lambda: None)

    def __init__(self, config: uvicorn.Config, place: Place, notice: float) -> None:
        super().__init__(config)
        self._place, self._notice = place, notice
        self._told = 0

    @property
    def _gate(self) -> Gate:
        return self._place.seat.gate

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Takes the signals; unlike the library's it does not repeat them when all is done."""
        signal.signal(signal.SIGTERM, self._stop)
        signal.signal(signal.SIGINT, self._stop if self._place.life is None else signal.SIG_IGN)
        if RETIRE != signal.SIGTERM:
            signal.signal(RETIRE, self._retire)
        yield

    def _stop(self, _number: int, _frame: FrameType | None) -> None:
        self._told += 1
        if self._told > 1:  # whoever says it twice does not want to wait
            self._notice = self.grace = 0.0
            self.force_exit = True
        self._gate.state = "stopping"
        self.should_exit = True

    def _retire(self, _number: int, _frame: FrameType | None) -> None:
        if self._gate.state == "open":
            self._gate.state = "retiring"
        self.should_exit = True

    def _orphaned(self) -> None:
        """The parent is gone, and with it whoever would tell this process to stop."""
        asyncio.get_running_loop().remove_reader(self._place.life or 0)
        self._stop(0, None)

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Starts to accept, and says so."""
        await super().startup(sockets)
        if self._place.life is not None:
            asyncio.get_running_loop().add_reader(self._place.life, self._orphaned)
        self._beating = asyncio.create_task(self._beat())
        self._place.ready()

    async def _beat(self) -> None:
        while True:
            self.pulse()
            await asyncio.sleep(_PULSE_SECONDS)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Ends in order: notice, no more connections, idle ones, what is in flight."""
        stopping = self._gate.state == "stopping"
        if stopping:
            await self._until(lambda: False, lambda: self._notice)
        for server in self.servers:
            server.close()
        self._place.closed()
        began = monotonic()
        idle = _IDLE_SECONDS if stopping else _KEEP_ALIVE_SECONDS + _IDLE_SECONDS
        state = self.server_state
        await self._until(lambda: not state.connections, lambda: min(idle, self.grace))
        left = max(0.0, self.grace - (monotonic() - began))
        self.config.timeout_graceful_shutdown = left  # type: ignore[assignment]
        await super().shutdown(sockets)
        self._beating.cancel()

    async def _until(self, done: Callable[[], bool], seconds: Callable[[], float]) -> None:
        began = monotonic()
        while not done() and monotonic() - began < seconds():  # noqa: ASYNC110 - the server's own
            await asyncio.sleep(_LOOK_SECONDS)
