"""`cds audit --every order` says of an order what a Bundle says that was cut by hand at its moment."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from cds.audit.line import finding_line, told_findings
from cds.audit.outcome import Outcome
from cds.audit.tally import Tally
from cds.cards.judge import Setting, judge, read_input
from tests.audit.cut import cut, is_order, made, name_of, span, text_of
from tests.audit.orders import (
    EXAMPLES,
    LDN,
    NEW_START,
    OPIOID,
    as_record,
    audited,
    diagnosis,
    dispensed,
    every,
    given_dose,
    once_a_day,
    operation,
    ordered,
)
from tests.records import (
    ZONE,
    Json,
    bundle,
    drug,
    person,
    resource,
)


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


def test_most_examples_have_an_order_to_judge() -> None:
    assert sum(any(is_order(entry) for entry in as_record(case)) for case in EXAMPLES) > 50


@pytest.mark.parametrize("case", EXAMPLES, ids=lambda case: case.name)
def test_an_example_is_judged_as_a_bundle_cut_by_hand_is(case: Path) -> None:
    assert_as_by_hand(as_record(case))


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
