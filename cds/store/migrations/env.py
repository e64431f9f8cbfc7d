"""Brings a database to the newest schema; run by ``cds.store.database``, never by hand."""

from __future__ import annotations

from alembic import context

from cds.store.schema import metadata

connection = context.config.attributes["connection"]
context.configure(connection=connection, target_metadata=metadata, render_as_batch=True)
with context.begin_transaction():
    context.run_migrations()
