"""New rules without a restart: all workers switch or none does, and no call is lost by it."""

from __future__ import annotations

import gc
import os
import threading
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from cds.hooks.edition import Edition, compile_edition, forget_editions
from cds.hooks.settings import Settings
from cds.rulebook.model import Rulebook
from cds.rulebook.pack import load_rulebook
from tests.hooks.process import CALL, RULE, SIGN, Service, service
from tests.records import CONTRAST, ZONE

TITLE = "title: "


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    with service(tmp_path_factory.mktemp("reload"), "--workers", "2") as found:
        yield found
        assert found.stop() == 0


@pytest.fixture
def files(running: Service) -> Iterator[Service]:
    """The service; what a test changed on disk is put back, and put in force, after it."""
    kept = {path: path.read_bytes() for path in running.pack.rglob("*.yaml")}
    yield running
    for path, data in kept.items():
        path.write_bytes(data)
    running.config.write_text(running.base_config)
    assert running.reload()["state"] in ("done", "unchanged")
    assert running.health()["status"] == "ok"


def refused(of: Service, before: str) -> list[str]:
    """Reloads what must not be put in force; the errors that /health tells."""
    assert of.reload()["state"] == "failed"
    health = of.health()
    assert (health["status"], health["rulebook"], of.digest()) == ("degraded", before, before)
    assert health["why"] == ["the last reload failed: older rules are in force"]
    assert health["reload"]["outcome"] == "failed"
    assert health["reload"]["since"]
    assert of.metrics()["cds_reload_in_force"] == 0
    errors: list[str] = health["reload"]["errors"]
    assert len(errors) == min(health["reload"]["total"], 20)
    assert [event["error"] for event in of.events(state="refused")][-len(errors) :] == errors
    return errors


def test_good_rules_are_put_in_force_by_all_and_no_call_is_lost(files: Service) -> None:
    before, old = files.digest(), files.workers()
    stop, digests, wrong = threading.Event(), list[str](), list[object]()

    def calling() -> None:
        with httpx.Client(timeout=30) as client:
            while not stop.wait(0.01):
                try:
                    answer = client.post(f"{files.services}/{SIGN}", json=CALL)
                    review = answer.json()["extension"]["org.cds-rules-engine.review"]
                    digests.append(review["rulebook"])
                except Exception as error:  # noqa: BLE001 - whatever it is, it is a lost call
                    wrong.append(error)

    clients = [threading.Thread(target=calling) for _ in range(4)]
    for client in clients:
        client.start()
    files.edit(RULE, TITLE, "title: Newly ")
    assert files.reload()["state"] == "done"
    files.until(lambda: not set(old) & set(files.workers()))
    stop.set()
    for client in clients:
        client.join()
    assert wrong == []
    assert set(digests) == {before, files.digest()}
    health = files.health()
    assert (health["status"], health["reload"]["outcome"]) == ("ok", "done")
    assert health["rulebook"] == health["reload"]["rulebook"] == files.digest() != before
    assert health["workers"] == {"wanted": 2, "serving": 2, "deaths": 0}
    services = httpx.get(files.services, timeout=30).json()["services"]
    assert any("Newly" in found["description"] for found in services)
    assert files.metrics()['cds_reloads_total{outcome="done"}'] >= 1


def test_rules_that_do_not_load_change_nothing(files: Service) -> None:
    before = files.digest()
    files.edit(RULE, TITLE, "titel: ")
    errors = refused(files, before)
    assert any(error.startswith(f"{RULE}:2:1: 'titel' is no key of a rule") for error in errors)
    since = files.health()["reload"]["since"]
    refused(files, before)
    assert files.health()["reload"]["since"] == since


def test_rules_whose_scenarios_fail_change_nothing(files: Service) -> None:
    before = files.digest()
    files.edit(RULE, "{critical: allergy", "{info: allergy")
    errors = refused(files, before)
    assert errors[0].startswith("contrast/allergy.scenarios.yaml:")
    assert ": scenario '" in errors[0]


def test_a_configuration_that_offers_nothing_changes_nothing(files: Service) -> None:
    before = files.digest()
    files.config.write_text(f"{files.base_config}disable: [contrast, monitor]\n")
    assert refused(files, before) == [
        "no rule that is on speaks on a hook: nothing would be offered"
    ]


def test_what_only_a_restart_can_change_is_named(files: Service) -> None:
    before = files.digest()
    text = files.base_config.replace("store.sqlite", "another.sqlite")
    files.config.write_text(f"{text}  grace: 3 s\n")
    end = "this changes only when the service is started anew"
    assert refused(files, before) == [f"service.store: {end}", f"service.grace: {end}"]


def test_the_configuration_is_put_in_force_too(files: Service) -> None:
    files.config.write_text(f"{files.base_config}disable: [monitor]\n")
    assert files.reload()["state"] == "done"
    assert not [rule for rule in files.health()["rules"] if rule.startswith("monitor.")]


def test_nothing_new_replaces_nobody(files: Service) -> None:
    before = files.until(lambda: len(files.workers()) == 2 and files.workers())
    assert files.reload()["state"] == "unchanged"
    assert files.workers() == before


# Those that retire notice it late, and accept calls until they do.
LATE = """
import asyncio
import cds.hooks.worker as worker
end = worker._Server.shutdown
async def late(*given, **named):
    await asyncio.sleep(0.5)
    await end(*given, **named)
worker._Server.shutdown = late
from cds.cli import main
main()
"""


def test_a_reload_is_done_when_nobody_answers_by_the_old_rules(tmp_path: Path) -> None:
    with service(tmp_path, "--workers", "2", program=LATE) as running:
        before = running.digest()
        running.edit(RULE, TITLE, "title: Another ")
        assert running.reload()["state"] == "done"
        assert before not in {running.digest() for _ in range(10)}


# Files are looked at often, and the workers of a third edition fail as they start.
UNABLE = """
import cds.hooks.supervisor as supervisor
import cds.hooks.worker as worker
supervisor.WATCH_SECONDS = 0.2
make = worker.create_app
def failing(rulebook, *more):
    if any("Newly" in rule.title for rule in rulebook.rules):
        raise MemoryError
    return make(rulebook, *more)
worker.create_app = failing
from cds.cli import main
main()
"""


def test_files_are_watched_and_workers_that_cannot_serve_given_up(tmp_path: Path) -> None:
    with service(tmp_path, "--watch", "--workers", "2", program=UNABLE) as running:
        first = running.digest()
        running.edit(RULE, TITLE, "title: Another ")
        running.until(lambda: running.events(event="reload", state="done"))
        second = running.digest()
        assert second != first
        old = running.until(lambda: len(running.workers()) == 2 and running.workers())
        running.edit(RULE, TITLE, "title: Newly ")
        running.until(lambda: running.events(event="reload", state="failed"))
        health = running.health()
        assert (health["status"], health["rulebook"], running.digest()) == (
            "degraded",
            second,
            second,
        )
        assert health["reload"]["errors"] == [
            "a worker with the new rules ended with code 3 before it served"
        ]
        running.until(lambda: running.workers() == old)
        assert running.events(event="worker", error="MemoryError")


def test_an_edition_that_nobody_answers_by_is_let_go() -> None:
    def held() -> int:
        gc.collect()
        return sum(isinstance(item, Rulebook) for item in gc.get_objects())

    def put_in_force() -> Edition:
        forget_editions()
        found = Edition(load_rulebook(CONTRAST), ZONE, Settings())
        compile_edition(found)
        gc.freeze()
        return found

    try:
        edition = put_in_force()
        gc.unfreeze()
        before = held()
        for _ in range(3):
            edition = put_in_force()
        gc.unfreeze()
        assert held() == before
        del edition
    finally:
        gc.unfreeze()


@pytest.mark.skipif("CDS_SOAK" not in os.environ, reason="takes minutes; CDS_SOAK=1 runs it")
def test_memory_is_flat_over_fifty_reloads(tmp_path: Path) -> None:
    with service(tmp_path, "--workers", "2") as running:
        sizes = []
        for number in range(50):
            running.edit(RULE, TITLE, f"title: {number} ")
            assert running.reload()["state"] == "done"
            running.until(lambda: len(running.workers()) == 2)
            pids = [running.process.pid, *running.workers()]
            sizes.append([_kilobytes(pid) for pid in pids])
        print(sizes[4], sizes[-1])  # noqa: T201
        assert sizes[-1][0] < sizes[4][0] + 4_000


def _kilobytes(pid: int) -> int:
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * 4
