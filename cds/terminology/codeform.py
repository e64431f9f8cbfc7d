"""The form of codes: check digits, partitions and shapes of the code systems that have them.

A code system is named by its canonical FHIR URI; its short name is the pack's own.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

import msgspec

from cds.terminology.system import Systems


class FormError(msgspec.Struct, frozen=True):
    """What is wrong with a code, and what would be accepted."""

    what: str
    accepted: str


# Verhoeff's tables: the dihedral group of ten elements, and its permutation (SNOMED CT Technical
# Implementation Guide, "Check-digit computation").
_TURN = tuple(
    tuple((a + b) % 5 if b < 5 else 5 + (a + b) % 5 for b in range(10))
    if a < 5
    else tuple(5 + (a - b) % 5 if b < 5 else (a - b) % 5 for b in range(10))
    for a in range(10)
)
_FIRST = (1, 5, 7, 6, 2, 8, 3, 0, 9, 4)


def _permuted(digit: int, times: int) -> int:
    for _ in range(times):
        digit = _FIRST[digit]
    return digit


_SHIFTED = tuple(tuple(_permuted(digit, row) for digit in range(10)) for row in range(8))


def verhoeff_digit(digits: str) -> int:
    """The check digit that Verhoeff's scheme appends to the digits."""
    check = 0
    for place, digit in enumerate(reversed(digits), 1):
        check = _TURN[check][_SHIFTED[place % 8][int(digit)]]
    return next(digit for digit in range(10) if _TURN[check][digit] == 0)


def mod10_digit(digits: str) -> int:
    """The check digit of the mod 10 scheme: every second digit, from the right, doubled."""
    total = 0
    for place, digit in enumerate(reversed(digits)):
        doubled = int(digit) * (2 if place % 2 == 0 else 1)
        total += doubled - 9 if doubled > 9 else doubled
    return -total % 10


_SCTID = re.compile(r"[1-9]\d{5,17}")
_CONCEPTS = {"00": 6, "10": 11}  # partition of concepts -> fewest digits of such an identifier
_PARTITIONS = {"01": "a description", "02": "a relationship", "11": "a description"}
_PARTITIONS["12"] = "a relationship"


def _snomed(code: str) -> FormError | None:
    if not _SCTID.fullmatch(code):
        return FormError(f"'{code}' is no SNOMED CT identifier", "6 to 18 digits")
    expected = verhoeff_digit(code[:-1])
    if int(code[-1]) != expected:
        return FormError(
            f"'{code}' has a wrong check digit", f"{code[:-1]}{expected}, if that is it"
        )
    partition = code[-3:-1]
    if len(code) < _CONCEPTS.get(partition, 99):
        kind = _PARTITIONS.get(partition, "no concept")
        what = f"'{code}' is the identifier of {kind} (partition {partition})"
        return FormError(what, "a concept: partition 00, or 10 of an extension")
    return None


_LOINC = re.compile(r"(\d{1,7})-(\d)")
_LOINC_PART = re.compile(r"L[A-Z]\d+-\d")  # parts and answers reckon their digit otherwise


def _loinc(code: str) -> FormError | None:
    if _LOINC_PART.fullmatch(code):
        return None
    found = _LOINC.fullmatch(code)
    if found is None:
        return FormError(f"'{code}' is no LOINC code", "digits, a hyphen and a check digit")
    expected = mod10_digit(found[1])
    if int(found[2]) != expected:
        return FormError(
            f"'{code}' has a wrong check digit", f"{code[:-1]}{expected}, if that is it"
        )
    return None


def _shape(name: str, pattern: str, accepted: str) -> Callable[[str], FormError | None]:
    compiled = re.compile(pattern)

    def check(code: str) -> FormError | None:
        if compiled.fullmatch(code):
            return None
        return FormError(f"'{code}' is no {name}", accepted)

    return check


class Form(msgspec.Struct, frozen=True):
    """How a system's codes are checked, and the beginnings of codes; None: it has no hierarchy."""

    code: Callable[[str], FormError | None]
    prefix: Callable[[str], FormError | None] | None = None


_CM = Form(
    _shape(
        "ICD-10-CM code",
        r"[A-Z]\d[0-9AB](?:\.[0-9A-Z]{1,4})?",
        "a letter, a digit, a digit or letter; then a dot and up to four more",
    ),
    _shape(
        "beginning of ICD-10-CM codes",
        r"[A-Z](?:\d(?:[0-9AB](?:\.[0-9A-Z]{1,4})?)?)?",
        "up to three characters; then a dot and up to four more",
    ),
)
_PCS = Form(
    _shape("ICD-10-PCS code", r"[0-9A-HJ-NP-Z]{7}", "seven digits or letters, no I and no O"),
    _shape("beginning of ICD-10-PCS codes", r"[0-9A-HJ-NP-Z]{1,7}", "up to seven of them"),
)
_ATC_SHAPE = r"[A-Z](?:\d\d(?:[A-Z](?:[A-Z](?:\d\d)?)?)?)?"
_ATC = Form(
    _shape("ATC code", _ATC_SHAPE, "a letter, two digits, two letters, two digits"),
    _shape("beginning of ATC codes", _ATC_SHAPE, "a level: 1, 3, 4, 5 or 7 characters"),
)
_RXNORM = Form(_shape("RxNorm identifier", r"[1-9]\d{0,7}", "up to eight digits, not from 0"))
_FORMS: Mapping[str, Form] = {
    "http://snomed.info/sct": Form(_snomed),
    "http://loinc.org": Form(_loinc),
    "http://www.nlm.nih.gov/research/umls/rxnorm": _RXNORM,
    "http://hl7.org/fhir/sid/icd-10-cm": _CM,
    "http://www.cms.gov/Medicare/Coding/ICD10": _PCS,
    "http://www.whocc.no/atc": _ATC,
}


def forms(systems: Systems) -> dict[str, Form]:
    """The forms that can be checked, by the short names of a pack's table of systems."""
    named = {systems.short(uri): form for uri, form in _FORMS.items()}
    return {short: form for short, form in named.items() if short}
