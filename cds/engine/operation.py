"""Properties of an operation that need the other facts of its day, or the moment."""

from __future__ import annotations

from datetime import date

from cds.engine.fact import Fact
from cds.engine.planned import topics_of
from cds.engine.reading import Exposure
from cds.engine.record import words
from cds.engine.sheet import Sheet
from cds.engine.value import Missing, Spans, Value
from cds.values.truth import Truth

_NO_EXPOSURE = Exposure((), Spans(()), Spans(()), Spans(()), on_hold=False, drafted=False)


def ahead(sheet: Sheet, fact: Fact) -> Value:
    """Yes while the operation is still to come, no once it has begun; Missing without a date."""
    plan = fact.plan
    if plan is None or plan.start is None:
        return Missing("its date is not recorded")
    start = plan.start
    if start.first == start.last and start.first is not None:
        return words("yes" if start.first >= sheet.clock.now else "no")
    if start.days.latest < sheet.clock.today.earliest:
        return words("no")
    if start.days.earliest >= sheet.clock.today.earliest:
        return words("yes")
    return Missing("whether its date has passed is not known")


def topics(sheet: Sheet, fact: Fact) -> Value:
    """The pack's topics told of the operation."""
    return words(*_topics(sheet, fact))


def _topics(sheet: Sheet, fact: Fact) -> dict[str, str]:
    """The pack's topics told of the operation: its own entries, and coded ones of its day."""
    plan = fact.plan
    if plan is None:
        return {}
    wanted = sheet.definition("procedure").topics
    own = plan.living or plan.records
    found = topics_of(own, sheet.rulebook.terminology, wanted)
    day = plan.start.days if plan.start is not None else None
    if day is not None and day.certain:
        for topic, told in _told_of_days(sheet, wanted).get(day.earliest, {}).items():
            source = next((source for key, source in told.items() if key != fact.key), None)
            if source is not None:
                found.setdefault(topic, source)
    return found


_OfDays = dict[date, dict[str, dict[str, str]]]


def _told_of_days(sheet: Sheet, wanted: tuple[str, ...]) -> _OfDays:
    """For each day and topic two operations, by key, with the coded entry that tells of it."""
    if sheet.told_of_days is None:
        found: _OfDays = {}
        for fact in sheet.facts("procedure"):
            for record in fact.plan.living if fact.plan is not None else ():
                topics = dict.fromkeys(
                    match.valueset
                    for item in record.classifications
                    for match in item.matches
                    if match.valueset in wanted
                )
                days = {one.date.days.earliest for one in record.starts if one.date.days.certain}
                for day in days if topics else ():
                    for topic in topics:
                        told = found.setdefault(day, {}).setdefault(topic, {})
                        if len(told) < 2:
                            told.setdefault(fact.key, str(record.source))
        sheet.told_of_days = found
    return sheet.told_of_days


def ordered(sheet: Sheet, fact: Fact) -> Value:
    """Whether a drug that tells of it is ordered for its day, or in a category for it."""
    definition = sheet.definition("procedure")
    day = fact.plan.start.days if fact.plan is not None and fact.plan.start is not None else None
    for other in sheet.facts("medication"):
        if not any(other.in_concept(concept) is Truth.YES for concept in definition.orders_of):
            continue
        for reading in (sheet.judged(other).exposure or _NO_EXPOSURE).readings:
            if reading.record.source.type != "MedicationRequest" or reading.row is None:
                continue
            if reading.row.counts_as == "nothing" or reading.status not in ("active", "draft"):
                continue
            if definition.order_categories & set(reading.record.categories):
                return words("yes")
            if day is not None and day.certain and reading.interval.start == day:
                return words("yes")
    return words("no")
