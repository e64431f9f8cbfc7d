"""`report.html` of `--every order`: it speaks of orders, each at its own moment."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from cds.audit import timeline
from cds.audit.html import write
from cds.audit.html.write import write_report
from cds.cards.judge import Setting
from cds.rulebook.site import Site
from tests.audit.orders import ACTIVE, NEW_START, OPIOID, every, operation, ordered
from tests.audit.pages import Report, audited, faults_of
from tests.audit.population import read
from tests.records import AS_OF, ZONE, Json, bundle, person, rulebook


def of(patient: str, *entries: Json) -> Json:
    """A Bundle of one patient, whose entries are named for them."""
    subject = {"subject": {"reference": f"Patient/{patient}"}}
    theirs = ({**entry, **subject, "id": f"{patient}-{entry['id']}"} for entry in entries)
    return bundle(person(patient, birthDate="1980-03-01", gender="female"), *theirs)


def records() -> list[Json]:
    """Three patients with five orders to judge, and three that are not judged."""
    somewhen = operation("ServiceRequest", "y", "", authoredOn="2026-03-01")
    del somewhen["occurrenceDateTime"]
    dead = of("p4", ordered("late", on="2026-05-01"))
    dead["entry"][0]["resource"]["deceasedDateTime"] = "2026-04-01"
    return [
        of(
            "p1",
            ordered("old", on="2015-03-10T09:00:00-04:00", status="completed"),
            operation("ServiceRequest", "x", "2015-03-12", authoredOn="2015-03-01"),
            ordered("o", OPIOID, "2026-03-09"),
            ordered("new", on="2026-03-10"),
        ),
        of("p2", ordered("a", on="2026-03-01"), ordered("draft", status="draft")),
        of("p3", ordered("b", on="2026-03-02"), ordered("undated", on="2026-03"), somewhen),
        dead,
    ]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("orders")


@pytest.fixture(scope="module")
def report(folder: Path) -> Report:
    return audited(folder, *records(), by=every())


def summary_of(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / "summary.json").read_text())
    return found


def test_it_says_how_many_orders_of_how_many_patients(report: Report, folder: Path) -> None:
    assert faults_of(report) == []
    summary = summary_of(folder)
    assert (summary["orders"]["judged"], summary["patients"]["judged"]) == (5, 3)
    page = report.text()
    assert "5 orders of 3 patients, each judged for the moment it was signed, up to" in page
    said = report.text("audited")
    for told in (
        "5 judged; 1 dated after the patient had died and not judged; others not judged: a draft"
        " that nobody signed (1), not dated to the day (1)",
        "3 with an order that was judged; 1 with one dated after they had died",
        "each order the moment it was signed, as a draft, with what was known then",
        "Orders up to 10 Jun 2026 10:00 count",
        "All counts are of orders",
        "For each judged order a rule fired",
    ):
        assert told in said
    found = {line["order"] for line in read(folder, "findings")}
    assert f"{len(found)} orders with findings, of 3 patients" in page
    assert f"findings of {len(found)} orders, which are of 3 patients" in report.text("patients")


def test_nothing_that_counts_orders_is_said_of_patients(report: Report, folder: Path) -> None:
    page = report.text()
    for told in (
        "patients with findings", "Patients with findings", "patients judged", "Judged patients",
        "all judged patients", "Patients by what", "how many patients", "these patients",
        "Patients: fired", "day judged for", "Day judged for", "judged for 2026-06-10",
    ):  # fmt: skip
        assert told not in page, told
    for told in (
        "Each rule for all judged orders", "Orders by what is known", "Show these orders",
        "with for how many orders", "Judged orders by year", "Orders with findings", "day of the order",
        "orders up to 2026-06-10T10:00:00-04:00",
    ):  # fmt: skip
        assert told in page, told
    assert "orders up to 2026-06-10T" in report.scripts["style"]
    assert "2015 1 2026 4" in report.text("strata")
    assert "could not be decided for some order:" in report.text("next")


def test_bars_are_parts_of_the_orders_judged(report: Report) -> None:
    """Of five orders, not of the three patients: no bar is longer than its row."""
    page = report.path.read_text("utf-8")
    decided = re.search(r"<caption>Each rule for all judged.*?</table>", page, re.DOTALL)
    assert decided is not None
    rows = re.findall(r"<tr><th scope=\"row\">.*?</tr>", decided[0], re.DOTALL)
    assert rows
    for row in rows:
        widths = [float(width) for width in re.findall(r'width="([\d.]+)%" height="100%"', row)]
        assert sum(widths[1:]) == pytest.approx(100, abs=0.01), row


def test_each_order_stands_with_its_own_moment(report: Report, folder: Path) -> None:
    lines = read(folder, "patients")
    assert sorted(one["order"] for one in report.people) == sorted(line["order"] for line in lines)
    place = {one["order"]: f"p{number}" for number, one in enumerate(report.people, 1)}
    old = report.text(place["MedicationRequest/p1-old"])
    assert "MedicationRequest/p1-old of patient p1" in old
    assert "age 35; judged as it was signed, 10 Mar 2015 09:00" in old
    assert "Order signed: 10 Mar 2015 09:00" in old
    assert "planned 12 Mar 2015" in old
    assert "p1-new" not in old
    new = report.text(place["MedicationRequest/p1-new"])
    assert "Order signed: 10 Mar 2026 23:59" in new
    rules = {one["order"]: one["rules"] for one in report.people}
    assert NEW_START in rules["MedicationRequest/p1-old"]
    assert ACTIVE in rules["MedicationRequest/p1-new"]


def test_orders_beyond_the_bound_are_counted_as_orders(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, report: Report
) -> None:
    monkeypatch.setattr(write, "MOST_PATIENTS", 2)
    for name in ("findings.ndjson", "patients.ndjson", "problems.ndjson"):
        (tmp_path / name).write_bytes((folder / name).read_bytes())
    write_report(tmp_path, summary_of(folder), every())
    said = Report(tmp_path / "report.html").text("patients")
    assert "This page holds the first 2 orders with" in said
    assert f"the other {len(report.people) - 2} orders and" in said


def test_an_audit_of_orders_without_a_finding(tmp_path: Path) -> None:
    report = audited(tmp_path, bundle(person()), by=every())
    assert faults_of(report) == []
    assert "No order has a finding" in report.text("patients")
    assert "decided for every order" in report.text("next")


# -- rules that were not judged, windows that are not drawn ------------------------------------------


def test_it_says_why_rules_of_the_pack_were_not_judged(tmp_path: Path) -> None:
    """Off by default, off at the site, and those that do not speak on the hook."""
    usual = {rule.id for rule in rulebook().rules}
    default = {rule.id for rule in rulebook(None, Site(enable=("pgx",))).rules} - usual
    quieter = rulebook(None, Site(disable=("opioid.recent-exposure",)))
    report = audited(tmp_path, bundle(person()), by=Setting(quieter, AS_OF, ZONE, "audit"))
    off = sorted(default | {"opioid.recent-exposure"})
    assert len(off) == 3
    summary = summary_of(tmp_path)
    assert summary["off"] == off
    assert set(off) <= set(summary["not_judged"])
    assert len(summary["rules"]) + len(summary["not_judged"]) == len(usual | default)
    told = f"{len(off)} that are switched off here (by default or by the site); which"
    assert f"{len(summary['rules'])} rules of the hook audit . Not judged: {told}" in report.text(
        "audited"
    )
    assert f"switched off here: {' , '.join(off)}" in report.text("rules")


def test_rules_of_other_hooks_are_counted_apart(report: Report, folder: Path) -> None:
    summary = summary_of(folder)
    others = [name for name in summary["not_judged"] if name not in summary["off"]]
    assert others
    assert f"{len(others)} of other hooks alone; which" in report.text("audited")
    assert f"of other hooks alone: {' , '.join(others)}" in report.text("rules")


@pytest.mark.parametrize("most", [0, 1, 6])
def test_windows_that_are_not_drawn_are_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, most: int
) -> None:
    monkeypatch.setattr(timeline, "_MOST_WINDOWS", most)
    report = audited(tmp_path, records()[0], by=every())
    lines = {line["order"]: line for line in read(tmp_path, "patients")}
    line = lines["MedicationRequest/p1-old"]
    there = len(line["windows"]) + line["unshown"]
    assert there > 1
    assert line["unshown"] == max(0, there - most)
    place = [one["order"] for one in report.people].index("MedicationRequest/p1-old") + 1
    said = report.text(f"p{place}")
    told = f"{line['unshown']} more windows that the rules ask about are not drawn"
    assert (told in said) is bool(line["unshown"])
    assert ("more windows" in said) is bool(line["unshown"])
