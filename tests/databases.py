"""Both databases that a store can be in, by the same few words: an empty one, down, up again."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

import sqlalchemy as sa

from cds.store.database import open_engine, transaction
from tests.postgres import Server

# A batch of feedback is written in pieces; a card of this name is what the database chokes on.
POISON = "poison"
_TRIGGERS = {
    "sqlite": (
        f"create trigger choke before insert on feedback when new.card = '{POISON}'"
        " begin select raise(abort, 'no'); end",
        "drop trigger choke",
    ),
    "postgresql": (
        "create function choke() returns trigger language plpgsql as"
        f" $$ begin if new.card = '{POISON}' then raise exception 'no'; end if; return new; end $$;"
        "create trigger choke before insert on feedback for each row execute function choke()",
        "drop trigger choke on feedback; drop function choke",
    ),
}


@dataclass
class Database:
    """An empty database. ``server`` is None for SQLite."""

    url: str
    server: Server | None = None

    @property
    def kind(self) -> str:
        return self.url.partition(":")[0]

    @property
    def path(self) -> Path:
        """The file of a SQLite database."""
        return Path(self.url.removeprefix("sqlite:///"))

    def run(self, statement: str) -> None:
        with closing_engine(self.url) as engine, transaction(engine) as connection:
            connection.exec_driver_sql(statement)

    def rows(self, statement: str) -> list[tuple[object, ...]]:
        with closing_engine(self.url) as engine, transaction(engine) as connection:
            return [tuple(row) for row in connection.exec_driver_sql(statement)]

    @contextmanager
    def down(self) -> Iterator[None]:
        """The store cannot be written: the server is off; the file is locked by somebody else."""
        if self.server is not None:
            self.server.stop()
            try:
                yield
            finally:
                self.server.start()
            return
        import sqlite3

        with closing(sqlite3.connect(self.path, isolation_level=None)) as other:
            other.execute("begin exclusive")
            yield

    @contextmanager
    def choking(self) -> Iterator[None]:
        """The database fails at one row, in the midst of a batch."""
        make, drop = _TRIGGERS[self.kind]
        self.run(make)
        try:
            yield
        finally:
            self.run(drop)


@contextmanager
def closing_engine(url: str) -> Iterator[sa.Engine]:
    engine = open_engine(url)
    try:
        yield engine
    finally:
        engine.dispose()
