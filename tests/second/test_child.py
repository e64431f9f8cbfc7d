"""The child process may die, hang or grow: the caller gets an answer, or a problem that says so."""

from __future__ import annotations

import json
import multiprocessing
import os
import signal
import sys
import threading
import time
from pathlib import Path

import pytest
from msgspec.structs import replace

from cds.cards.judge import judge, read_input
from cds.chart.model import Chart
from cds.engine.finding import Review
from cds.engine.frame import Hook
from cds.second import delivery, supervisor
from cds.second.engine import DurableEngine
from cds.second.opinion import compared
from cds.second.supervisor import ChildError, Limits
from cds.second.wiring import Job
from tests.audit.population import content, population, run, write_bundles
from tests.records import AS_OF, bundle, draft, order, person, setting
from tests.second.durable import engine, needs_durable, wrong

pytestmark = needs_durable

LDN = "naltrexone 1.5 MG Oral Capsule"
HOOK = Hook("order-sign")


def record(*drugs: str, drafts: tuple[str, ...] = ()) -> Chart:
    """A chart with a draft, and with orders (and more drafts) of these drugs."""
    orders = [order(f"o{number}", name) for number, name in enumerate(drugs)]
    more = [draft(f"e{number}", name, 5) for number, name in enumerate(drafts)]
    document = bundle(person(), draft("d1", LDN, 1.5), *orders, *more)
    (found,) = read_input(json.dumps(document).encode(), "input", setting()).charts
    return found


CHART = record("oxycodone 5 MG Oral Tablet")


def fired(review: Review) -> list[str]:
    return [finding.rule.id for finding in review.findings]


def in_the_middle(by: DurableEngine, kill: int) -> Review:
    """The review of a patient during which the child dies: it is stopped, given the patient, ended."""
    before = fired(by.review(CHART, HOOK, AS_OF))
    assert before
    pid = by.supervisor.pid
    assert pid is not None
    os.kill(pid, signal.SIGSTOP)
    found: list[Review] = []
    asking = threading.Thread(target=lambda: found.append(by.review(CHART, HOOK, AS_OF)))
    asked = by.supervisor.asked
    asking.start()
    while by.supervisor.asked == asked:
        time.sleep(0.001)
    os.kill(pid, kill)
    os.kill(pid, signal.SIGCONT)
    asking.join(60)
    return found[0]


@pytest.mark.parametrize("kill", [signal.SIGKILL, signal.SIGSEGV, signal.SIGABRT], ids=str)
def test_a_child_that_dies_costs_one_retry(kill: signal.Signals) -> None:
    with engine() as by:
        review = in_the_middle(by, kill)
        assert review.problems == ()
        assert "opioid.active-with-naltrexone-order" in fired(review)
        assert by.supervisor.started == 2


def test_a_child_that_hangs_is_replaced() -> None:
    with engine(limits=Limits(patient=1.0)) as by:
        by.review(CHART, HOOK, AS_OF)
        assert by.supervisor.pid is not None
        os.kill(by.supervisor.pid, signal.SIGSTOP)
        review = by.review(CHART, HOOK, AS_OF)
        assert review.problems == ()
        assert fired(review)
        assert by.supervisor.started == 2


def test_two_children_that_hang_are_a_problem_that_names_the_patient() -> None:
    with engine(limits=Limits(start=0.0)) as by:
        review = by.review(CHART, HOOK, AS_OF)
        (problem,) = review.problems
        assert problem.where.resource == "Patient/p1"
        assert "the durable engine could not judge this patient: " in problem.what
        assert review.verdicts == ()
        both = compared(CHART, by, HOOK, AS_OF)
        assert "opioid.active-with-naltrexone-order" in fired(both.review)
        assert [item.kind for item in both.review.problems] == ["engine"]
        assert both.disagreements == ()


@pytest.mark.parametrize("answer", [b"", b"\xc1", b"\x93\x01\x02\x03"])
def test_an_answer_that_cannot_be_read_is_a_problem(
    answer: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(supervisor, "read_frame", lambda _: answer)
    with engine() as by:
        (problem,) = by.review(CHART, HOOK, AS_OF).problems
        assert "its answer could not be read" in problem.what


def test_a_record_beyond_all_measure_is_a_problem_and_the_next_is_judged(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(delivery, "MAX_ROWS", 100)
    with engine() as by:
        (problem,) = by.review(record(*["oxycodone 5 MG Oral Tablet"] * 80), HOOK, AS_OF).problems
        assert problem.where.resource == "Patient/p1"
        assert "more than 100 rows for one patient" in problem.what
        assert fired(by.review(CHART, HOOK, AS_OF))


def test_a_fact_beyond_what_the_library_holds_is_told_and_the_next_is_judged() -> None:
    with engine() as by:
        table = by.plan.productions[0].present[0].table
        with pytest.raises(ChildError, match="the library failed"):
            by.supervisor.judge(Job([(table, (0,), (2,) * 5_000)]))
        assert fired(by.review(CHART, HOOK, AS_OF))
        assert by.supervisor.started == 3


def test_it_is_replaced_after_so_many_patients() -> None:
    with engine(limits=Limits(patients=4)) as by:
        for _ in range(6):
            assert fired(by.review(CHART, HOOK, AS_OF))
        assert by.supervisor.started > 1


def test_it_is_replaced_when_it_has_grown(monkeypatch: pytest.MonkeyPatch) -> None:
    with engine(limits=Limits(memory=0)) as by:
        for _ in range(70):
            by.review(CHART, HOOK, AS_OF)
        assert by.supervisor.started > 1


def test_it_ends_with_its_owner() -> None:
    with engine() as by:
        by.review(CHART, HOOK, AS_OF)
        pid = by.supervisor.pid
        assert pid is not None
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
    assert by.supervisor.pid is None


def test_threads_may_share_it() -> None:
    charts = [record(*["oxycodone 5 MG Oral Tablet"] * number) for number in range(6)]
    with engine() as by:
        alone = [fired(by.review(chart, HOOK, AS_OF)) for chart in charts]
        found: dict[int, list[str]] = {}

        def ask(number: int) -> None:
            found[number] = fired(by.review(charts[number], HOOK, AS_OF))

        threads = [threading.Thread(target=ask, args=(number,)) for number in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert [found[number] for number in range(6)] == alone
        assert by.supervisor.started == 1


def test_the_workers_of_an_audit_have_one_each(tmp_path: Path) -> None:
    """Forked from one process: none talks to another's child."""
    write_bundles(tmp_path / "in", population(24))
    files = {}
    for name in ("reference", "both"):
        run(tmp_path / "in", "--engine", name, "--workers", 2, tmp_path / name)
        files[name] = content(tmp_path / name)
        # The report says which engine judged.
        assert f"<dd>{name}</dd>".encode() in files[name].pop("report.html")
    assert files["reference"] == files["both"]


@pytest.mark.skipif(sys.platform != "linux", reason="only there does the audit fork")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_forked_process_leaves_the_child_to_the_first() -> None:
    with engine() as by:
        by.review(CHART, HOOK, AS_OF)
        pid = by.supervisor.pid
        context = multiprocessing.get_context("fork")
        ours, theirs = context.Pipe(duplex=False)

        def judge_and_end() -> None:
            found = fired(by.review(CHART, HOOK, AS_OF))
            theirs.send((found, by.supervisor.pid))
            by.close()

        process = context.Process(target=judge_and_end)
        process.start()
        found, other = ours.recv()
        process.join()
        assert process.exitcode == 0
        assert found == fired(by.review(CHART, HOOK, AS_OF))
        assert other != pid == by.supervisor.pid


def test_what_is_judged_twice_is_the_same() -> None:
    """The session is emptied after each patient: nothing of one is seen by the next."""
    charts = [CHART, record(), record("morphine 10 MG Extended Release Oral Tablet"), CHART]
    with engine() as by:
        for _ in range(3):
            for chart in charts:
                assert wrong(compared(chart, by, HOOK, AS_OF)) == []
        assert by.supervisor.started == 1


def test_the_setting_chooses_the_engine() -> None:
    by = replace(setting(), engine="durable")
    document = b'{"resourceType": "Patient", "id": "p1"}'
    (found,) = judge(read_input(document, "input", by), "input", by)
    assert len(found.answer.review.verdicts) > 5
