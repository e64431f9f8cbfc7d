"""`cds audit --every order`: what was known when an order was signed, from both sides of each day."""

from __future__ import annotations

import pytest

from tests.audit.orders import (
    ACTIVE,
    LDN,
    NEW_START,
    NO_USE,
    OPIOID,
    RECENT,
    WINDOW,
    diagnosis,
    dispensed,
    found,
    given_dose,
    once_a_day,
    operation,
    ordered,
    rules_by_order,
)
from tests.records import (
    Json,
    person,
)

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
