"""The words a sentence may use: what a kind of fact can be asked, how a word is understood."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum

from cds.rulebook.model import PSEUDO_CONCEPTS, KindDefinition

_COMMON = {
    "name": "what it is called",
    "source": "the resources it was read from",
    "because": "why it is uncertain",
}

PROPERTIES: Mapping[str, Mapping[str, str]] = {
    "medication": {
        **_COMMON,
        "start": "first day of the latest exposure; of a draft, from when it is to be taken",
        "began": "first day of the run of exposures that the latest one ends, pauses bridged",
        "end": "last day of the latest exposure that has begun",
        "exposure": "the days on which it was taken",
        "possibility": "the days on which it may have been taken",
        "hint": "the days for which something indirect points to it",
        "dose": "the larger of single and daily dose",
        "dose-missing": "why the dose cannot be computed",
        "daily-dose": "dose a day, high end",
        "single-dose": "largest single dose, high end",
        "text-dose": "the dose in its words, where that is another than the structured one",
        "written-unit": "the units that its doses are written in, as UCUM has them",
        "unit-strength": "strength of one unit, where the dose counts tablets or the like",
        "route": "how it is taken",
        "release": "extended, patch, depot",
        "certainty": "code, name, text, shape or conflict",
        "drafted": "yes or no",
        "on-hold": "yes if an order of the course is on hold",
        "at-bedtime": "yes if a dose is taken at bedtime, no if all are at other times",
        "says": "wordings found in its texts",
        "reason": "value sets of what the order says it is for",
        "reason-certainty": "code, name or text, of what the order says it is for",
        "stated-reason": "what the order says it is for, as written",
        "replaces": "the resources of the orders whose place it takes",
        "look-back": "profile",
        "free-from": "first day after the look-back of its latest exposure",
        "washout": "profile",
        "usual-route": "profile",
    },
    "procedure": {
        **_COMMON,
        "start": "when it begins, the earliest if entries differ",
        "timed": "yes if a time of day is known",
        "dates-differ": "yes if its entries give different days",
        "performed": "when it was done, the latest that its entries give",
        "ahead": "yes, no",
        "priority": "as ordered",
        "class": "of the encounter",
        "elective": "yes, no, absent, unreadable",
        "specialty": "value sets of the specialty that is to be seen",
        "topics": "words of the pack found in its codes, its texts and those of its day",
        "ordered": "yes if a drug that tells of it is ordered for the day",
        "evidence": "planned, possible, done, nothing",
        "drafted": "yes or no",
        "certainty": "code, name, text or shape",
        "says": "wordings found in its texts",
    },
    "condition": {
        **_COMMON,
        "clinical": "clinical status",
        "verification": "verification status",
        "category": "as recorded",
        "recorded": "date",
        "onset": "date",
        "abated": "date",
        "modified": "yes or no",
        "certainty": "code or text",
        "says": "wordings found in its texts",
        "concept": "the value sets that it is in",
    },
    "allergy": {
        **_COMMON,
        "clinical": "clinical status",
        "verification": "verification status",
        "type": "allergy, intolerance or absent",
        "criticality": "as recorded, or absent",
        "modified": "yes or no",
        "certainty": "code or text",
    },
    # A component with a code of its own is a result of its own, of its Observation's date, status.
    "result": {
        **_COMMON,
        "value": "amount or day; a range after a comparator or where only its ends are written; "
        "points of a coded answer; missing where it has none, with the reason if one is given",
        "answer": "value sets and words of a coded, written or yes/no answer; without any value "
        "those of its interpretation",
        "answer-text": "the answer in its own words",
        "interpretation": "codes (POS, NEG, H, ...) and words of the interpretation, or absent",
        "absent": "why it has no value, in words",
        "date": "when it was so (the end of a period), else when it was issued",
        "issued": "when it was issued",
        "status": "as reported",
        "low": "lower limit of what is normal; a range where several are given",
        "high": "upper limit of what is normal; a range where several are given",
        "modified": "yes or no",
        "certainty": "code or text",
        "concept": "the value sets that it is in",
    },
    "statement": {**_COMMON, "status": "as recorded"},
    # A dose that drafts of a class make follow on the dose taken before, phase by phase.
    "dose-step": {
        **_COMMON,
        "order": "the drafts that bring it, as in `order.source`",
        "start": "the day from which it is to be taken",
        "from": "the dose before it, the larger of single and daily; 0 mg where it is a first one",
        "to": "the dose from then on, the larger of single and daily",
        "increase": "by how much it is raised; below zero where it is lowered",
        "since-increase": "days since the last increase before it, a first dose included",
        "first": "yes if none was taken before it, or not for as long as the pack says",
    },
    "source": {**_COMMON, "unseen": "yes if it was not answered"},
    "patient": {
        **_COMMON,
        "born": "date of birth",
        "sex": "administrative",
        "age": "completed years",
    },
}

# Properties that always have an answer, be it that there is nothing; of the others a record may
# say nothing, or not enough.
_ALWAYS = frozenset({"name", "source", "because", "certainty", "says"})
TOLD: Mapping[str, frozenset[str]] = {
    "medication": _ALWAYS | {"dose-missing", "release", "drafted", "on-hold", "reason"},
    "procedure": _ALWAYS
    | {
        *("timed", "dates-differ", "priority", "class", "elective", "specialty", "topics"),
        *("ordered", "evidence", "drafted", "concept"),
    },
    "condition": _ALWAYS | {"clinical", "verification", "category", "modified"},
    "allergy": _ALWAYS | {"clinical", "verification", "type", "criticality", "modified"},
    "result": _ALWAYS
    | {"status", "modified", "interpretation", "absent", "answer-text", "concept"},
    "dose-step": _ALWAYS | {"order", "first"},
    "statement": _ALWAYS | {"status"},
    "source": _ALWAYS,
    "patient": _ALWAYS | {"sex"},
}

# Names that every sentence may use.
MOMENTS = frozenset({"today", "now"})
CALL = frozenset({"hook"})
COVERAGE = "coverage"


class Meaning(StrEnum):
    """How a word is understood: the pack's term, a profile's flag, or a value set."""

    TERM = "term"
    FLAG = "flag"
    CONCEPT = "concept"


def meaning_of(
    word: str, definition: KindDefinition | None, concepts: frozenset[str]
) -> Meaning | None:
    """How ``X is word`` is understood for a kind of fact; None when the word means nothing.

    A term of the pack comes first, then a profile's flag, then a value set.
    """
    if definition is not None:
        if word in definition.terms:
            return Meaning.TERM
        if any(word in profile.flags for profile in definition.profiles):
            return Meaning.FLAG
    return Meaning.CONCEPT if word in concepts or word in PSEUDO_CONCEPTS else None


def properties_of(kind: str, definition: KindDefinition | None) -> frozenset[str]:
    """The properties a fact of this kind can be asked, labels of the pack included."""
    labels = frozenset(definition.labels) if definition is not None else frozenset()
    return frozenset(PROPERTIES.get(kind, {})) | labels
