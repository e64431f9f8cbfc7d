"""FHIR CodeableConcepts as values, and what the terminology finds in them."""

from __future__ import annotations

from enum import StrEnum
from typing import NamedTuple

import msgspec

from cds.values.quantity import Quantity


# Tuples, since a concept is made and hashed for every entry of every record.
class Coding(NamedTuple):
    """FHIR Coding: "" where a part is absent."""

    system: str
    code: str
    display: str


class CodeableConcept(NamedTuple):
    """FHIR CodeableConcept; hashable. ``text`` is "" when absent."""

    codings: tuple[Coding, ...]
    text: str


def read_concept(value: object) -> CodeableConcept:
    """The concept in a CodeableConcept, a Coding, a list of either, or a plain string.

    Never raises: what has the wrong type reads as absent. The first text of a list counts, and
    an R5 CodeableReference is read through its ``concept``.
    """
    if isinstance(value, dict):
        inner = value.get("concept")
        return _read_one(inner if isinstance(inner, dict) else value)
    if isinstance(value, list):
        concepts = [read_concept(item) for item in value if not isinstance(item, list)]
        codings = tuple(coding for concept in concepts for coding in concept.codings)
        return CodeableConcept(codings, next((each.text for each in concepts if each.text), ""))
    return CodeableConcept((), _read_text(value))


def _read_one(value: dict[str, object]) -> CodeableConcept:
    if "coding" not in value and ("code" in value or "display" in value):
        return CodeableConcept(_read_codings(value), _read_text(value.get("text")))
    return CodeableConcept(_read_codings(value.get("coding")), _read_text(value.get("text")))


def _read_codings(value: object) -> tuple[Coding, ...]:
    items = value if isinstance(value, list) else [value]
    return tuple(coding for item in items if (coding := _read_coding(item)) is not None)


def _read_coding(value: object) -> Coding | None:
    if not isinstance(value, dict):
        return None
    coding = Coding(
        _read_text(value.get("system")),
        _read_text(value.get("code")),
        _read_text(value.get("display")),
    )
    return coding if coding.code or coding.display else None


def _read_text(value: object) -> str:
    """Stripped text. A number is tolerated, since some systems send codes unquoted."""
    if isinstance(value, str):
        return value.strip()
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else ""


class Certainty(StrEnum):
    """How a match was found, best first. CODE and NAME are definite."""

    CODE = "code"
    NAME = "name"
    TEXT = "text"
    SHAPE = "shape"
    CONFLICT = "conflict"

    @property
    def rank(self) -> int:
        """0 for the best certainty, counting up."""
        return _RANKS[self]


_RANKS = {certainty: rank for rank, certainty in enumerate(Certainty)}


class Match(msgspec.Struct, frozen=True):
    """One value set that a concept is in; ``evidence`` is a phrase for people."""

    valueset: str
    certainty: Certainty
    evidence: str


class Ingredient(msgspec.Struct, frozen=True):
    """One ingredient. ``strength`` is per ``per``, or per dose unit when ``per`` is None."""

    name: str
    strength: Quantity | None = None
    per: Quantity | None = None


class Product(msgspec.Struct, frozen=True):
    """What a product's name says; "" where it says nothing. ``name`` is as written.

    ``release`` is "extended", "patch", "depot" or "".
    """

    name: str
    ingredients: tuple[Ingredient, ...]
    form: str = ""
    route: str = ""
    release: str = ""
    brand: str = ""
    pack: bool = False


class Classification(msgspec.Struct, frozen=True):
    """What a concept is: its value sets, sorted by id, and the product that its words name.

    ``name`` is the best wording for people. ``readable`` is False when nothing says what it is
    (no words, and no code that settles it): *unclassified*. ``note`` tells of a disagreement, or
    of what would make an unreadable concept readable.
    """

    name: str
    matches: tuple[Match, ...]
    product: Product | None
    readable: bool
    note: str

    def match(self, valueset: str) -> Match | None:
        """The match for a value set, or None; sets that include others are expanded already."""
        for match in self.matches:
            if match.valueset == valueset:
                return match
        return None
