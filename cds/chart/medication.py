"""Reads the four medication resources into records.

FHIR R4 MedicationRequest, MedicationStatement, MedicationDispense, MedicationAdministration, with
the shapes of STU3 and R5 that old and new clients still send.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from decimal import Decimal
from zoneinfo import ZoneInfo

import msgspec
from msgspec.structs import replace

from cds.chart.dosage import Regimen, regimen_of
from cds.chart.dose import Strength
from cds.chart.fields import (
    Json,
    as_list,
    as_object,
    as_text,
    code_of,
    date_of,
    first_of,
    note_texts,
    objects,
    period_of,
    reference_of,
    unknown_modifiers,
)
from cds.chart.model import MedicationRecord, SourceRef
from cds.chart.reason import Reasons, read_reasons
from cds.chart.references import Index
from cds.chart.release import older_name, status_of, type_of
from cds.terminology.concept import (
    Certainty,
    Classification,
    CodeableConcept,
    Product,
    read_concept,
)
from cds.terminology.terminology import Terminology
from cds.values.moment import PartialDate
from cds.values.quantity import Quantity, days_of, read_quantity

MEDICATION_TYPES = (
    "MedicationRequest",
    "MedicationStatement",
    "MedicationDispense",
    "MedicationAdministration",
)


class Reading(msgspec.Struct, frozen=True):
    """What a reader needs besides the resource: the words, the references, the site's zone."""

    terminology: Terminology
    index: Index
    zone: ZoneInfo
    understood: Mapping[str, frozenset[str]]

    def classify(self, resource: Json, kind: str) -> Classification:
        """What the resource's `code` says that it is, among the value sets of a kind."""
        return self.terminology.classify(read_concept(resource.get("code")), kind)

    def modifiers(self, kind: str, resource: Json) -> tuple[str, ...]:
        return tuple(unknown_modifiers(resource, self.understood.get(kind, frozenset())))


def read_medication(
    resource: Json, reading: Reading, named: Named, *, drafted: bool
) -> MedicationRecord:
    """The record of one medication resource; what is missing stays missing, nothing raises.

    ``named`` is what `medication_of` reads in it.

    The dose is read only where some value set knows the drug: nobody asks for the others'.
    """
    kind = type_of(resource)
    classification, product, medication, resolved = _identify(resource, reading, named)
    wanted = bool(classification.matches)
    regimen = _regimen(resource, reading, classification, product, medication) if wanted else None
    modifiers = reading.modifiers("medication", resource)
    return MedicationRecord(
        source=SourceRef(kind, as_text(resource.get("id")) or "?", older_name(resource)),
        status=_status(resource),
        recorded=_recorded(resource, reading.zone),
        attributes=_attributes(resource, kind, modified=bool(modifiers), drafted=drafted),
        dates=_dates(resource, reading.zone, regimen),
        modifiers=modifiers,
        notes=tuple(note_texts(resource.get("note"))),
        drafted=drafted,
        classification=classification,
        resolved=resolved,
        product=product,
        key=_key(classification, product),
        links=_links(resource, reading.index),
        replaces=_referred(resource, ("priorPrescription",), reading.index),
        regimen=regimen,
        supply=_supply(resource) if wanted else None,
        quantity=_quantity(resource) if wanted else None,
        refills=_refills(resource) if wanted else 0,
        reasons=read_reasons(resource, reading.terminology, reading.index) if wanted else Reasons(),
        categories=_categories(resource) if wanted else (),
        resource=resource if wanted and drafted else None,
    )


def _regimen(
    resource: Json,
    reading: Reading,
    classification: Classification,
    product: Product | None,
    medication: Json | None,
) -> Regimen:
    return regimen_of(
        resource.get("dosageInstruction") or resource.get("dosage"),
        _strengths(medication, product),
        reading.zone,
        product_is_text=_is_text_only(classification),
    )


# -- which drug ---------------------------------------------------------------------------------


Named = tuple[CodeableConcept, object | None]
"""The drug as a concept, and the reference to a Medication if that names it instead."""


def _identify(
    resource: Json, reading: Reading, named: Named
) -> tuple[Classification, Product | None, Json | None, bool]:
    """Classification, product, the Medication resource if any, and whether it could be found."""
    concept, reference = named
    medication = reading.index.resolve(reference, resource) if reference is not None else None
    if medication is not None:
        concept = read_concept(medication.get("code"))
    elif reference is not None and concept == CodeableConcept((), ""):
        concept = CodeableConcept((), as_text(as_object(reference).get("display")))
    classification = reading.terminology.classify(concept, "medication")
    resolved = medication is not None or reference is None or bool(concept.text)
    product = classification.product
    if medication is not None:
        classification = _with_ingredients(classification, medication, reading.terminology)
        resolved = classification.readable
    return classification, product, medication, resolved


def medication_of(resource: Json) -> Named:
    """The concept and the reference, in the shapes of R4, STU3 and R5 (`CodeableReference`)."""
    inline = resource.get("medicationCodeableConcept")
    reference = resource.get("medicationReference")
    either = as_object(resource.get("medication"))
    if inline is None and either:
        inline = either.get("concept") or (
            either if "coding" in either or "text" in either else None
        )
    if reference is None and either:
        reference = (
            either.get("reference")
            if isinstance(either.get("reference"), dict)
            else (either if "reference" in either else None)
        )
    return read_concept(inline), reference


def _with_ingredients(
    classification: Classification, medication: Json, terminology: Terminology
) -> Classification:
    """Adds what a Medication's coded ingredients say to what its own code says."""
    matches = {match.valueset: match for match in classification.matches}
    names = []
    readable = classification.readable
    for item in objects(medication.get("ingredient")):
        concept = read_concept(
            item.get("itemCodeableConcept") or as_object(item.get("item")).get("concept")
        )
        found = terminology.classify(concept, "medication")
        readable = readable or found.readable
        if found.readable:
            names.append(found.name)
        for match in found.matches:
            matches.setdefault(match.valueset, match)
    # An unreadable code is called by its number: what its ingredients are called says more.
    name = classification.name if classification.readable or not names else " / ".join(names)
    return replace(
        classification,
        name=name,
        matches=tuple(matches[key] for key in sorted(matches)),
        readable=readable,
    )


def _is_text_only(classification: Classification) -> bool:
    return any(match.certainty is Certainty.TEXT for match in classification.matches)


def _key(classification: Classification, product: Product | None) -> str:
    """The same for resources of the same drug: ingredients and release, else the name."""
    if not classification.readable:
        return ""
    if product is not None and product.ingredients:
        names = sorted({ingredient.name.casefold() for ingredient in product.ingredients})
        return f"{' / '.join(names)}|{product.release}"
    return classification.name.casefold()


def _strengths(medication: Json | None, product: Product | None) -> tuple[Strength, ...]:
    """Strength of the one ingredient; none when a product has several (a dose would be a guess)."""
    stated = [
        strength
        for item in objects(medication.get("ingredient") if medication else None)
        if (strength := _ratio_strength(item.get("strength"))) is not None
    ]
    if len(stated) == 1:
        return (stated[0],)
    if stated or product is None or len(product.ingredients) != 1:
        return ()
    ingredient = product.ingredients[0]
    return (Strength(ingredient.strength, ingredient.per),) if ingredient.strength else ()


def _ratio_strength(value: object) -> Strength | None:
    ratio = as_object(value)
    if "strengthRatio" in ratio:
        ratio = as_object(ratio.get("strengthRatio"))
    numerator = _read_amount(ratio.get("numerator"))
    if numerator is None:
        return None
    denominator = _read_amount(ratio.get("denominator"))
    if denominator is None or denominator.dimension == "count":
        count = (
            denominator.value if denominator is not None and denominator.value > 0 else Decimal(1)
        )
        return Strength(Quantity(numerator.value / count, numerator.unit), None)
    return Strength(numerator, denominator)


def _read_amount(value: object) -> Quantity | None:
    item = as_object(value)
    unit = item.get("code") or item.get("unit") or "1"
    try:
        return read_quantity(item.get("value"), unit)
    except ValueError:
        pass
    try:
        return read_quantity(item.get("value"), item.get("unit"))
    except ValueError:
        return None


# -- what the resource says of itself ------------------------------------------------------------

_R5_ADHERENCE = {
    "taking": "active",
    "taking-as-directed": "active",
    "taking-not-as-directed": "active",
    "not-taking": "not-taken",
    "on-hold": "on-hold",
    "on-hold-as-directed": "on-hold",
    "on-hold-not-as-directed": "on-hold",
    "stopped": "stopped",
    "stopped-as-directed": "stopped",
    "stopped-not-as-directed": "stopped",
    "not-taking-not-as-directed": "not-taken",
    "unknown": "unknown",
}


def _status(resource: Json) -> str:
    """FHIR's status; "unknown" when it is missing. R5 statements say it in `adherence`."""
    status = status_of(resource) or "unknown"
    if status == "recorded":
        adherence = code_of(as_object(resource.get("adherence")).get("code"))
        return _R5_ADHERENCE.get(adherence, "unknown")
    return status


def _attributes(resource: Json, kind: str, *, modified: bool, drafted: bool) -> dict[str, str]:
    reported = resource.get("reportedBoolean") is True or bool(resource.get("reportedReference"))
    return {
        "resource": kind,
        "intent": code_of(resource.get("intent")) or "absent",
        "prohibited": "yes" if resource.get("doNotPerform") is True else "no",
        "modified": "yes" if modified else "no",
        "reported": "yes" if reported else "no",
        "drafted": "yes" if drafted else "no",
    }


def _recorded(resource: Json, zone: ZoneInfo) -> PartialDate | None:
    """When the entry was made, in the order of ruling 7."""
    for name in ("authoredOn", "dateWritten", "recorded", "whenHandedOver", "dateAsserted"):
        date = date_of(resource.get(name), zone)
        if date is not None:
            return date
    return None


def _dates(resource: Json, zone: ZoneInfo, regimen: Regimen | None) -> dict[str, PartialDate]:
    """Every date that a definition may name as a start or an end."""
    request = as_object(resource.get("dispenseRequest"))
    valid_from, _ = period_of(request.get("validityPeriod"), zone)
    effective = _effective(resource, zone)
    found = {
        "handed-over": date_of(resource.get("whenHandedOver"), zone),
        "prepared": date_of(resource.get("whenPrepared"), zone),
        "authored": date_of(resource.get("authoredOn") or resource.get("dateWritten"), zone),
        "asserted": date_of(resource.get("dateAsserted"), zone),
        "valid-from": valid_from,
        "effective-start": effective[0],
        "effective-end": effective[1],
        "effective-point": effective[2],
        "bounds-start": regimen.bounds_start if regimen else None,
        "bounds-end": date_of(resource.get("dateEnded"), zone) or _bounds_end(regimen),
    }
    return {name: date for name, date in found.items() if date is not None}


def _bounds_end(regimen: Regimen | None) -> PartialDate | None:
    return regimen.bounds_end if regimen else None


def _effective(
    resource: Json, zone: ZoneInfo
) -> tuple[PartialDate | None, PartialDate | None, PartialDate | None]:
    """Start, end and point of `effective[x]` (R5 `occurence[x]`, DSTU2 `effectiveTime[x]`)."""
    period = first_of(resource, "effectivePeriod", "occurencePeriod", "effectiveTimePeriod")
    point = date_of(
        first_of(resource, "effectiveDateTime", "occurenceDateTime", "effectiveTimeDateTime"), zone
    )
    if period is not None:
        start, end = period_of(period, zone)
        return start, end, None
    return point, None, point


def _supply(resource: Json) -> Decimal | None:
    """Days of supply: a dispense's own, or an order's expected duration."""
    request = as_object(resource.get("dispenseRequest"))
    amount = _read_amount(resource.get("daysSupply") or request.get("expectedSupplyDuration"))
    if amount is None or amount.value <= 0:
        return None
    if amount.dimension == "time":
        return days_of(amount)
    # A bare number in daysSupply can only be days: so R4 MedicationDispense defines the element.
    return amount.value if amount.dimension == "count" else None


def _quantity(resource: Json) -> Quantity | None:
    request = as_object(resource.get("dispenseRequest"))
    return _read_amount(resource.get("quantity") or request.get("quantity"))


def _refills(resource: Json) -> int:
    value = as_object(resource.get("dispenseRequest")).get("numberOfRepeatsAllowed")
    return int(value) if isinstance(value, int | Decimal) and 0 < value < 1000 else 0


MEDICATION_LINKS = (
    "authorizingPrescription", "request", "basedOn", "partOf", "derivedFrom", "prescription",
)  # fmt: skip


def _links(resource: Json, index: Index) -> tuple[str, ...]:
    """The orders this resource belongs to. (`priorPrescription` names another order: not here.)"""
    return _referred(resource, MEDICATION_LINKS, index)


def _referred(resource: Json, names: Iterable[str], index: Index) -> tuple[str, ...]:
    """What References of these names lead to, each once."""
    found = [
        index.key(item)
        for name in names
        for item in as_list(resource.get(name))
        if reference_of(item)
    ]
    return tuple(dict.fromkeys(found))


def _categories(resource: Json) -> tuple[str, ...]:
    """Codes and words of `category`, in lower case."""
    found = []
    for item in as_list(resource.get("category")):
        concept = read_concept(item)
        found += [
            concept.text,
            *(word for each in concept.codings for word in (each.code, each.display)),
        ]
    return tuple(dict.fromkeys(word.lower() for word in found if word))


def read_list_statement(concept: CodeableConcept, reading: Reading) -> Classification | None:
    """The classification of an entry that speaks of the whole list ("none known"), else None."""
    found = reading.terminology.classify(concept, "statement")
    return found if found.matches else None
