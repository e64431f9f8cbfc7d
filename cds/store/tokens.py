"""Tokens that were used, so that several processes let each in once.

A connection of its own: a commit of a token need not wait for the disk, since it is forgotten
within the hour. What others commit waits as before.
"""

from __future__ import annotations

import hashlib
import threading

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from cds.store.database import migrate, open_engine, transaction
from cds.store.schema import tokens

_PURGE_SECONDS = 60


class Tokens:
    """The used tokens of one database, which is opened when it is first asked."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._lock = threading.Lock()
        self._engine: sa.Engine | None = None
        self._salt = b""
        self._purged_at = 0

    def take(self, digest: bytes, until: int, now: int) -> bool:
        """Whether the token was not used yet; it is now, until then (seconds of the epoch).

        Raises StoreError; then it is not known.
        """
        engine = self._opened()
        insert = postgresql.insert if engine.dialect.name == "postgresql" else sqlite.insert
        name = hashlib.blake2b(digest, key=self._salt, digest_size=16).hexdigest()
        statement = insert(tokens).values(token=name, until=until).on_conflict_do_nothing()
        with transaction(engine) as connection:
            if now - self._purged_at >= _PURGE_SECONDS:
                connection.execute(tokens.delete().where(tokens.c.until < now))
                self._purged_at = now
            return connection.execute(statement).rowcount > 0

    def close(self) -> None:
        """Lets go of the connection."""
        if self._engine is not None:
            self._engine.dispose()

    def _opened(self) -> sa.Engine:
        with self._lock:
            if self._engine is None:
                engine = open_engine(self._url, lasting=False)
                self._salt = migrate(engine)
                self._engine = engine
            return self._engine
