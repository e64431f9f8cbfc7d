"""Properties of a course of medication that need the other courses, the moment or the pack."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from cds.chart.model import MedicationRecord
from cds.engine.fact import Fact
from cds.engine.properties import latest
from cds.engine.reading import Reading
from cds.engine.record import words
from cds.engine.sheet import Sheet
from cds.engine.value import Count, Missing, Moment, Span, Value
from cds.values.moment import DayRange
from cds.values.truth import Truth


def because(sheet: Sheet, fact: Fact) -> Value:
    """Why the course is no more than possible today, and what disagrees in its entries."""
    exposure = sheet.judged(fact).exposure
    assert exposure is not None
    found = [
        span.because
        for span in (*exposure.possible.spans, *exposure.hinted.spans)
        if span.because and span.contains(sheet.clock.today) is not Truth.NO
    ]
    return words(*found, *exposure.conflicts)


def start(sheet: Sheet, fact: Fact) -> Value:
    """First day of the latest exposure; of a draft, the day from which it is to be taken.

    A draft begins today unless it names a later day: nobody has taken any of it yet.
    """
    exposure = sheet.judged(fact).exposure
    assert exposure is not None
    starts = [span.start for span in exposure.taken.spans if span.start is not None]
    if starts:
        return Moment(max(starts, key=latest))
    if exposure.drafted:
        drafts = [reading.record for reading in exposure.readings if reading.record.drafted]
        return min(
            (_begins(sheet, draft) for draft in drafts), key=lambda moment: moment.days.earliest
        )
    for reading in exposure.readings:
        for name in ("bounds-start", "authored"):
            if name in reading.record.dates:
                return Moment.of(reading.record.dates[name])
    return Missing(f"when {fact.name} begins is not recorded")


def began(sheet: Sheet, fact: Fact) -> Value:
    """First day of the run of exposures that the latest one ends; a pause is no end of a run.

    A pause is at most as many days from the end of one to the start of the next as the pack's
    profile gives the drug; without such a number nothing is one. Where unclear days leave open
    whether there was one, the first day may be that of either run. An entry that does not say when
    it began tells nothing of it; Missing where none does, or nothing was taken yet.
    """
    exposure = sheet.judged(fact).exposure
    assert exposure is not None
    taken = [
        (span.start, None if span.assumed else span.end)
        for span in exposure.taken.spans
        if span.start is not None
    ]
    if not taken:
        return Missing(f"when {fact.name} was begun is not recorded")
    word = fact.profile.values.get("pause", "") if fact.profile is not None else ""
    number = sheet.number(word) if word else None
    pause = int(number.high) if isinstance(number, Count) else 1
    taken.sort(key=lambda span: latest(span[0]), reverse=True)
    sure, perhaps = _first(taken, pause, sure=True), _first(taken, pause, sure=False)
    return Moment(DayRange(min(sure.earliest, perhaps.earliest), sure.latest))


def _first(
    taken: Sequence[tuple[DayRange, DayRange | None]], pause: int, *, sure: bool
) -> DayRange:
    """The first day of the run that the first of the spans ends; they come latest start first."""
    first = taken[0][0]
    for start, end in taken[1:]:
        least, most = (0, 0) if end is None else end.days_to(first)
        if (most if sure else least) <= pause:
            first = start
    return first


def _begins(sheet: Sheet, draft: MedicationRecord) -> Moment:
    """When a draft begins, never before the moment of judging."""
    now = sheet.clock.now
    today = sheet.clock.today
    for name in sheet.definition("medication").starts.get(draft.source.type, ()):
        date = draft.dates.get(name)
        if date is None or date.days.latest <= today.latest:
            continue
        days = DayRange(max(date.days.earliest, today.earliest), date.days.latest)
        return Moment(days, max(date.first, now), date.last, date.text)
    return Moment(today, now, now)


def route(sheet: Sheet, fact: Fact) -> Value:
    """How it is taken: value sets of its routes, else the product's form, else the usual."""
    found: set[str] = set()
    for record in fact.records:
        if not isinstance(record, MedicationRecord):
            continue
        for coded in record.regimen.routes if record.regimen is not None else ():
            read = sheet.rulebook.terminology.classify(coded, "route")
            found |= {match.valueset for match in read.matches} or {"unrecognised"}
    if not found:
        found = {
            record.product.route
            for record in fact.records
            if isinstance(record, MedicationRecord)
            and record.product is not None
            and record.product.route
        }
    usual = fact.profile.values.get("usual-route", "") if fact.profile is not None else ""
    if not found and usual:
        found = {usual}
    return words(*found) if found else Missing(f"how {fact.name} is taken is not recorded")


def profile_reader(name: str) -> Callable[[Sheet, Fact], Value]:
    """Reads a number or word that the pack's profile gives the drug, by the number's name."""

    def read(sheet: Sheet, fact: Fact) -> Value:
        word = fact.profile.values.get(name, "") if fact.profile is not None else ""
        found = sheet.number(word) if word else None
        if found is not None:
            return found
        return words(word) if word else Missing(f"the pack gives {fact.name} no {name}")

    return read


def stands_alone(sheet: Sheet, fact: Fact, concepts: tuple[str, ...], gap: int) -> bool:
    """Whether the course's last event is one administration that nothing of its class is near to.

    Near is within ``gap`` days. What else the course tells of must be over by then, however long
    ago it was, but for the order of that one dose; other courses of the class must have no dose
    near.
    """
    exposure = fact.exposure
    told = [reading for reading in exposure.readings if reading.spans] if exposure else []
    single = max(
        (day for day in map(_single_day, told) if day is not None), key=latest, default=None
    )
    if single is None:
        return False
    near = Span(single - gap, single + gap)
    rest = list(told)
    rest.remove(next(reading for reading in told if _single_day(reading) == single))
    after = (
        span
        for reading in rest
        for spans in reading.spans.values()
        for span in spans
        if not (_is_order(reading) and span.start == span.end == single)
    )
    if any(_reaches(span.end, near.start) for span in after):
        return False
    return not any(
        other is not fact and _dosed(sheet, other, concepts, near)
        for other in sheet.facts("medication")
    )


def _is_order(reading: Reading) -> bool:
    return reading.record.source.type == "MedicationRequest"


def _single_day(reading: Reading) -> DayRange | None:
    """The day of one administration that was given and is over, None for anything else."""
    taken = reading.spans.get("exposure", ())
    kind = reading.record.source.type
    if kind != "MedicationAdministration" or reading.status != "completed" or len(taken) != 1:
        return None
    return taken[0].start if taken[0].start == taken[0].end else None


def _dosed(sheet: Sheet, other: Fact, concepts: tuple[str, ...], near: Span) -> bool:
    if not any(other.in_concept(concept) is not Truth.NO for concept in concepts):
        return False
    exposure = sheet.judged(other).exposure
    assert exposure is not None
    if exposure.drafted:
        return False
    spans = (*exposure.taken.spans, *exposure.possible.spans)
    return any(_overlaps(span, near) for span in spans)


def _overlaps(left: Span, right: Span) -> bool:
    """Whether two spans may share a day."""
    return _reaches(left.end, right.start) and _reaches(right.end, left.start)


def _reaches(end: DayRange | None, start: DayRange | None) -> bool:
    return end is None or start is None or end.latest >= start.earliest
