"""The store in both databases: the schema from any version on, several processes at once, failures."""

from __future__ import annotations

import os
import sqlite3
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory

from cds.store import database as module
from cds.store.database import transaction
from cds.store.report import feedback_by_rule
from cds.store.schema import metadata
from cds.store.store import AnsweredCard, Feedback, Store, StoreError
from tests.databases import POISON, Database, closing_engine

WHEN = datetime(2026, 6, 10, 14, 5, tzinfo=UTC)
MIGRATIONS = Path(module.__file__).parent / "migrations"
NEWEST = ScriptDirectory(str(MIGRATIONS)).get_current_head()


@contextmanager
def opened(url: str) -> Iterator[Store]:
    store = Store(url)
    try:
        yield store
    finally:
        store.close()


def said(card: str, outcome: str = "overridden", at: datetime = WHEN) -> Feedback:
    return Feedback(card, outcome, at, "s-order-sign")


def answered(card: str, about: str = "") -> AnsweredCard:
    return AnsweredCard(card, "a.rule", "1", "warning", "order-sign", "p1", about)


# -- the schema ----------------------------------------------------------------------------------------


def migrated_to(database: Database, revision: str) -> None:
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    with closing_engine(database.url) as engine, transaction(engine) as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, revision)


def test_migrations_make_what_the_tables_say(database: Database) -> None:
    with opened(database.url) as store, transaction(store.engine, reading=True) as connection:
        options = {"compare_type": True, "compare_server_default": True}
        found = compare_metadata(MigrationContext.configure(connection, opts=options), metadata)
    # What a table or column is about is said in the schema alone, for whoever reads it.
    differences = [item[0] if isinstance(item, list) else item for item in found]
    assert [item for item in differences if "comment" not in item[0]] == []


def test_a_store_of_the_first_version_is_brought_up_with_what_it_holds(database: Database) -> None:
    migrated_to(database, "0001")
    blob = "x'0102'" if database.kind == "sqlite" else r"'\x0102'::bytea"
    database.run(f"insert into salts (id, salt) values (1, {blob})")
    database.run(
        "insert into feedback (card, outcome, at, service, reason, reason_system, comment, suggestions)"
        " values ('c1', 'accepted', '2026-06-10T14:05:00.000Z', 's', '', '', '', '')"
    )
    with opened(database.url) as store:
        assert store.add_feedback([said("c1", "accepted"), said("c2")]) == 1
        assert feedback_by_rule(store)["unknown"].accepted == 1
    assert database.rows("select version_num from alembic_version") == [(NEWEST,)]
    assert [bytes(salt) for (salt,) in database.rows("select salt from salts")] == [b"\x01\x02"]  # type: ignore[call-overload]


def test_opening_again_changes_nothing(database: Database) -> None:
    with opened(database.url) as store:
        first = store.digest("a", "b")
    with opened(database.url) as store:
        assert store.digest("a", "b") == first
        assert store.digest("ab") != store.digest("a", "b")


def test_a_store_of_a_later_version_is_left_alone(database: Database) -> None:
    with opened(database.url):
        pass
    database.run("update alembic_version set version_num = '9999'")
    with pytest.raises(StoreError, match="the store cannot be migrated"):
        Store(database.url)
    assert database.rows("select version_num from alembic_version") == [("9999",)]


def test_a_migration_that_fails_leaves_nothing_behind(database: Database) -> None:
    # A table that is in its way: the first migration fails at its third statement.
    database.run("create table memories (x integer)")
    with pytest.raises(StoreError, match="the store cannot be migrated"):
        Store(database.url)
    database.run("drop table memories")
    with opened(database.url) as store:
        assert store.add_feedback([said("c1")]) == 1


def test_several_open_an_empty_store_at_once(database: Database) -> None:
    with ThreadPoolExecutor(6) as threads:
        stores = list(threads.map(Store, [database.url] * 6))
    assert len({store.digest("p") for store in stores}) == 1
    for store in stores:
        store.close()


def test_whoever_begins_a_file_is_waited_for(tmp_path: Path) -> None:
    path = tmp_path / "store.sqlite"
    with closing(sqlite3.connect(path, isolation_level=None, check_same_thread=False)) as other:
        other.execute("begin immediate")
        other.execute("create table other (x)")
        timer = threading.Timer(0.3, other.execute, ["commit"])
        timer.start()
        with opened(f"sqlite:///{path}") as store:
            assert store.add_feedback([said("c1")]) == 1
        timer.join()


# -- what is stored ------------------------------------------------------------------------------------


def test_a_batch_is_stored_once_however_often_it_is_sent(database: Database) -> None:
    batch = [said(f"c{number}", ("accepted", "overridden")[number % 2]) for number in range(1_200)]
    with opened(database.url) as store:
        assert store.add_feedback([*batch, *batch]) == 1_200
        assert store.add_feedback(batch[::-1]) == 0
        later = [said("c1", at=WHEN + timedelta(milliseconds=1))]
        assert store.add_feedback(later) == 1
        assert store.add_feedback([said("c1", at=WHEN + timedelta(microseconds=1_400))]) == 0
    assert database.rows("select count(*) from feedback") == [(1_201,)]


def test_nothing_of_a_batch_is_written_where_a_row_cannot_be(database: Database) -> None:
    batch = [*(said(f"c{number:04}") for number in range(700)), said(POISON)]
    with opened(database.url) as store:
        with database.choking(), pytest.raises(StoreError) as raised:
            store.add_feedback(batch)
        assert POISON not in str(raised.value)
        assert database.rows("select count(*) from feedback") == [(0,)]
        assert store.add_feedback(batch) == 701


def test_writers_of_the_same_rows_in_other_orders_do_not_block_each_other(
    database: Database,
) -> None:
    batch = [said(f"c{number}") for number in range(2_000)]
    cards = [answered(f"c{number}", f"a.rule|{number}") for number in range(40)]
    with opened(database.url) as store, ThreadPoolExecutor(4) as threads:
        orders = [batch, batch[::-1]] * 2
        assert sum(threads.map(store.add_feedback, orders)) == 2_000
        for done in [
            threads.submit(store.add_cards, some, WHEN) for some in [cards, cards[::-1]] * 4
        ]:
            done.result()
    assert database.rows("select count(*) from cards") == [(40,)]


def test_what_was_asked_is_remembered_for_its_time_and_then_forgotten(database: Database) -> None:
    with opened(database.url) as store:
        store.add_cards([answered("c1", "a.rule|x")], WHEN)
        store.add_cards([answered("c1", "a.rule|x")], WHEN + timedelta(days=3))
        about = store.digest("p1", "a.rule|x")
        asked = store.asked("p1", WHEN + timedelta(days=4), timedelta(days=2))
        assert asked == {about: "2026-06-13T14:05:00.000Z"}
        assert store.asked("p1", WHEN + timedelta(days=6), timedelta(days=2)) == {}
        assert store.asked("p2", WHEN + timedelta(days=4), timedelta(days=2)) == {}
        assert store.forget(WHEN + timedelta(days=4)) == 1
        assert store.asked("p1", WHEN + timedelta(days=4), timedelta(days=30)) == {}
    assert database.rows("select answered_at from cards") == [("2026-06-10T14:05:00.000Z",)]


def test_the_report_is_the_same_in_both_databases(database: Database) -> None:
    with opened(database.url) as store:
        store.add_cards([answered("c1"), answered("c2")], WHEN)
        store.add_feedback([
            said("c1"), said("c1", "accepted", WHEN + timedelta(minutes=1)), said("c2"),
            said("strange", at=WHEN - timedelta(days=7)),
        ])  # fmt: skip
        found = {rule: entry.as_json() for rule, entry in feedback_by_rule(store).items()}
        since = feedback_by_rule(store, WHEN - timedelta(days=1))
    assert list(found) == ["a.rule", "unknown"]
    assert list(since) == ["a.rule"]
    assert found["a.rule"] == {
        "rule": "a.rule", "answered": 2, "accepted": 1, "overridden": 1, "overrideRate": 0.5,
        "needsReview": False, "reasons": {"": 1}, "weeks": {"2026-W24": {"accepted": 1, "overridden": 1}},
    }  # fmt: skip


# -- failures ------------------------------------------------------------------------------------------


def test_a_store_that_was_away_is_used_again(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_WAIT_SECONDS", 1)
    with opened(database.url) as store:
        assert store.add_feedback([said("c1")]) == 1
        with database.down(), pytest.raises(StoreError, match="cannot be reached or written"):
            store.add_feedback([said("c2")])
        assert store.add_feedback([said("c1"), said("c2")]) == 1


@pytest.mark.parametrize(
    "url",
    ["postgresql://somebody:secret-word@127.0.0.1:1/x", "postgresql://x@/y?host=/nowhere/secret-word"],
)  # fmt: skip
def test_a_server_that_is_not_there_is_told_without_its_password(url: str) -> None:
    pytest.importorskip("psycopg")
    with pytest.raises(StoreError) as raised:
        Store(url)
    assert "secret-word" not in str(raised.value)


@pytest.mark.skipif(os.name == "nt", reason="names of files")
def test_a_file_that_is_no_database_is_told(tmp_path: Path) -> None:
    path = tmp_path / "store.sqlite"
    path.write_bytes(b"something else, for more than a page" * 200)
    with pytest.raises(StoreError):
        Store(f"sqlite:///{path}")
    assert path.read_bytes().startswith(b"something else")
