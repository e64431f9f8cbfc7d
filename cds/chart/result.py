"""Reads an Observation into results: itself, and each component that has a code of its own.

FHIR R4 Observation: https://hl7.org/fhir/R4/observation.html
"""

from __future__ import annotations

import re
from collections.abc import Callable

from cds.chart.fields import (
    Json,
    as_list,
    as_object,
    as_text,
    code_of,
    date_of,
    note_texts,
    objects,
    period_of,
)
from cds.chart.medication import Reading
from cds.chart.model import ResultRecord, SourceRef
from cds.terminology.concept import Classification, CodeableConcept, read_concept
from cds.values.amounts import AmountRange, compared_to, spanned
from cds.values.moment import PartialDate
from cds.values.quantity import Quantity, read_quantity

Amount = Quantity | AmountRange

_WEIGHTS = (
    "http://hl7.org/fhir/StructureDefinition/ordinalValue",
    "http://hl7.org/fhir/StructureDefinition/itemWeight",
)
# A comma before three digits may part thousands: that is no number that anybody could rely on.
_NUMBER = r"[0-9]+(?:\.[0-9]+|,[0-9]{1,2}(?![0-9]))?"
_MEASURED = re.compile(
    rf"(<=|>=|[<>≤≥])?\s*({_NUMBER})\s*([^\W\d_][^,;]{{0,40}}|[%\[{{][^,;]{{0,40}})?"
)
_SPAN = re.compile(
    rf"({_NUMBER})\s*(?:-|–|to)\s*({_NUMBER})\s*([^\W\d_][^,;]{{0,40}}|[%\[{{][^,;]{{0,40}})?"
)
_SPELLED = {"≤": "<=", "≥": ">="}
_DAY = re.compile(r"[0-9]{4}-[0-9]{2}(?:-[0-9]{2}.*)?")
_LONGEST = 100


def read_results(
    resource: Json, reading: Reading, wanted: Callable[[Classification], bool]
) -> list[ResultRecord]:
    """The results of an Observation that are ``wanted`` by what they are.

    A component has the date, status and notes of its Observation. Results that an Observation only
    refers to (hasMember) are read where they stand. What is missing stays missing, nothing raises.
    """
    found = []
    whole = reading.classify(resource, "result")
    if wanted(whole):
        found.append(_record(resource, resource, whole, "", reading))
    for place, component in enumerate(objects(resource.get("component"))):
        named = reading.classify(component, "result")
        if wanted(named) and component.get("code") is not None:
            part = f"{place}.{named.name}"
            found.append(_record(resource, component, named, part, reading))
    return found


def _record(
    resource: Json, result: Json, classification: Classification, part: str, reading: Reading
) -> ResultRecord:
    """One result: ``result`` is the Observation itself or one of its components."""
    dates = _dates(resource, reading)
    modifiers = reading.modifiers("result", resource)
    if part:
        modifiers += reading.modifiers("result", result)
    value = _value(result, reading)
    low, high = _limits(result, value)
    answer = _answer(result, reading)
    interpretation = read_concept(as_list(result.get("interpretation")))
    return ResultRecord(
        source=SourceRef("Observation", as_text(resource.get("id")) or "?"),
        status=code_of(resource.get("status")) or "unknown",
        recorded=dates.get("issued") or dates.get("effective"),
        attributes={"resource": "Observation", "modified": "yes" if modifiers else "no"},
        dates=dates,
        modifiers=modifiers,
        notes=tuple(note_texts(resource.get("note"))),
        classification=classification,
        part=part,
        value=value,
        answer=answer,
        said=_said(result),
        absent=_absent(result),
        interpretation=_words(interpretation),
        interpreted=_classified(interpretation, reading),
        low=low,
        high=high,
    )


# -- when ----------------------------------------------------------------------------------------


def _dates(resource: Json, reading: Reading) -> dict[str, PartialDate]:
    """When it was so, and when it was issued. A period counts from its end, where it has one."""
    start, end = period_of(resource.get("effectivePeriod"), reading.zone)
    found = {
        "effective": date_of(resource.get("effectiveDateTime"), reading.zone)
        or date_of(resource.get("effectiveInstant"), reading.zone)
        or end
        or start
        or _last_event(resource, reading),
        "issued": date_of(resource.get("issued"), reading.zone),
    }
    return {name: date for name, date in found.items() if date is not None}


def _last_event(resource: Json, reading: Reading) -> PartialDate | None:
    """The last day of a Timing: of its events, else of its bounds."""
    timing = as_object(resource.get("effectiveTiming"))
    events = [date_of(item, reading.zone) for item in as_list(timing.get("event"))]
    bounds = as_object(timing.get("repeat")).get("boundsPeriod")
    events += reversed(period_of(bounds, reading.zone))
    known = [event for event in events if event is not None]
    return max(known, key=lambda event: event.last) if known else None


# -- what ----------------------------------------------------------------------------------------


def _value(result: Json, reading: Reading) -> Amount | PartialDate | None:
    """The amount or the date, whichever ``value[x]`` carries it; None where it is neither."""
    quantity = result.get("valueQuantity")
    if quantity is not None:
        return read_amount(quantity)
    for name in ("valueInteger", "valueDecimal"):
        if result.get(name) is not None:
            return _plain(result.get(name), "1")
    if result.get("valueRange") is not None:
        return _range(as_object(result.get("valueRange")))
    if result.get("valueDateTime") is not None:
        return date_of(result.get("valueDateTime"), reading.zone)
    if result.get("valueCodeableConcept") is not None:
        return _weight(as_object(result.get("valueCodeableConcept")))
    text = as_text(result.get("valueString"))
    if _DAY.fullmatch(text):
        return date_of(text, reading.zone)
    return _measured(text)


def read_amount(value: object, unit: str = "1") -> Amount | None:
    """A FHIR Quantity; with a comparator the amounts that it leaves. None when it is unreadable.

    A code stands before a unit in words; ``unit`` is what counts where neither is written.
    """
    item = as_object(value)
    units = [word for word in (item.get("code"), item.get("unit")) if word is not None]
    for name in units or [unit]:
        amount = _plain(item.get("value"), name)
        if amount is not None:
            return compared_to(as_text(item.get("comparator")), amount)
    return None


def _plain(value: object, unit: object) -> Quantity | None:
    try:
        return read_quantity(value, unit)
    except ValueError:
        return None


def _range(value: Json) -> Amount | None:
    """A FHIR Range; an end that is not there is open."""
    low, high = (_exact(value.get(name)) for name in ("low", "high"))
    if low is not None and high is not None:
        return _between([low, high])
    only = low or high
    return compared_to("<=" if low is None else ">=", only) if only is not None else None


def _exact(value: object) -> Quantity | None:
    amount = read_amount(value)
    return amount if isinstance(amount, Quantity) else None


def _weight(value: Json) -> Quantity | None:
    """The points that an answer of a questionnaire is worth, where its coding says so."""
    for coding in objects(value.get("coding")):
        for extension in objects(coding.get("extension")):
            if extension.get("url") in _WEIGHTS:
                return _plain(extension.get("valueDecimal"), "1")
    return None


def _measured(text: str, unit: str = "1") -> Amount | None:
    """The amount in a text that is nothing else: "25 mL", "> 60", "2-6 mg"; None in any other."""
    if len(text) > _LONGEST:
        return None
    match = _MEASURED.fullmatch(text)
    if match is not None:
        amount = _plain(_number(match[2]), match[3] or unit)
        comparator = match[1] or ""
        return compared_to(_SPELLED.get(comparator, comparator), amount) if amount else None
    match = _SPAN.fullmatch(text)
    if match is None:
        return None
    ends = [_plain(_number(end), match[3] or unit) for end in (match[1], match[2])]
    return spanned([end for end in ends if end is not None])


def _number(text: str) -> str:
    return text.replace(",", ".")


def _answer(result: Json, reading: Reading) -> Classification | None:
    value = result.get("valueCodeableConcept")
    text = as_text(result.get("valueString"))
    if value is None and not text:
        return None
    return _classified(read_concept(text if value is None else value), reading)


def _classified(concept: CodeableConcept, reading: Reading) -> Classification | None:
    if not concept.codings and not concept.text:
        return None
    return reading.terminology.classify(concept, "answer")


def _said(result: Json) -> tuple[str, ...]:
    flag = result.get("valueBoolean")
    return ("yes" if flag else "no",) if isinstance(flag, bool) else ()


def _absent(result: Json) -> str:
    """Why there is no value, in words: "not performed"; "" where that is not said."""
    reason = read_concept(result.get("dataAbsentReason"))
    words = [word for coding in reason.codings for word in (coding.display, coding.code) if word]
    return (reason.text or next(iter(words), "")).replace("-", " ").lower()


def _words(concept: CodeableConcept) -> tuple[str, ...]:
    """The codes of an interpretation, upper-cased, and its words, lower-cased."""
    words = [coding.code.upper() for coding in concept.codings if coding.code]
    words += [coding.display.lower() for coding in concept.codings if coding.display]
    words += [concept.text.lower()] if concept.text else []
    return tuple(dict.fromkeys(words))


# -- what is normal --------------------------------------------------------------------------------


def _limits(
    result: Json, value: Amount | PartialDate | None
) -> tuple[Amount | None, Amount | None]:
    """The lower and upper limit of what is normal; between them all, where several are given.

    Ranges of another meaning (treatment, critical) are passed over. A limit without a unit is in
    that of the value.
    """
    unit = value.unit if isinstance(value, Quantity | AmountRange) else "1"
    low: list[Quantity] = []
    high: list[Quantity] = []
    for item in objects(result.get("referenceRange")):
        if code_of(item.get("type")) in ("", "normal"):
            ends = [read_amount(item.get(name), unit) for name in ("low", "high")]
            if ends == [None, None]:
                ends = list(_ends(_measured(as_text(item.get("text")), unit)))
            for found, end in zip((low, high), ends, strict=True):
                if isinstance(end, Quantity):
                    found.append(end)
    return _between(low), _between(high)


def _ends(amount: Amount | None) -> tuple[Quantity | None, Quantity | None]:
    """The ends of a range that is written in words; of one amount none is known."""
    if not isinstance(amount, AmountRange):
        return None, None
    low, high = (Quantity(end, amount.unit) for end in (amount.low, amount.high))
    return (low if low.value.is_finite() else None), (high if high.value.is_finite() else None)


def _between(limits: list[Quantity]) -> Amount | None:
    try:
        return spanned(limits)
    except ValueError:
        return None
