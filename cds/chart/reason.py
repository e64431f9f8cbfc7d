"""Reads what an order says that it is for.

FHIR R4 `reasonCode` and `reasonReference`, R5 `reason` (a CodeableReference). A reference counts as
long as the Condition that it names stands: one that is refuted, an error, or not confirmed is no
reason that the order gives; what it is worth is judged where it stands on the record itself.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from cds.chart.fields import Json, as_list, as_object, as_text, code_of, reference_of
from cds.chart.references import Index, relative
from cds.terminology.concept import Classification, CodeableConcept, read_concept
from cds.terminology.terminology import Terminology

REASON_LINKS = ("reasonReference", "reason")
"""The elements of an order that may refer to a diagnosis."""

# R4 and STU3; DSTU2 of an order; DSTU2 of a statement.
_CODES = ("reasonCode", "reasonCodeableConcept", "reasonForUseCodeableConcept")
_STANDS = ("", "confirmed")
# What a Reference without a literal one may name its target by.
_NAMING = frozenset({"identifier", "display"})


class Reasons(NamedTuple):
    """What an order is for, as classified; ``lost``: a diagnosis it refers to is not there."""

    found: tuple[Classification, ...] = ()
    lost: bool = False


def read_reasons(resource: Json, terminology: Terminology, index: Index) -> Reasons:
    """The reasons that an order gives; empty when it gives none. Never raises."""
    concepts = [read_concept(item) for name in _CODES for item in as_list(resource.get(name))]
    lost = False
    for reference in _references(resource):
        concept = _referred(reference, resource, index)
        if concept is not None:
            concepts.append(concept)
        elif index.resolve(reference, resource) is None and _may_be_diagnosis(reference):
            lost = True
    concepts += [
        read_concept(item)
        for item in as_list(resource.get("reason"))
        if as_object(item).get("concept") is not None
    ]
    found = (terminology.classify(concept, "condition") for concept in concepts)
    return Reasons(tuple(reason for reason in found if reason.name), lost)


def _references(resource: Json) -> Iterator[object]:
    """The References, R5's out of their CodeableReferences."""
    for item in as_list(resource.get("reasonReference")) + as_list(resource.get("reason")):
        inner = as_object(item).get("reference")
        reference = inner if isinstance(inner, dict) else item
        if reference_of(reference) or not _NAMING.isdisjoint(as_object(reference)):
            yield reference


def _referred(reference: object, holder: Json, index: Index) -> CodeableConcept | None:
    """The diagnosis that a Reference names; its display where that is all there is of it."""
    target = index.resolve(reference, holder)
    if target is None:
        display = as_text(as_object(reference).get("display"))
        return CodeableConcept((), display) if display and _may_be_diagnosis(reference) else None
    stands = code_of(target.get("verificationStatus")) in _STANDS
    if target.get("resourceType") == "Condition" and stands:
        return read_concept(target.get("code"))
    return None


def _may_be_diagnosis(reference: object) -> bool:
    """Whether a Reference that leads nowhere may be one to a Condition."""
    kind, slash, _ = relative(reference_of(reference)).partition("/")
    said = as_text(as_object(reference).get("type")) or (kind if slash else "")
    return said in ("", "Condition")


def diagnoses_of(resource: Json) -> set[str]:
    """What an order refers to as its reason, as written and as ``Type/id``."""
    found = {reference_of(item) for item in _references(resource)}
    return (found | {relative(reference) for reference in found}) - {""}
