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
        "end": "last day of the latest exposure that has begun",
        "exposure": "the days on which it was taken",
        "possibility": "the days on which it may have been taken",
        "hint": "the days for which something indirect points to it",
        "dose": "the larger of single and daily dose",
        "dose-missing": "why the dose cannot be computed",
        "daily-dose": "dose a day, high end",
        "single-dose": "largest single dose, high end",
        "route": "how it is taken",
        "release": "extended, patch, depot",
        "certainty": "code, name, text, shape or conflict",
        "drafted": "yes or no",
        "on-hold": "yes if an order of the course is on hold",
        "says": "wordings found in its texts",
        "reason": "value sets of what the order says it is for",
        "reason-certainty": "code, name or text, of what the order says it is for",
        "stated-reason": "what the order says it is for, as written",
        "first-recent-day": "profile",
        "look-back": "profile",
        "washout": "profile",
        "usual-route": "profile",
    },
    "procedure": {
        **_COMMON,
        "start": "when it begins, the earliest if entries differ",
        "timed": "yes if a time of day is known",
        "dates-differ": "yes if its entries give different days",
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
    },
    "allergy": {
        **_COMMON,
        "clinical": "clinical status",
        "verification": "verification status",
        "modified": "yes or no",
        "certainty": "code or text",
    },
    "result": {
        **_COMMON,
        "value": "amount",
        "answer": "coded answer",
        "date": "when it was taken",
        "status": "as reported",
        "high": "upper limit of the reference range",
        "modified": "yes or no",
        "certainty": "code or text",
    },
    "statement": {**_COMMON, "status": "as recorded"},
    "source": {**_COMMON, "unseen": "yes if it was not answered"},
    "patient": {
        **_COMMON,
        "born": "date of birth",
        "sex": "administrative",
        "age": "completed years",
    },
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
