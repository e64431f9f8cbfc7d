"""The same input gives the same bytes: whatever the order, the copies, the neighbours or the clock."""

from __future__ import annotations

import copy
import json
import os
import random
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cds.cards.judge import Setting
from tests.records import (
    AS_OF,
    ROOT,
    ZONE,
    Json,
    bundle,
    card_bytes,
    draft,
    judged,
    order,
    person,
    resource,
    rulebook,
    setting,
)

OPIOID = "oxycodone hydrochloride 5 MG Oral Tablet"


def dispense(name: str, of: str, day: str, patient: str = "p1") -> Json:
    return resource(
        "MedicationDispense",
        name,
        patient,
        status="completed",
        whenHandedOver=day,
        daysSupply={"value": 10, "code": "d"},
        authorizingPrescription=[{"reference": f"MedicationRequest/{of}"}],
        medicationCodeableConcept={"text": OPIOID},
    )


def operation(name: str, day: str, patient: str = "p1") -> Json:
    appendectomy = {
        "system": "http://snomed.info/sct",
        "code": "80146002",
        "display": "Appendectomy",
    }
    return resource(
        "ServiceRequest",
        name,
        patient,
        status="active",
        intent="order",
        code={"coding": [appendectomy]},
        occurrenceDateTime=day,
    )


def condition(name: str, code: str, patient: str = "p1") -> Json:
    coding = {"system": "http://hl7.org/fhir/sid/icd-10-cm", "code": code}
    return resource("Condition", name, patient, code={"coding": [coding]})


NIGHTLY = {
    "timing": {"repeat": {"frequency": 1, "period": 1, "periodUnit": "d", "when": ["HS"]}},
    "doseAndRate": [{"doseQuantity": {"value": 4.5, "unit": "mg"}}],
}
RICH = [
    person(gender="female"),
    draft("d1", "naltrexone 1.5 MG Oral Capsule", 1.5),
    draft("d2", "naltrexone 3 MG Oral Capsule", 3),
    order("n1", "naltrexone 4.5 MG Oral Capsule", dosageInstruction=[NIGHTLY]),
    order("o1", OPIOID),
    order("o2", "tramadol 50 MG Oral Tablet", status="stopped", authoredOn="2026-05-20"),
    order("o3", "fentanyl 25 MCG/HR Transdermal Patch", status="unknown"),
    dispense("md1", "o1", "2026-06-06"),
    dispense("md2", "o1", "2026-05-20"),
    operation("s1", "2026-06-12"),
    operation("s2", "2026-06-20"),
    {
        "resourceType": "Appointment",
        "id": "a1",
        "status": "booked",
        "start": "2026-06-12T08:00:00-04:00",
        "basedOn": [{"reference": "ServiceRequest/s1"}],
        "participant": [{"actor": {"reference": "Patient/p1"}}],
    },
    condition("c1", "M79.7"),
    condition("c2", "G35"),
    condition("c3", "F11.20"),
    resource("Task", "t1", status="requested", description="hold naltrexone before surgery"),
]
STRANGER = [
    person("p9"),
    order("x1", OPIOID, "p9"),
    dispense("x2", "x1", "2026-06-08", "p9"),
    operation("x3", "2026-06-11", "p9"),
    condition("x4", "M79.7", "p9"),
    draft("x5", "naltrexone 50 MG Oral Tablet", 50, "p9"),
]


def answer(*resources: Json, by: Setting | None = None) -> bytes:
    """The cards of patient p1, as bytes."""
    found = judged(bundle(*resources), by)
    return card_bytes(item for item in found if item.patient == "p1")


EXPECTED = answer(*RICH)


def test_the_record_gives_cards_of_several_kinds() -> None:
    """The laws below would hold for a record that gives none."""
    cards = json.loads(EXPECTED)[0]
    assert len(cards) >= 3
    assert len({card["indicator"] for card in cards}) >= 2
    assert answer(*RICH[:-6]) != EXPECTED


@given(st.permutations(RICH))
def test_the_order_of_entries_changes_nothing(entries: list[Json]) -> None:
    assert answer(*entries) == EXPECTED


@given(st.lists(st.sampled_from(RICH[1:]), max_size=6), st.randoms(use_true_random=False))
def test_identical_copies_change_nothing(copies: list[Json], chance: random.Random) -> None:
    entries = [*RICH, *copies]
    chance.shuffle(entries)
    assert answer(*entries) == EXPECTED


@given(st.permutations([*RICH, *STRANGER]))
@settings(suppress_health_check=[HealthCheck.too_slow])
def test_another_patient_changes_nothing(entries: list[Json]) -> None:
    assert answer(*entries) == EXPECTED


@given(st.sampled_from(RICH[1:]), st.integers(0, len(RICH)))
def test_an_older_version_changes_nothing(chosen: Json, at: int) -> None:
    old = {**copy.deepcopy(chosen), "meta": {"versionId": "1"}, "status": "entered-in-error"}
    entries = [{**item, "meta": {"versionId": "2"}} if item is chosen else item for item in RICH]
    whole = answer(*entries)
    entries.insert(at, old)
    assert answer(*entries) == whole


def _shuffled(node: object, chance: random.Random) -> object:
    if isinstance(node, dict):
        keys = list(node)
        chance.shuffle(keys)
        return {key: _shuffled(node[key], chance) for key in keys}
    if isinstance(node, list):
        return [_shuffled(item, chance) for item in node]
    return node


def _without_drafts(cards: bytes) -> list[object]:
    """The cards without the resources they suggest, which keep the order of the draft's own keys."""
    return [{**card, "suggestions": None} for card in json.loads(cards)[0]]


@given(st.randoms(use_true_random=False))
def test_the_order_of_keys_changes_nothing(chance: random.Random) -> None:
    document = _shuffled(bundle(*RICH), chance)
    assert isinstance(document, dict)
    assert _without_drafts(card_bytes(judged(document))) == _without_drafts(EXPECTED)


def test_a_second_time_gives_the_same() -> None:
    assert answer(*RICH) == EXPECTED
    rulebook.cache_clear()
    assert answer(*RICH) == EXPECTED


def test_another_zone_of_as_of_gives_the_same() -> None:
    by = Setting(rulebook(), AS_OF.astimezone(UTC), ZONE)
    assert answer(*RICH, by=by) == EXPECTED


@pytest.mark.parametrize("seed", ["0", "1", "4711"])
def test_another_process_gives_the_same(seed: str) -> None:
    """Sets and hashes differ from process to process; the bytes do not."""
    code = "import sys; from tests.engine.test_same_bytes import EXPECTED; sys.stdout.buffer.write(EXPECTED)"
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        env={**os.environ, "PYTHONHASHSEED": seed, "TZ": "Pacific/Chatham"},
        capture_output=True,
        check=True,
    )
    assert done.stdout == EXPECTED


# -- the clock ----------------------------------------------------------------------------------------


def _refuse(*_: object) -> float:
    raise AssertionError("the core read a clock")


@pytest.mark.parametrize("name", ["time", "time_ns", "localtime", "gmtime"])
def test_nobody_reads_the_clock(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time, name, _refuse)
    by = setting()
    found = judged(bundle(*RICH), by)
    monkeypatch.undo()
    assert card_bytes(found) == EXPECTED


def test_nobody_asks_datetime_for_now(monkeypatch: pytest.MonkeyPatch) -> None:
    """`datetime.now` cannot be replaced on the class itself: a subclass takes its place by name."""

    class Refusing(datetime):
        @classmethod
        def now(cls, tz: object = None) -> Refusing:
            raise AssertionError("the core read a clock")

        today = utcnow = now

    for name, module in list(sys.modules.items()):
        core = name.startswith("cds.") and name != "cds.cli"
        if core and getattr(module, "datetime", None) is datetime:
            monkeypatch.setattr(module, "datetime", Refusing)
    with pytest.raises(AssertionError, match="read a clock"):
        Refusing.now()
    assert answer(*RICH) == EXPECTED


# -- laws of date windows ------------------------------------------------------------------------------

ACTIVE = "opioid.active-with-naltrexone-order"
WINDOW = "periop.surgery-within-hold-window"


def rules_of(*resources: Json, as_of: datetime = AS_OF) -> set[str]:
    (found,) = judged(bundle(person(), *resources), Setting(rulebook(), as_of, ZONE))
    drawn = [finding for item in found.answer.drawn for finding in (item.finding, *item.lines)]
    return {finding.rule.id for finding in drawn}


def day(offset: int) -> str:
    return (AS_OF.date() + timedelta(days=offset)).isoformat()


NALTREXONE = draft("d1", "naltrexone 1.5 MG Oral Capsule", 1.5)
LDN = order("n1", "naltrexone 4.5 MG Oral Capsule", authoredOn="2026-06-05")


@given(st.integers(-60, 60), st.integers(1, 60))
def test_a_supply_of_n_days_covers_n_days(start: int, supply: int) -> None:
    """Both ends included: the day it begins, and n-1 days more; what begins later is not yet taken."""
    duration = {"value": supply, "code": "d"}
    opioid = order(
        "o1",
        OPIOID,
        status="completed",
        authoredOn="2026-01-01",
        dispenseRequest={"expectedSupplyDuration": duration},
        dosageInstruction=[{"timing": {"repeat": {"boundsPeriod": {"start": day(start)}}}}],
    )
    covered = start <= 0 <= start + supply - 1
    assert (ACTIVE in rules_of(NALTREXONE, opioid)) == covered


@given(st.integers(-10, 40))
def test_an_operation_on_a_date_is_within_three_days(offset: int) -> None:
    found = rules_of(LDN, operation("s1", day(offset)))
    assert (WINDOW in found) == (0 <= offset <= 3)


@given(st.integers(-5 * 24 * 60, 6 * 24 * 60))
def test_an_operation_at_a_time_is_within_three_days_or_72_hours(minutes: int) -> None:
    """The union of both windows, of the days of the site's zone and of elapsed hours."""
    begins = AS_OF.astimezone(UTC) + timedelta(minutes=minutes)
    days = (begins.astimezone(ZONE).date() - AS_OF.date()).days
    within = minutes >= 0 and (days <= 3 or minutes <= 72 * 60)
    assert (WINDOW in rules_of(LDN, operation("s1", begins.isoformat()))) == within


@given(st.integers(0, 96 * 60))
def test_the_window_across_the_change_of_clocks(minutes: int) -> None:
    """The clock goes forward on 8 March: 72 hours may reach a fourth date, and never count short."""
    now = datetime(2026, 3, 6, 23, 30, tzinfo=ZONE)
    begins = now.astimezone(UTC) + timedelta(minutes=minutes)
    days = (begins.astimezone(ZONE).date() - now.date()).days
    ldn = {**LDN, "authoredOn": "2026-03-01"}
    found = rules_of(ldn, operation("s1", begins.isoformat()), as_of=now)
    assert (WINDOW in found) == (days <= 3 or minutes <= 72 * 60)


@given(st.integers(-400, 400))
def test_judging_a_past_moment_sees_nothing_later(offset: int) -> None:
    """Ruling 7: what was written after the moment of judging does not exist yet."""
    at = AS_OF + timedelta(days=offset)
    later = order("o1", OPIOID, authoredOn=(at + timedelta(days=1)).date().isoformat())
    assert rules_of(NALTREXONE, later, as_of=at) == rules_of(NALTREXONE, as_of=at)


SHIFTS: list[Callable[[str], Json]] = [
    lambda when: order("o1", OPIOID, authoredOn=when),
    lambda when: operation("s1", when),
]


@given(st.integers(-20, 20), st.sampled_from(SHIFTS), st.integers(-3000, 3000))
def test_only_distances_count(offset: int, write: Callable[[str], Json], shift: int) -> None:
    """Moving the moment and every date alike changes nothing (noon: no clock change at that hour)."""
    now = datetime(2026, 6, 10, 12, tzinfo=ZONE)

    def judged_at(moment: datetime) -> set[str]:
        when = (moment.date() + timedelta(days=offset)).isoformat()
        ldn = {**LDN, "authoredOn": (moment.date() - timedelta(days=5)).isoformat()}
        return rules_of(NALTREXONE, ldn, write(when), as_of=moment)

    moved = datetime.combine(now.date() + timedelta(days=shift), now.time(), ZONE)
    assert judged_at(moved) == judged_at(now)
