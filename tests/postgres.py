"""A PostgreSQL server of the tests' own: made in a folder, reached by a socket in it, thrown away.

Nothing of a server that the machine may run is touched. The binaries are Debian's (or on the PATH);
the server refuses to run as root, so root runs it as another user.
"""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any

SUPERUSER = "cds"
MISSING = "PostgreSQL's initdb and postgres are not installed: `make system` installs them"
_START_SECONDS = 30


def binaries() -> Path | None:
    """The folder with ``initdb`` and ``postgres``; the newest version where there are several."""
    named = [path.parent for path in map(Path, filter(None, [shutil.which("initdb")]))]
    debian = sorted(
        Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: float(path.parent.name)
    )
    found = [path for path in (*reversed(debian), *named) if (path / "initdb").is_file()]
    return next((path for path in found if (path / "postgres").is_file()), None)


def _owner() -> dict[str, Any]:
    """Whom the server runs as, in the words of ``subprocess``: ourselves, unless we are root."""
    if os.geteuid():
        return {}
    names = {entry.pw_name for entry in pwd.getpwall()}
    user = pwd.getpwnam("postgres" if "postgres" in names else "nobody")
    return {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}


@dataclass
class Server:
    """A server that can be stopped, killed and started again; ``close`` removes it.

    ``lasting``: what is committed is on the disk, as in production; without it, tests are quicker.
    """

    bin: Path
    lasting: bool = False
    folder: Path = field(default_factory=lambda: Path(tempfile.mkdtemp(prefix="cds-pg-")))
    process: subprocess.Popen[bytes] | None = None
    _names: count[int] = field(default_factory=lambda: count(1))

    @classmethod
    def start_new(cls, found: Path, *, lasting: bool = False) -> Server:
        server = cls(found, lasting)
        owner = _owner()
        if owner:
            os.chown(server.folder, owner["user"], owner["group"])
        subprocess.run(
            [
                *(found / "initdb", "--pgdata", server.data, "--username", SUPERUSER),
                *("--auth", "trust", "--encoding", "UTF8", "--no-locale", "--no-sync"),
            ],
            check=True, cwd=server.folder, stdout=subprocess.DEVNULL, **owner,
        )  # fmt: skip
        server.start()
        return server

    @property
    def data(self) -> Path:
        return self.folder / "data"

    def url(self, database: str) -> str:
        return f"postgresql://{SUPERUSER}@/{database}?host={self.folder}"

    def new_database(self) -> str:
        """The URL of an empty database."""
        name = f"store_{next(self._names)}"
        self.execute("postgres", f"create database {name}")
        return self.url(name)

    def execute(self, database: str, statement: str) -> None:
        import psycopg

        where = f"host={self.folder} user={SUPERUSER} dbname={database}"
        with psycopg.connect(where, autocommit=True) as connection:
            connection.execute(statement.encode())

    def start(self) -> None:
        """Starts the server and waits until it answers; after a crash it recovers first."""
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(
                [
                    *(self.bin / "postgres", "-D", self.data, "-k", self.folder),
                    *("-c", "listen_addresses=", "-c", f"fsync={'on' if self.lasting else 'off'}"),
                ],
                cwd=self.folder, stdout=log, stderr=log, **_owner(),
            )  # fmt: skip
        self._wait()

    def _wait(self) -> None:
        import psycopg

        assert self.process is not None
        until = time.monotonic() + _START_SECONDS
        while True:
            try:
                return self.execute("postgres", "select 1")
            except psycopg.OperationalError:
                ended = self.process.poll() is not None
                if ended or time.monotonic() > until:
                    raise RuntimeError((self.folder / "log").read_text("utf-8")) from None
                time.sleep(0.05)

    def stop(self, number: signal.Signals = signal.SIGINT) -> None:
        """Ends the server: SIGINT in order, SIGQUIT as in a crash. Connections are cut."""
        if self.process is not None:
            self.process.send_signal(number)
            self.process.wait(timeout=_START_SECONDS)
            self.process = None

    def close(self) -> None:
        self.stop(signal.SIGQUIT)
        shutil.rmtree(self.folder)
