"""How each property of each kind of fact is read (the names are those of the rule vocabulary)."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal

from cds.chart.model import (
    MedicationRecord,
    OperationRecord,
    Patient,
    Record,
    ResultRecord,
)
from cds.engine.dosing import DOSING
from cds.engine.fact import Fact, certainty
from cds.engine.planned import is_timed
from cds.engine.record import (
    Reader,
    attribute,
    concepts,
    date,
    name,
    no_reason,
    sources,
    status,
    valuesets,
    words,
)
from cds.engine.steps import Step
from cds.engine.value import (
    FOREVER,
    Count,
    Missing,
    Moment,
    Never,
    Spans,
    Value,
    Words,
)
from cds.terminology.concept import Classification
from cds.values.moment import DayRange, PartialDate


def _yes(flag: bool) -> Words:
    return words("yes" if flag else "no")


# -- medication ----------------------------------------------------------------------------------


def _medications(fact: Fact) -> list[MedicationRecord]:
    return [record for record in fact.records if isinstance(record, MedicationRecord)]


def _spans(which: str) -> Reader:
    def read(fact: Fact) -> Value:
        assert fact.exposure is not None
        found: Spans = getattr(fact.exposure, which)
        return found

    return read


def _end(fact: Fact) -> Value:
    """Last day of the latest exposure; forever while it has no end, never when there was none."""
    assert fact.exposure is not None
    spans = fact.exposure.taken.spans
    ends = [FOREVER if span.end is None or span.assumed else span.end for span in spans]
    return Moment(max(ends, key=latest)) if ends else Never()


def latest(day: DayRange) -> tuple[int, int]:
    """What sorts days by their last possible one, then by their first."""
    return day.latest.toordinal(), day.earliest.toordinal()


def _release(fact: Fact) -> Value:
    return words(
        *(record.product.release for record in _medications(fact) if record.product is not None)
    )


def _drafted(fact: Fact) -> Value:
    """Whether it is being ordered: a draft that the pack's table counts as one."""
    if fact.exposure is not None:
        return _yes(fact.exposure.drafted)
    return _yes(any(record.drafted for record in fact.records))


def _on_hold(fact: Fact) -> Value:
    return _yes(fact.exposure is not None and fact.exposure.on_hold)


def _reasons(fact: Fact) -> list[Classification]:
    return [reason for record in _medications(fact) for reason in record.reasons.found]


def _reason(fact: Fact) -> Value:
    """The value sets of its reasons; missing where there are none and a reference is lost."""
    found = words(*valuesets(_reasons(fact)))
    if not found.words and any(record.reasons.lost for record in _medications(fact)):
        return Missing(f"the diagnosis that {fact.name} is ordered for could not be found")
    return found


def _reason_certainty(fact: Fact) -> Value:
    return words(*(match.certainty for reason in _reasons(fact) for match in reason.matches))


def _stated_reason(fact: Fact) -> Value:
    """Its reasons as written; missing where it gives none."""
    found = words(*(reason.name for reason in _reasons(fact)))
    return found if found.words else Missing(f"{fact.name} gives no reason")


def _replaces(fact: Fact) -> Value:
    return words(*(name for record in _medications(fact) for name in record.replaces))


_MEDICATION: Mapping[str, Reader] = {
    "name": name,
    "source": sources,
    "end": _end,
    "exposure": _spans("taken"),
    "possibility": _spans("possible"),
    "hint": _spans("hinted"),
    **DOSING,
    "release": _release,
    "certainty": certainty,
    "drafted": _drafted,
    "on-hold": _on_hold,
    "reason": _reason,
    "reason-certainty": _reason_certainty,
    "stated-reason": _stated_reason,
    "replaces": _replaces,
}


# -- procedure -----------------------------------------------------------------------------------


def _operations(fact: Fact) -> tuple[OperationRecord, ...]:
    assert fact.plan is not None
    return fact.plan.living or fact.plan.records


def _begin(fact: Fact) -> Value:
    assert fact.plan is not None
    return fact.plan.start or Missing("its date is not recorded")


def _dates_differ(fact: Fact) -> Value:
    assert fact.plan is not None
    return _yes(fact.plan.in_dispute)


def _timed(fact: Fact) -> Value:
    start = _begin(fact)
    return _yes(isinstance(start, Moment) and is_timed(start))


def _performed(fact: Fact) -> Value:
    """When it was done, the latest that its entries give; never where none says that it was."""
    assert fact.plan is not None
    if not fact.plan.done:
        return Never()
    return fact.plan.performed or Missing("when it was done is not recorded")


def _specialty(fact: Fact) -> Value:
    found = [item for record in _operations(fact) for item in record.specialties]
    return words(*valuesets(found))


def _evidence(fact: Fact) -> Value:
    assert fact.plan is not None
    return words(fact.plan.evidence)


def _plan_because(fact: Fact) -> Value:
    assert fact.plan is not None
    found = [
        entry.row.because
        for entry in fact.plan.entries
        if entry.row is not None and entry.label == "possible" and entry.row.because
    ]
    return words(*found)


_PROCEDURE: Mapping[str, Reader] = {
    "name": name,
    "source": sources,
    "because": _plan_because,
    "start": _begin,
    "timed": _timed,
    "dates-differ": _dates_differ,
    "performed": _performed,
    "priority": attribute("priority"),
    "class": attribute("class"),
    "elective": attribute("elective"),
    "specialty": _specialty,
    "evidence": _evidence,
    "drafted": _drafted,
    "certainty": certainty,
}


# -- the others ----------------------------------------------------------------------------------


def _abated(fact: Fact) -> Value:
    record: Record = fact.records[0]
    return Moment.of(record.dates["abated"]) if "abated" in record.dates else Never()


_CONDITION: Mapping[str, Reader] = {
    "name": name,
    "source": sources,
    "because": no_reason,
    "clinical": attribute("clinical"),
    "verification": attribute("verification"),
    "category": attribute("category"),
    "modified": attribute("modified"),
    "recorded": date("recorded", "onset"),
    "onset": date("onset"),
    "abated": _abated,
    "certainty": certainty,
    "concept": concepts,
}
_ALLERGY: Mapping[str, Reader] = {
    "name": name,
    "source": sources,
    "because": no_reason,
    "clinical": attribute("clinical"),
    "verification": attribute("verification"),
    "type": attribute("type"),
    "criticality": attribute("criticality"),
    "modified": attribute("modified"),
    "certainty": certainty,
}


def _result(fact: Fact) -> ResultRecord:
    assert isinstance(fact.subject, ResultRecord)
    return fact.subject


def _result_value(fact: Fact) -> Value:
    record = _result(fact)
    if isinstance(record.value, PartialDate):
        return Moment.of(record.value)
    if record.value is None:
        return Missing(_no_value(fact, "has no value that can be compared"))
    return record.value


def _no_value(fact: Fact, otherwise: str) -> str:
    """Why a result has no value, as the record says, or else what it lacks."""
    absent = _result(fact).absent
    return f"{fact.name}: {absent}" if absent else f"{fact.name} {otherwise}"


def _limit(which: str) -> Reader:
    def read(fact: Fact) -> Value:
        found: Value | None = getattr(_result(fact), which)
        return found if found is not None else Missing(f"{fact.name} has no reference range")

    return read


def _answer(fact: Fact) -> Value:
    """The words of the answer; where there is no value at all, those of its interpretation."""
    record = _result(fact)
    if record.answer is not None or record.said:
        return words(*record.said, *_words_of(record.answer))
    if record.value is not None:
        return words()
    if record.interpreted is not None:
        return words(*_words_of(record.interpreted))
    return Missing(_no_value(fact, "has no answer"))


def _words_of(found: Classification | None) -> list[str]:
    return [] if found is None else [*valuesets([found]), found.name.casefold()]


def _interpretation(fact: Fact) -> Value:
    return words(*(_result(fact).interpretation or ("absent",)))


def _absent(fact: Fact) -> Value:
    return words(_result(fact).absent)


def _text_of_answer(fact: Fact) -> Value:
    answer = _result(fact).answer
    return words(answer.name) if answer is not None else words(*_result(fact).said)


_RESULT: Mapping[str, Reader] = {
    "name": name,
    "source": sources,
    "because": no_reason,
    "value": _result_value,
    "low": _limit("low"),
    "high": _limit("high"),
    "answer": _answer,
    "answer-text": _text_of_answer,
    "interpretation": _interpretation,
    "absent": _absent,
    "date": date("effective", "issued"),
    "issued": date("issued"),
    "status": status,
    "modified": attribute("modified"),
    "certainty": certainty,
    "concept": concepts,
}
_STATEMENT: Mapping[str, Reader] = {
    "name": name,
    "source": sources,
    "because": name,
    "status": status,
}


def _born(fact: Fact) -> Value:
    patient = fact.subject
    if isinstance(patient, Patient) and patient.born is not None:
        return Moment.of(patient.born)
    return Missing("the date of birth is not recorded")


def _sex(fact: Fact) -> Value:
    return words(fact.subject.sex) if isinstance(fact.subject, Patient) else words()


_PATIENT: Mapping[str, Reader] = {
    "name": name,
    "source": sources,
    "because": no_reason,
    "born": _born,
    "sex": _sex,
}


def _of_step(name: str) -> Reader:
    def read(fact: Fact) -> Value:
        assert isinstance(fact.subject, Step)
        found: Value = getattr(fact.subject, name)
        return found

    return read


def _is_first(fact: Fact) -> Value:
    return _yes(isinstance(fact.subject, Step) and fact.subject.first)


_STEP: Mapping[str, Reader] = {
    "name": name,
    "source": sources,
    "because": no_reason,
    "order": sources,
    "start": _of_step("start"),
    "from": _of_step("before"),
    "to": _of_step("to"),
    "increase": _of_step("increase"),
    "since-increase": _of_step("since_increase"),
    "first": _is_first,
}
_SOURCE: Mapping[str, Reader] = {"name": name, "source": sources}

READERS: Mapping[str, Mapping[str, Reader]] = {
    "medication": _MEDICATION,
    "procedure": _PROCEDURE,
    "condition": _CONDITION,
    "allergy": _ALLERGY,
    "result": _RESULT,
    "statement": _STATEMENT,
    "source": _SOURCE,
    "dose-step": _STEP,
    "patient": _PATIENT,
}


def birthdays(born: DayRange, today: DayRange) -> Count:
    """Completed years, by calendar birthday."""

    def years(birth: DayRange, earliest: bool) -> Decimal:
        start = birth.latest if earliest else birth.earliest
        end = today.earliest
        return Decimal(end.year - start.year - ((end.month, end.day) < (start.month, start.day)))

    return Count(years(born, True), years(born, False))
