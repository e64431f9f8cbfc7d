"""`cds audit --every order`: which orders are judged, what is counted and told of them."""

from __future__ import annotations

import json
import shutil
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from cds.audit.strata import total
from cds.cards.judge import Setting
from cds.chart.history import History, Order
from cds.chart.model import Chart
from cds.chart.reader import Charts, Reader
from cds.rulebook.pack import load_rulebook
from cds.rulebook.site import Site
from tests.audit.orders import (
    NDC,
    NO_USE,
    OPIOID,
    audited,
    diagnosis,
    every,
    found,
    operation,
    ordered,
)
from tests.audit.population import SNOMED
from tests.records import (
    AS_OF,
    CONTRAST,
    ZONE,
    Json,
    person,
    resource,
    rulebook,
)

# -- what a finding and a summary say -----------------------------------------------------------------


def test_a_finding_names_its_order_and_has_its_moment() -> None:
    (line, *_) = found(person(), ordered("a"), ordered("o", OPIOID, "2026-03-09"))
    assert (line["order"], line["asOf"]) == ("MedicationRequest/a", "2026-03-10T09:00:00-04:00")


def test_findings_stand_in_the_order_of_the_moments() -> None:
    orders = [
        ordered("c", on="2026-03-01T09:00:00-05:00"),
        ordered("b", on="2026-03-02"),
        ordered("a", on="2026-03-02T23:00:00-05:00"),
        ordered("d", on="2026-02-01T23:00:00Z"),
    ]
    told = [line["order"].partition("/")[2] for line in found(person(), *orders)]
    assert list(dict.fromkeys(told)) == ["d", "c", "a", "b"]


def test_counts_are_of_orders_and_patients_are_counted_beside_them() -> None:
    record = [
        person(),
        ordered("a"),
        ordered("b", on="2026-04-10"),
        ordered("o", OPIOID, "2026-04-12"),
    ]
    nobody = [person("p2"), resource("Condition", "k", "p2", code={"text": "nothing"})]
    outcome = audited(*record, *nobody)
    tally = outcome.tally
    summary = tally.summary(every(), {})
    assert summary["every"] == "order"
    assert summary["orders"] == {"judged": 3, "deceased_not_judged": 0, "not_judged": {}}
    assert summary["patients"] == {"judged": 1, "deceased_not_judged": 0}
    for rule in summary["rules"]:
        assert rule["fired"] + rule["not_fired"] + rule["unknown"] == 3, rule["rule"]


def test_what_is_told_of_a_record_is_told_once() -> None:
    """Of its problems, what was not read of it and what nothing classifies, whatever the orders."""
    nameless = {**ordered("n", on="2026-01-01"), "medicationCodeableConcept": NDC}
    stranger = {**ordered("s"), "subject": {"reference": "Patient/p9"}}
    claims = [resource("Claim", f"c{number}") for number in range(4)]
    copies = [diagnosis("k", "203082005"), diagnosis("k", "203082005", recordedDate="2026-01-01")]
    orders = [ordered("a"), ordered("b", on="2026-03-20"), nameless, stranger]
    outcome = audited(person(), *orders, *copies, *claims)
    kinds = Counter(json.loads(line)["kind"] for line in outcome.problems)
    assert kinds == {"subject": 1, "unclassified": 1, "order": 1, "duplicate": 1}
    assert outcome.tally.judged == 2
    assert outcome.tally.unclassified == outcome.tally.unclassified_patients == 1
    assert outcome.tally.ignored == {"Claim: no rule reads this type": 4}


# -- which entries are orders -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"status": "draft"}, "a draft that nobody signed"),
        ({"status": "entered-in-error"}, "entered in error"),
        ({"intent": "plan"}, "a plan, a proposal or an option"),
        ({"intent": "proposal"}, "a plan, a proposal or an option"),
        ({"intent": "option"}, "a plan, a proposal or an option"),
        ({"doNotPerform": True}, "it says what must not be done"),
        ({"authoredOn": "2026-07-01"}, "written after the moment of the audit"),
        ({"authoredOn": "2026-06-10T10:00:01-04:00"}, "written after the moment of the audit"),
        ({"authoredOn": None}, "not dated to the day"),
        ({"authoredOn": "2026-03"}, "not dated to the day"),
        ({"medicationCodeableConcept": {"coding": [{"code": "x"}]}}, "nothing says what it orders"),
    ],
)
def test_what_was_no_order_or_has_no_moment_is_counted(change: Json, reason: str) -> None:
    outcome = audited(person(), {**ordered("a"), **change})
    assert outcome.tally.judged == 0
    assert outcome.tally.orders_not_judged == {reason: 1}


@pytest.mark.parametrize(
    "change",
    [
        {"status": "cancelled"},
        {"status": "stopped"},
        {"status": "completed"},
        {"status": "on-hold"},
        {"status": "unknown"},
        {"intent": "instance-order"},
        {"authoredOn": "2026-06-10T10:00:00-04:00"},
        {"authoredOn": "2026-06-10"},
    ],
)
def test_what_was_ordered_is_judged_whatever_became_of_it(change: Json) -> None:
    outcome = audited(person(), {**ordered("a"), **change})
    assert outcome.tally.judged == 1
    assert not outcome.tally.orders_not_judged
    assert NO_USE in {json.loads(line)["rule"] for line in outcome.findings}


def test_an_order_without_a_day_is_a_problem_of_its_own() -> None:
    record = [person(), ordered("a", on="2026-03"), ordered("b", on="2026-03-01")]
    outcome = audited(*record)
    (told,) = [json.loads(line) for line in outcome.problems]
    assert (told["resource"], told["kind"], told["severity"]) == (
        "MedicationRequest/a",
        "order",
        "warning",
    )
    assert told["what"] == "this order is not dated to the day: not judged"
    assert outcome.tally.judged == 1


def test_which_orders_are_judged_follows_from_the_rules_that_are_on() -> None:
    record = [
        person(),
        ordered("a"),
        ordered("o", OPIOID),
        ordered("x", "lisinopril 10 MG Oral Tablet"),
    ]
    tally = audited(*record).tally
    assert (tally.judged, tally.orders_not_judged) == (2, {})
    opioids = ("opioid", "ddi", "naltrexone")
    quiet = replace(every(), rulebook=rulebook(None, Site(disable=opioids)))
    assert audited(*record, by=quiet).tally.judged == 1
    silent = replace(
        every(),
        rulebook=rulebook(
            None, Site(disable=(*opioids, "dose", "dq", "indication", "monitor", "periop", "pgx"))
        ),
    )
    assert audited(*record, by=silent).tally.judged == 0


def test_another_pack_has_its_own_orders() -> None:
    record = [
        person(),
        ordered("a", "metformin 500 MG Oral Tablet"),
        ordered("b"),
        ordered("o", OPIOID),
    ]
    assert audited(*record, by=every(CONTRAST)).tally.judged == 1


def _scan_pack(folder: Path, hooks: str) -> Setting:
    """The second pack with a rule about scans being ordered; what is two years old is not read."""
    shutil.copytree(CONTRAST, folder)
    page = folder / "contrast" / "repeated-scans.yaml"
    asked = "  - drug\n  - at least 2 scan\n  - every scan is soon\n"
    text = page.read_text().replace("is: planned}", "is: drafted}").replace(asked, "  - scan\n")
    drug = "  drug: {medication: metformin, is: [current, drafted]}\n"
    page.write_text(text.replace("[patient-view, audit]", hooks).replace(drug, ""))
    words = folder / "definitions" / "procedure.yaml"
    drafted = "kept-for: 730 days\nterms:\n  drafted:\n    means: it.drafted is yes\n"
    words.write_text(words.read_text().replace("terms:\n", drafted))
    return Setting(load_rulebook(folder), AS_OF, ZONE, "order-sign", every="order")


def _scan(name: str, on: str, written: str, **more: Any) -> Json:
    code = {"coding": [{"system": SNOMED, "code": "77477000"}], "text": "CT with contrast"}
    return operation("ServiceRequest", name, on, code=code, authoredOn=written, **more)


def test_operations_are_judged_where_a_rule_binds_them_as_drafted(tmp_path: Path) -> None:
    record = [
        person(),
        _scan("s", "2002-02-03", "2002-02-01"),
        _scan("t", "2002-02-04", "2002-02-02T08:00:00-05:00", status="completed"),
        _scan("u", "2026-02-04", "2002-02-02", status="draft"),
        _scan("v", "2002-05-04", "2002-02-02", intent="plan"),
    ]
    outcome = audited(*record, by=_scan_pack(tmp_path / "pack", "[order-sign, audit]"))
    told = [json.loads(line) for line in outcome.findings]
    assert [(line["order"], line["sources"]) for line in told] == [
        ("ServiceRequest/s", ["ServiceRequest/s"]),
        ("ServiceRequest/t", ["ServiceRequest/t"]),
    ]
    assert outcome.tally.orders_not_judged.total() == 2
    # Of a rule that is silent when orders are signed nothing is drafted.
    elsewhere = audited(*record, by=_scan_pack(tmp_path / "other", "[order-select, audit]"))
    assert elsewhere.tally.judged == elsewhere.tally.orders_not_judged.total() == 0


# -- the deceased -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("died", "judged"),
    [
        ({"deceasedDateTime": "2026-03-11"}, 1),
        ({"deceasedDateTime": "2026-03-10"}, 1),
        ({"deceasedDateTime": "2026-03-09"}, 0),
        ({"deceasedDateTime": "2026-03-10T08:59:59-04:00"}, 0),
        ({"deceasedDateTime": "2026-03-10T09:00:00-04:00"}, 1),
        ({"deceasedBoolean": True}, 1),
    ],
)
def test_who_died_later_was_alive(died: Json, judged: int) -> None:
    outcome = audited(person(**died), ordered("a"))
    summary = outcome.tally.summary(every(), {})
    assert summary["orders"]["judged"] == summary["patients"]["judged"] == judged
    assert summary["orders"]["deceased_not_judged"] == 1 - judged
    assert summary["patients"]["deceased_not_judged"] == 1 - judged
    assert bool(outcome.findings) is bool(judged)


def test_a_death_is_told_once() -> None:
    outcome = audited(
        person(deceasedDateTime="2020-01-01"), ordered("a"), ordered("b", on="2026-04-01")
    )
    assert outcome.tally.deceased == 2
    (told,) = [json.loads(line) for line in outcome.problems]
    assert told["kind"] == "patient"


# -- many orders --------------------------------------------------------------------------------------


def test_a_record_is_read_for_all_of_its_orders(monkeypatch: pytest.MonkeyPatch) -> None:
    """Three years of refills: read once to see which orders there are, and once as far back as the first."""
    reads: list[str] = []
    read_once = Reader.read

    def counted(self: Reader, data: bytes, name: str) -> Charts:
        reads.append(name)
        return read_once(self, data, name)

    monkeypatch.setattr(Reader, "read", counted)
    refills = [
        ordered(f"m{n:02}", on=f"20{n // 12 + 18}-{n % 12 + 1:02}-05", status="completed")
        for n in range(36)
    ]
    outcome = audited(person(), *refills)
    assert outcome.tally.judged == 36
    assert total(outcome.tally.strata).fired[NO_USE] == 36
    assert len(reads) == 2


def test_one_order_that_cannot_be_judged_stops_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    cut_at = History.at

    def broken(self: History, order: Order) -> Chart:
        if order.name == "MedicationRequest/b":
            raise RecursionError
        return cut_at(self, order)

    monkeypatch.setattr(History, "at", broken)
    outcome = audited(
        person(), ordered("a"), ordered("b", on="2026-04-01"), ordered("c", on="2026-05-01")
    )
    assert outcome.tally.judged == 2
    (told,) = [json.loads(line) for line in outcome.problems]
    assert (told["resource"], told["kind"]) == ("MedicationRequest/b", "internal")
