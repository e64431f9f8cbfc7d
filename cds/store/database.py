"""A database by its URL: SQLite by default, PostgreSQL when outgrown, brought to the newest schema.

Whatever goes wrong below is a ``StoreError`` with a class name and no text of the database's, since
that may quote what was to be written.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from time import monotonic, sleep

import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from sqlalchemy.engine import URL, Connection, make_url
from sqlalchemy.exc import ArgumentError, IntegrityError, NoSuchModuleError, SQLAlchemyError

from cds.store.schema import salts

DIALECTS = ("sqlite", "postgresql")
ACCEPTED = "sqlite:///path/to/file, or postgresql://user@host/name (with the extra 'postgres')"
_MIGRATIONS = Path(__file__).parent / "migrations"
_WAIT_SECONDS = 5
_AGAIN_SECONDS = 0.02
_SALT_BYTES = 16
_READING = "cds_reading"
# Any number: two processes that start at once must not both make the tables.
_MIGRATING = 4_711_202_611


class StoreError(Exception):
    """The store cannot be used; the text is safe to log and to show to whoever runs the service."""


def default_url() -> str:
    """The SQLite file that is used where no URL is given, below the user's state folder."""
    base = os.environ.get("XDG_STATE_HOME") or str(Path.home() / ".local" / "state")
    return f"sqlite:///{Path(base) / 'cds' / 'feedback.sqlite'}"


def open_engine(url: str, *, lasting: bool = True) -> sa.Engine:
    """An engine for the database, which is made if it is a file; raises StoreError.

    What is committed is on the disk before it is said so, unless it is not ``lasting``: then the
    machine's failure may lose the last of it, and nothing else.
    """
    found = _read_url(url)
    arguments: dict[str, object] = {"timeout": _WAIT_SECONDS}
    if found.get_backend_name() == "postgresql":
        options = "-c statement_timeout=5000" + ("" if lasting else " -c synchronous_commit=off")
        arguments = {"connect_timeout": _WAIT_SECONDS, "options": options}
        if found.drivername == "postgresql":
            found = found.set(drivername="postgresql+psycopg")
    elif found.database and found.database != ":memory:":
        try:
            Path(found.database).parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise StoreError(f"the folder of the store cannot be made ({_why(error)})") from None
    try:
        engine = sa.create_engine(found, connect_args=arguments, pool_pre_ping=True)
    except (ModuleNotFoundError, NoSuchModuleError):
        raise StoreError(
            "the database's driver is missing; accepted: pip install 'cds-rules-engine[postgres]'"
        ) from None
    if found.get_backend_name() == "sqlite":
        sa.event.listen(engine, "connect", partial(_tune_sqlite, "FULL" if lasting else "NORMAL"))
        sa.event.listen(engine, "begin", _begin_sqlite)
    return engine


def _read_url(url: str) -> URL:
    try:
        found = make_url(url)
    except (ArgumentError, ValueError):
        raise StoreError(f"the store's URL cannot be read; accepted: {ACCEPTED}") from None
    if found.get_backend_name() not in DIALECTS:
        what = f"'{found.get_backend_name()}' is no database for the store"
        raise StoreError(f"{what}; accepted: {ACCEPTED}")
    return found


def _tune_sqlite(synchronous: str, connection: object, _: object) -> None:
    """Readers and one writer at a time. ``synchronous`` FULL waits for the disk at each commit.

    The driver must not begin transactions of its own: it would do so too late to wait its turn.
    """
    connection.isolation_level = None  # type: ignore[attr-defined]
    cursor = connection.cursor()  # type: ignore[attr-defined]
    cursor.execute(f"PRAGMA busy_timeout={_WAIT_SECONDS * 1000}")
    _write_ahead(cursor)
    cursor.execute(f"PRAGMA synchronous={synchronous}")
    cursor.close()


def _write_ahead(cursor: sqlite3.Cursor) -> None:
    """Has a new file written ahead; SQLite waits for nobody there, so several that begin do it."""
    until = monotonic() + _WAIT_SECONDS
    while True:
        try:
            cursor.execute("PRAGMA journal_mode=WAL")
        except sqlite3.OperationalError:
            if monotonic() > until:
                raise
            sleep(_AGAIN_SECONDS)
        else:
            return


def _begin_sqlite(connection: Connection) -> None:
    """Writers wait for each other from the start; one that read first could never write."""
    reading = connection.get_execution_options().get(_READING)
    connection.exec_driver_sql("BEGIN" if reading else "BEGIN IMMEDIATE")


@contextmanager
def transaction(engine: sa.Engine, *, reading: bool = False) -> Iterator[Connection]:
    """One transaction: everything in it, or nothing. ``reading`` ones wait for no writer.

    Raises StoreError.
    """
    try:
        with engine.execution_options(**{_READING: reading}).begin() as connection:
            yield connection
    except SQLAlchemyError as error:
        raise StoreError(f"the store cannot be reached or written ({_why(error)})") from None


def migrate(engine: sa.Engine) -> bytes:
    """Brings the database to the newest schema; its salt. Raises StoreError."""
    config = Config()
    config.set_main_option("script_location", str(_MIGRATIONS))
    with transaction(engine) as connection:
        if engine.dialect.name == "postgresql":
            connection.execute(sa.text("select pg_advisory_xact_lock(:key)"), {"key": _MIGRATING})
        config.attributes["connection"] = connection
        try:
            command.upgrade(config, "head")
        except Exception as error:  # noqa: BLE001 - whatever a migration meets
            raise StoreError(f"the store cannot be migrated ({type(error).__name__})") from None
        return _salt(connection)


def _salt(connection: Connection) -> bytes:
    query = sa.select(salts.c.salt).where(salts.c.id == 1)
    found = connection.execute(query).scalar()
    if found is None:
        try:
            connection.execute(salts.insert().values(id=1, salt=os.urandom(_SALT_BYTES)))
        except IntegrityError:
            raise StoreError("two processes made the store at once; start again") from None
        found = connection.execute(query).scalar_one()
    return bytes(found)


def _why(error: Exception) -> str:
    cause = error.__cause__ or getattr(error, "orig", None) or error
    return type(cause).__name__
