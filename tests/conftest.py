"""What holds for every test: a time zone that is not UTC, and examples that can be repeated."""

from __future__ import annotations

import atexit
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from tests.databases import Database
from tests.postgres import MISSING, Server, binaries

# Not UTC, and not a whole hour off it: code that asks the machine's zone gives itself away.
os.environ["TZ"] = "Asia/Kathmandu"
if hasattr(time, "tzset"):
    time.tzset()

# A service that is started without a store of its own keeps it here, not with the user's.
os.environ["XDG_STATE_HOME"] = tempfile.mkdtemp(prefix="cds-tests-")
atexit.register(shutil.rmtree, os.environ["XDG_STATE_HOME"], ignore_errors=True)

# The whole suite is to be run often; CDS_FUZZ=20 tries twenty times as many.
EXAMPLES = 40 * max(1, int(os.environ.get("CDS_FUZZ") or 1))
settings.register_profile("local", deadline=None, max_examples=EXAMPLES)
settings.register_profile(
    "ci", deadline=None, max_examples=EXAMPLES, derandomize=True, print_blob=True
)
settings.load_profile("ci" if os.environ.get("CI") else "local")


def pytest_addoption(parser: pytest.Parser) -> None:
    """``--update`` rewrites goldens; a person reads the difference."""
    parser.addoption("--update", action="store_true", help="rewrite the goldens of fhir_examples")


# -- both databases ------------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def postgresql() -> Iterator[Server]:
    """A running PostgreSQL of the tests' own."""
    found = binaries()
    if found is None:
        pytest.skip(MISSING)
    pytest.importorskip("psycopg", reason="psycopg is not installed: the extra 'postgres' has it")
    server = Server.start_new(found)
    yield server
    server.close()


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.system)])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Database:
    """An empty database, of each kind that a store can be in."""
    if request.param == "sqlite":
        return Database(f"sqlite:///{tmp_path / 'store.sqlite'}")
    server: Server = request.getfixturevalue("postgresql")
    return Database(server.new_database(), server)


@pytest.fixture
def url(database: Database) -> str:
    return database.url
