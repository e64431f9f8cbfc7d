"""`cds audit --every order`: each order judged as a draft at its own date, as things were then."""

from __future__ import annotations

import json
import re
import shutil
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from cds.audit.inputs import Record
from cds.audit.line import finding_line, told_findings
from cds.audit.outcome import Outcome
from cds.audit.strata import total
from cds.audit.tally import Tally
from cds.audit.work import judge_records
from cds.cards.judge import Setting, judge, read_input
from cds.chart.history import History, Order
from cds.chart.model import Chart
from cds.chart.reader import Charts, Reader
from cds.rulebook.pack import load_rulebook
from cds.rulebook.site import Site
from cds.second.supervisor import unavailable
from tests.audit.cut import cut, is_order, made, name_of, span, text_of
from tests.audit.population import SNOMED, read, write_export
from tests.records import (
    AS_OF,
    CONTRAST,
    ROOT,
    ZONE,
    Json,
    bundle,
    drug,
    person,
    resource,
    rulebook,
)
from tests.test_cli import cds

WHEN = ("--as-of", "2026-06-10T10:00:00-04:00", "--timezone", "America/New_York")
LDN = "naltrexone 1.5 MG Oral Capsule"
OPIOID = "oxycodone 5 MG Oral Tablet"
ACTIVE = "opioid.active-with-naltrexone-order"
RECENT = "opioid.recent-exposure"
ON_LDN = "opioid.order-while-on-naltrexone"
WINDOW = "periop.surgery-within-hold-window"
NO_USE = "indication.none-documented"
NEW_START = "periop.new-start-before-surgery"


NDC = {"coding": [{"system": "http://hl7.org/fhir/sid/ndc", "code": "00000-0000-00"}]}


def every(root: Path | None = None) -> Setting:
    return Setting(rulebook(root), AS_OF, ZONE, "order-sign", every="order")


def audited(*record: Json, by: Setting | None = None) -> Outcome:
    """What comes of a Bundle in a worker."""
    data = json.dumps(bundle(*record)).encode()
    return judge_records(by or every(), (Record("r.json", len(data), data=data),))


def found(*record: Json, by: Setting | None = None) -> list[dict[str, Any]]:
    return [json.loads(line) for line in audited(*record, by=by).findings]


def rules_by_order(*record: Json, by: Setting | None = None) -> dict[str, set[str]]:
    """The rules that speak, by order."""
    told: dict[str, set[str]] = {}
    for line in found(*record, by=by):
        told.setdefault(line["order"].partition("/")[2], set()).add(line["rule"])
    return told


def ordered(name: str, of: str = LDN, on: str = "2026-03-10T09:00:00-04:00", **more: Any) -> Json:
    """A MedicationRequest as a record has it; without anything of its supply."""
    content = {"status": "active", "intent": "order", "authoredOn": on, **more}
    if of == LDN and "dosageInstruction" not in content:
        content["dosageInstruction"] = [once_a_day(1.5)]
    return resource("MedicationRequest", name, medicationCodeableConcept=drug(of), **content)


def once_a_day(milligrams: float) -> Json:
    dose = {"value": milligrams, "unit": "mg", "system": "http://unitsofmeasure.org", "code": "mg"}
    return {
        "timing": {"repeat": {"frequency": 1, "period": 1, "periodUnit": "d"}},
        "doseAndRate": [{"doseQuantity": dose}],
    }


def dispensed(name: str, of: str, on: str, days: int = 5, by: str = "", **more: Any) -> Json:
    content: Json = {"status": "completed", "daysSupply": {"value": days, "code": "d"}, **more}
    if on:
        content["whenHandedOver"] = on
    if by:
        content["authorizingPrescription"] = [{"reference": f"MedicationRequest/{by}"}]
    return resource("MedicationDispense", name, medicationCodeableConcept=drug(of), **content)


def given_dose(name: str, of: str, on: str, **more: Any) -> Json:
    content = {"status": "completed", "effectiveDateTime": on, **more}
    return resource("MedicationAdministration", name, medicationCodeableConcept=drug(of), **content)


def operation(kind: str, name: str, on: str, **more: Any) -> Json:
    code = {"coding": [{"system": SNOMED, "code": "80146002", "display": "Appendectomy"}]}
    content: Json = {"status": "active", "intent": "order", "code": code, "occurrenceDateTime": on}
    if kind == "Procedure":
        content = {"status": "completed", "code": code, "performedDateTime": on}
    return resource(kind, name, **{**content, **more})


def diagnosis(name: str, code: str, **more: Any) -> Json:
    clinical = {"coding": [{"code": "active"}]}
    coding = {"coding": [{"system": SNOMED, "code": code}]}
    return resource("Condition", name, **{"clinicalStatus": clinical, "code": coding, **more})


# -- the law: what a Bundle cut by hand gives ---------------------------------------------------------


def by_hand(record: list[Json], by: Setting) -> tuple[list[bytes], Tally]:
    """Each order judged in a Bundle of its own, as `cds check --as-of` does it."""
    lines: list[bytes] = []
    tally = Tally()
    orders = [entry for entry in record if is_order(entry) and made(entry) and _is_bound(entry)]
    for order in sorted(orders, key=lambda entry: (span(made(entry), ZONE)[1], name_of(entry))):
        if not _is_dated_to_the_day(order) or span(made(order), ZONE)[0] > by.as_of:
            continue
        kept, moment = cut(record, order, ZONE)
        moment = min(moment, by.as_of)
        setting = Setting(by.rulebook, moment, ZONE)
        data = json.dumps(bundle(*kept)).encode()
        for answered in judge(read_input(data, "r.json", setting), "r.json", setting):
            item = replace(answered, order=name_of(order))
            assert item.answer.review.hook.name == "order-sign"
            tally.add_review(item.answer.review, by.rulebook)
            lines += [
                finding_line(one, said, item, by.rulebook)
                for one, said in told_findings(item.answer)
            ]
    return lines, tally


def _is_bound(order: Json) -> bool:
    """Whether some rule of the pack is about drafts of it: the drugs of tests and examples."""
    words = set(re.findall("[a-z]+", text_of(order).lower()))
    return bool(words & BOUND)


BOUND = frozenset(
    "naltrexone ldn oxycodone hydrocodone methadone buprenorphine tramadol morphine fentanyl codeine"
    " loperamide diphenoxylate thioridazine".split()
)


def _is_dated_to_the_day(order: Json) -> bool:
    return len(made(order)) >= len("2026-01-01")


def assert_as_by_hand(record: list[Json], by: Setting | None = None) -> Outcome:
    by = by or every()
    outcome = audited(*record, by=by)
    lines, tally = by_hand(record, by)
    assert outcome.findings == lines
    for name in ("judged", "deceased", "strata", "partly", "reasons", "coverage"):
        assert getattr(outcome.tally, name) == getattr(tally, name), name
    return outcome


DAYS = st.integers(0, 40).map(lambda day: f"2026-{3 + day // 30:02}-{1 + day % 30:02}")
MOMENTS = st.one_of(
    DAYS,
    st.builds(
        lambda day, hour: f"{day}T{hour:02}:00:00-04:00", DAYS, st.sampled_from([0, 8, 9, 23])
    ),
)
DRUGS = st.sampled_from(
    [LDN, LDN, "naltrexone 50 MG Oral Tablet", OPIOID, OPIOID, "methadone 10 MG Oral Tablet",
     "loperamide 2 MG Oral Capsule", "thioridazine 50 MG Oral Tablet"]
)  # fmt: skip
STATUSES = st.sampled_from(
    [
        "active",
        "active",
        "active",
        "completed",
        "stopped",
        "on-hold",
        "cancelled",
        "draft",
        "entered-in-error",
    ]
)
# Failing records are small already, and shrinking them takes minutes.
PHASES = (Phase.explicit, Phase.reuse, Phase.generate)
CODES = ["5602001", "75544000", "203082005"]


@st.composite
def records(draw: st.DrawFn) -> list[Json]:
    """A person, some orders, and what belongs to them or to nothing."""
    entries: list[Json] = []
    names: list[str] = []
    for number in range(draw(st.integers(1, 4))):
        names.append(f"m{number}")
        more: Json = {"status": draw(STATUSES)}
        if draw(st.booleans()):
            more["dosageInstruction"] = [once_a_day(draw(st.sampled_from([0.5, 1.5, 4.5, 9])))]
        if draw(st.booleans()):
            more["dispenseRequest"] = {
                "expectedSupplyDuration": {"value": draw(st.sampled_from([3, 10, 30])), "code": "d"}
            }
        if more["status"] == "stopped" and draw(st.booleans()):
            bounds = {"repeat": {"boundsPeriod": {"end": draw(DAYS)}}}
            more["dosageInstruction"] = [{**once_a_day(1.5), "timing": bounds}]
        entries.append(ordered(names[-1], draw(DRUGS), draw(MOMENTS), **more))
    entries += [draw(other(f"e{number}", names)) for number in range(draw(st.integers(0, 6)))]
    died: Json = draw(
        st.one_of(
            st.just({}), st.just({}), st.builds(lambda day: {"deceasedDateTime": day}, MOMENTS)
        )
    )
    return [person(**died), *entries]


@st.composite
def other(draw: st.DrawFn, name: str, orders: list[str]) -> Json:
    kind = draw(
        st.sampled_from(
            ["dispense", "dispense", "dose", "statement", "request", "procedure", "condition",
             "result", "allergy", "task"]
        )
    )  # fmt: skip
    when, of, by = draw(MOMENTS), draw(DRUGS), draw(st.sampled_from(["", *orders]))
    match kind:
        case "dispense":
            return dispensed(
                name,
                of,
                draw(st.sampled_from([when, when, ""])),
                draw(st.sampled_from([2, 10])),
                by,
            )
        case "dose":
            ask = {"request": {"reference": f"MedicationRequest/{by}"}} if by else {}
            return given_dose(name, of, when, **ask)
        case "statement":
            status = draw(st.sampled_from(["active", "not-taken", "stopped"]))
            said = draw(st.sampled_from([{"dateAsserted": when}, {"effectiveDateTime": when}, {}]))
            return resource(
                "MedicationStatement",
                name,
                status=status,
                medicationCodeableConcept=drug(of),
                **said,
            )
        case "request":
            status = draw(st.sampled_from(["active", "completed", "revoked"]))
            return operation("ServiceRequest", name, when, status=status, authoredOn=draw(MOMENTS))
        case "procedure":
            return operation("Procedure", name, when)
        case "condition":
            over = draw(
                st.sampled_from(
                    [
                        {},
                        {
                            "abatementDateTime": draw(DAYS),
                            "clinicalStatus": {"coding": [{"code": "resolved"}]},
                        },
                    ]
                )
            )
            dated = draw(st.sampled_from([{"recordedDate": when}, {"onsetDateTime": when}, {}]))
            return diagnosis(name, draw(st.sampled_from(CODES)), **over, **dated)
        case "result":
            code = {"coding": [{"system": "http://loinc.org", "code": "1742-6"}]}
            value = {"value": draw(st.sampled_from([20, 300])), "unit": "U/L", "code": "U/L"}
            return resource(
                "Observation",
                name,
                status="final",
                code=code,
                effectiveDateTime=when,
                valueQuantity=value,
            )
        case "allergy":
            return resource("AllergyIntolerance", name, code=drug(of), recordedDate=when)
        case _:
            return resource(
                "Task", name, status="requested", authoredOn=when, description=f"hold {of}"
            )


@settings(max_examples=40, phases=PHASES)
@given(records())
def test_an_order_is_judged_as_a_bundle_cut_by_hand_is(record: list[Json]) -> None:
    assert_as_by_hand(record)


def _as_record(case: Path) -> list[Json]:
    """An example's resources as a record; what was being ordered has been ordered, at that moment."""
    document = json.loads(next(case.glob("*.json")).read_text())
    context = document.get("context", {}).get("draftOrders")
    holders = [document, *document.get("prefetch", {}).values(), context]
    entries = [
        item["resource"]
        for value in holders
        for item in (value or {}).get("entry", [{"resource": value}])
        if isinstance(item.get("resource"), dict) and "resourceType" in item["resource"]
    ]
    return [
        {**entry, "status": "active", "authoredOn": AS_OF.isoformat()}
        if entry.get("status") == "draft"
        else entry
        for entry in entries
        if entry["resourceType"] != "Bundle"
    ]


def _examples() -> list[Path]:
    found = []
    for case in sorted((ROOT / "fhir_examples").iterdir()):
        if case.is_dir() and any(case.glob("*.json")):
            record = _as_record(case)
            names = {(entry["resourceType"], entry.get("id")) for entry in record}
            one = sum(entry["resourceType"] == "Patient" for entry in record) == 1
            if one and len(names) == len(record) and all(entry.get("id") for entry in record):
                found.append(case)
    return found


EXAMPLES = _examples()


def test_most_examples_have_an_order_to_judge() -> None:
    assert sum(any(is_order(entry) for entry in _as_record(case)) for case in EXAMPLES) > 50


@pytest.mark.parametrize("case", EXAMPLES, ids=lambda case: case.name)
def test_an_example_is_judged_as_a_bundle_cut_by_hand_is(case: Path) -> None:
    assert_as_by_hand(_as_record(case))


def test_what_is_too_old_today_was_recent_then() -> None:
    """Operations of decades ago, and medications that no rule asks for, early and late."""
    record = [
        person(),
        ordered("early", on="2003-03-03T09:00:00-05:00"),
        operation("ServiceRequest", "x", "2003-03-05", authoredOn="2003-03-01"),
        operation("Procedure", "y", "2003-03-04"),
        ordered("plain-1", "lisinopril 10 MG Oral Tablet", on="2012-01-01"),
        ordered("plain-0", "lisinopril 10 MG Oral Tablet", on="2002-01-01"),
        ordered("late", on="2026-03-03T09:00:00-05:00"),
    ]
    outcome = assert_as_by_hand(record)
    told = [json.loads(line) for line in outcome.findings]
    assert NEW_START in {
        line["rule"] for line in told if line["order"] == "MedicationRequest/early"
    }
    assert NEW_START not in {
        line["rule"] for line in told if line["order"] == "MedicationRequest/late"
    }


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


# -- what was known, from both sides ------------------------------------------------------------------


@pytest.mark.parametrize(
    ("day", "speaks", "silent"),
    [
        ("2026-03-05", ACTIVE, RECENT),
        ("2026-03-06", RECENT, ACTIVE),
        ("2026-03-15", RECENT, ACTIVE),
        ("2026-03-16", "", RECENT),
    ],
)
def test_an_opioid_that_ended_the_day_before_or_goes_on(day: str, speaks: str, silent: str) -> None:
    """Five days handed over on the first of March; the look-back of ten days, both ends of it."""
    record = [person(), ordered("a", on=day), dispensed("d", OPIOID, "2026-03-01")]
    told = rules_by_order(*record).get("a", set())
    assert speaks in told or not speaks
    assert silent not in told


@pytest.mark.parametrize(
    ("written", "handed", "known"),
    [
        ("2026-03-10T09:00:00-04:00", "2026-03-10", True),
        ("2026-03-10T09:00:00-04:00", "2026-03-10T09:00:00-04:00", True),
        ("2026-03-10T09:00:00-04:00", "2026-03-10T08:59:00-04:00", True),
        ("2026-03-10T09:00:00-04:00", "2026-03-10T09:01:00-04:00", False),
        ("2026-03-10T09:00:00-04:00", "2026-03-11", False),
        ("2026-03-10", "2026-03-10", True),
        ("2026-03-10", "2026-03-10T23:59:00-04:00", True),
        ("2026-03-10", "2026-03-11T03:59:00Z", True),
        ("2026-03-10", "2026-03-11T04:00:00Z", False),
        ("2026-03-10", "2026-03-11", False),
    ],
)
def test_a_dispense_of_the_same_day(written: str, handed: str, known: bool) -> None:
    """What has no time was there all day; an order without one is judged when its day ends."""
    told = rules_by_order(person(), ordered("a", on=written), dispensed("d", OPIOID, handed))
    assert (ACTIVE in told.get("a", set())) is known


@pytest.mark.parametrize(
    ("booked", "known"), [("2026-03-10T08:00:00-04:00", True), ("2026-03-10T10:00:00-04:00", False)]
)
def test_an_operation_booked_before_or_after_the_order(booked: str, known: bool) -> None:
    record = [
        person(),
        ordered("a"),
        operation("ServiceRequest", "x", "2026-03-12", authoredOn=booked),
    ]
    assert (NEW_START in rules_by_order(*record).get("a", set())) is known


@pytest.mark.parametrize(("status", "day"), [("completed", "2026-03-12"), ("active", "2026-03-12")])
def test_an_operation_that_was_done_later_was_planned(status: str, day: str) -> None:
    record = [
        person(),
        ordered("a"),
        operation("ServiceRequest", "x", day, authoredOn="2026-03-01", status=status),
    ]
    assert NEW_START in rules_by_order(*record)["a"]
    after = [person(), ordered("a", on="2026-03-13"), *record[2:]]
    assert NEW_START not in rules_by_order(*after).get("a", set())


@pytest.mark.parametrize(
    ("end", "speaks", "silent"), [("2026-03-20", ACTIVE, RECENT), ("2026-03-09", RECENT, ACTIVE)]
)
def test_a_stop_that_was_recorded_later_had_not_happened(
    end: str, speaks: str, silent: str
) -> None:
    bounds = {"timing": {"repeat": {"boundsPeriod": {"start": "2026-03-01", "end": end}}}}
    opioid = ordered("o", OPIOID, "2026-03-01", status="stopped", dosageInstruction=[bounds])
    told = rules_by_order(person(), ordered("a"), opioid)["a"]
    assert speaks in told
    assert silent not in told


@pytest.mark.parametrize(
    ("over", "known"), [("2026-03-10", True), ("2026-03-11", True), ("2026-03-09", False)]
)
def test_a_diagnosis_that_was_over_later_was_not_yet(over: str, known: bool) -> None:
    resolved = {"coding": [{"code": "resolved"}]}
    disorder = diagnosis(
        "k", "5602001", recordedDate="2026-01-01", abatementDateTime=over, clinicalStatus=resolved
    )
    told = rules_by_order(person(), ordered("a"), disorder).get("a", set())
    assert ("opioid.dependence-or-withdrawal-dx" in told) is known


@pytest.mark.parametrize("dated", ["recordedDate", "onsetDateTime"])
@pytest.mark.parametrize(("day", "known"), [("2026-03-10", True), ("2026-03-11", False)])
def test_a_diagnosis_made_later_was_not_known(dated: str, day: str, known: bool) -> None:
    record = [person(), ordered("a"), diagnosis("k", "203082005", **{dated: day})]
    assert (NO_USE in rules_by_order(*record).get("a", set())) is not known


# -- the order's own supply ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("done", "counts"),
    [
        (dispensed("d", LDN, "2026-03-10", by="a"), False),
        (dispensed("d", LDN, "2026-03-10"), False),
        (dispensed("d", LDN, "", by="a"), False),
        (given_dose("d", LDN, "2026-03-10"), False),
        (given_dose("d", LDN, "2026-03-10T09:30:00-04:00", request={"reference": "MedicationRequest/a"}), False),
        (dispensed("d", LDN, "2026-03-10T08:00:00-04:00"), True),
        (dispensed("d", LDN, "2026-03-09", by="a"), True),
        (dispensed("d", LDN, "2026-03-10", by="earlier"), True),
    ],
)  # fmt: skip
def test_what_was_handed_over_by_an_order_came_after_it(done: Json, counts: bool) -> None:
    """An operation in two days: with LDN taken already the window speaks, else the new start."""
    earlier = (
        [ordered("earlier", on="2026-01-10", status="completed")]
        if done.get("authorizingPrescription", [{}])[0].get("reference", "").endswith("earlier")
        else []
    )
    surgery = operation("ServiceRequest", "x", "2026-03-12", authoredOn="2026-03-01")
    told = rules_by_order(person(), ordered("a"), *earlier, done, surgery)["a"]
    assert (WINDOW in told) is counts
    assert NEW_START in told


def test_a_dispense_without_a_date_came_after_its_order() -> None:
    """Of an opioid ordered later: at the time of the first order nobody knew of it."""
    later = ordered("o", OPIOID, "2026-05-01")
    undated = dispensed("d", OPIOID, "", by="o")
    told = rules_by_order(person(), ordered("a"), ordered("b", on="2026-05-02"), later, undated)
    assert not {ACTIVE, "opioid.unconfirmed-exposure"} & told.get("a", set())
    assert {ACTIVE, "opioid.unconfirmed-exposure"} & told["b"]
    alone = rules_by_order(person(), ordered("a"), dispensed("d", OPIOID, ""))
    assert "opioid.unconfirmed-exposure" in alone["a"]


# -- a pad --------------------------------------------------------------------------------------------


def _high(name: str, on: str) -> Json:
    return ordered(name, on=on, dosageInstruction=[once_a_day(4.5)])


@pytest.mark.parametrize(
    ("second", "adds"),
    [
        ("2026-03-10T09:00:00-04:00", True),
        ("2026-03-10T13:00:00Z", True),
        ("2026-03-10T09:00:01-04:00", False),
        ("2026-03-10", False),
    ],
)
def test_orders_of_one_instant_were_signed_together(second: str, adds: bool) -> None:
    """Drafts add up, and a draft replaces what is on the record."""
    told = rules_by_order(person(), _high("a", "2026-03-10T09:00:00-04:00"), _high("b", second))
    assert all(
        ("dose.outside-ldn-range" in rules) is adds
        for rules in (told.get("a", set()), told.get("b", set()))
    )


def test_both_orders_of_a_pad_are_judged() -> None:
    when = "2026-03-10T09:00:00-04:00"
    lines = found(person(), ordered("a", on=when), ordered("o", OPIOID, when))
    told = [line for line in lines if line["rule"] == ACTIVE]
    assert [line["order"] for line in told] == ["MedicationRequest/a", "MedicationRequest/o"]
    for line in told:
        facts = {fact["name"]: fact["sources"] for fact in line["facts"]}
        assert facts == {"order": ["MedicationRequest/a"], "opioid": ["MedicationRequest/o"]}


def test_an_order_that_takes_the_place_of_another_is_no_duplicate() -> None:
    rule = "naltrexone.duplicate-antagonist"
    disorder = diagnosis("k", "7200002", recordedDate="2020-01-01")
    full = ordered(
        "full", "naltrexone 50 MG Oral Tablet", "2026-03-01", dosageInstruction=[once_a_day(50)]
    )
    assert rule in rules_by_order(person(), disorder, full, ordered("a"))["a"]
    prior = {"reference": "MedicationRequest/full"}
    record = [person(), disorder, full, ordered("a", priorPrescription=prior)]
    assert rule not in rules_by_order(*record).get("a", set())


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


# -- the command --------------------------------------------------------------------------------------


PEOPLE = {
    f"p{number}": [
        person(f"p{number}"),
        *(
            {**entry, "subject": {"reference": f"Patient/p{number}"}, "id": f"p{number}-{entry['id']}"}
            for entry in (
                ordered("a", on=f"20{10 + number}-03-10T09:00:00-04:00"),
                operation("ServiceRequest", "x", f"20{10 + number}-03-12", authoredOn=f"20{10 + number}-03-01"),
                operation("Procedure", "y", f"20{10 + number}-05-12"),
                ordered("o", OPIOID, "2019-01-01"),
                ordered("z", "lisinopril 10 MG Oral Tablet", "2018-01-01"),
                ordered("u", on="2019"),
                ordered("v", on="2015-01-01", status="draft"),
            )
        ),
    ]
    for number in range(6)
}  # fmt: skip


def run(*args: object, out: Path, code: int = 0) -> dict[str, Any]:
    done = cds("audit", *args, "--out", out, "--every", "order", *WHEN)
    assert done.returncode == code, done.stderr
    summary: dict[str, Any] = json.loads((out / "summary.json").read_text())
    return summary


def test_records_and_an_export_say_the_same_whatever_the_workers(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    for name, record in PEOPLE.items():
        (tmp_path / "in" / f"{name}.json").write_text(json.dumps(bundle(*record)))
    write_export(tmp_path / "export", PEOPLE, seed=5)
    summary = run(tmp_path / "in", "--workers", 1, out=tmp_path / "out")
    assert summary["orders"] == {
        "judged": 12,
        "deceased_not_judged": 0,
        "not_judged": {"a draft that nobody signed": 6, "not dated to the day": 6},
    }
    assert summary["patients"]["judged"] == 6
    assert summary["hook"] == "order-sign"
    told = Counter(line["rule"] for line in read(tmp_path / "out", "findings"))
    assert told[NEW_START] == 6
    run(tmp_path / "in", "--workers", 2, out=tmp_path / "two")
    for path in (tmp_path / "out").iterdir():
        assert (tmp_path / "two" / path.name).read_bytes() == path.read_bytes(), path.name
    exported = run(tmp_path / "export", "--workers", 2, out=tmp_path / "more")
    assert _apart_from_input(tmp_path / "more") == _apart_from_input(tmp_path / "out")
    for name in ("orders", "patients", "rules", "coverage"):
        assert exported[name] == summary[name]


def _apart_from_input(out: Path) -> list[str]:
    return sorted(json.dumps({**line, "input": ""}) for line in read(out, "findings"))


def test_the_table_says_what_was_judged(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_text(json.dumps(bundle(*PEOPLE["p1"])))
    done = cds(
        "audit", path, "--out", tmp_path / "out", "--every", "order", "--hook", "order-sign", *WHEN
    )
    assert done.returncode == 0
    assert (
        "orders judged, each at its own date: 2, patient deceased by then: 0, not judged: 1 a draft that nobody signed, 1 not dated to the day"
        in " ".join(done.stdout.split())
    )
    plain = cds("audit", path, "--out", tmp_path / "plain", *WHEN)
    assert "orders judged" not in plain.stdout
    summary = json.loads((tmp_path / "plain" / "summary.json").read_text())
    assert (summary["every"], summary["orders"], summary["hook"]) == (None, None, "audit")
    assert {line["order"] for line in read(tmp_path / "plain", "findings")} <= {None}


@pytest.mark.parametrize(
    ("args", "told"),
    [
        (["--every", "patient"], "accepted: order"),
        (["--every", "order", "--hook", "audit"], "accepted: order-sign"),
        (["--every", "order", "--hook", "patient-view"], "accepted: order-sign"),
    ],
)
def test_an_unusable_call_is_refused(tmp_path: Path, args: list[str], told: str) -> None:
    path = tmp_path / "a.json"
    path.write_text(json.dumps(bundle(*PEOPLE["p1"])))
    done = cds("audit", path, "--out", tmp_path / "out", *args, *WHEN)
    assert done.returncode == 2
    assert told in done.stderr
    assert not (tmp_path / "out").exists()


def test_a_whole_audit_of_drafts_is_none_of_orders(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_text(json.dumps(bundle(*PEOPLE["p1"])))
    call = ("audit", path, "--out", tmp_path / "out", "--hook", "order-sign", *WHEN)
    assert cds(*call).returncode == 0
    again = cds(*call, "--resume", "--every", "order")
    assert again.returncode == 2
    assert "--every was '' and is 'order'" in again.stderr


def test_a_patient_by_name_is_the_only_one() -> None:
    record = [*PEOPLE["p1"], *PEOPLE["p2"]]
    by = replace(every(), patient="p2")
    assert {line["patient"] for line in found(*record, by=by)} == {"p2"}
    outcome = audited(*record, by=by)
    assert outcome.tally.judged == 2
    assert {json.loads(line)["patient"] for line in outcome.problems} == {"p2"}


@pytest.mark.skipif(bool(unavailable()), reason="the second engine cannot run here")
def test_both_engines_agree_on_every_order(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    for name, record in PEOPLE.items():
        (tmp_path / "in" / f"{name}.json").write_text(json.dumps(bundle(*record)))
    for case in EXAMPLES[::6]:
        (tmp_path / "in" / f"{case.name}.json").write_text(json.dumps(bundle(*_as_record(case))))
    both = run(tmp_path / "in", "--engine", "both", "--workers", 1, out=tmp_path / "both")
    one = run(tmp_path / "in", "--workers", 1, out=tmp_path / "one")
    assert both["orders"]["judged"] > 20
    assert both["problems"] == one["problems"]
    assert not (tmp_path / "both" / "disagreements.ndjson").exists()
    assert read(tmp_path / "both", "findings") == read(tmp_path / "one", "findings")
