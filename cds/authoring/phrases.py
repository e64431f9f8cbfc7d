"""Amounts, durations, periods and codes as an author writes them, turned into FHIR R4 datatypes.

Every ``read_`` function takes a phrase and returns the datatype as JSON; it raises ValueError on a
phrase that it does not know. Numbers come out as int or float, with exactly the written value.
"""

from __future__ import annotations

import re
from decimal import Decimal, InvalidOperation

from cds.authoring.fields import Fields, Json, filled

UCUM = "http://unitsofmeasure.org"

_TERMINOLOGY = "http://terminology.hl7.org/CodeSystem/"
SYSTEMS = {
    "rxnorm": "http://www.nlm.nih.gov/research/umls/rxnorm",
    "ndc": "http://hl7.org/fhir/sid/ndc",
    "snomed": "http://snomed.info/sct",
    "hgnc": "http://www.genenames.org",
    "hgvs": "http://varnomen.hgvs.org",
    "dbsnp": "http://www.ncbi.nlm.nih.gov/projects/SNP",
    "icd10": "http://hl7.org/fhir/sid/icd-10-cm",
    "icd10-who": "http://hl7.org/fhir/sid/icd-10",
    "icd10-pcs": "http://www.cms.gov/Medicare/Coding/ICD10",
    "icd9": "http://hl7.org/fhir/sid/icd-9-cm",
    "loinc": "http://loinc.org",
    "cpt": "http://www.ama-assn.org/go/cpt",
    "hcpcs": "https://www.cms.gov/Medicare/Coding/HCPCSReleaseCodeSets",
    "cvx": "http://hl7.org/fhir/sid/cvx",
    "atc": "http://www.whocc.no/atc",
    "dmd": "https://dmd.nhs.uk",
    "unii": "http://fdasis.nlm.nih.gov",
    "ips": "http://hl7.org/fhir/uv/ips/CodeSystem/absent-unknown-uv-ips",
    "local": "https://example.org/fhir/CodeSystem/local",
}
"""The short names of code systems; ``v3-…``, ``v2-…``, ``hl7-…`` and any URI are accepted too."""

CODE_FORM = (
    'SYSTEM CODE [DISPLAY], with "-" for no code; SYSTEM is a URI, v3-…, v2-…, hl7-… or one of '
)
CODE_FORM += ", ".join(sorted(SYSTEMS))

# As written, and as UCUM has it. Words that are not here, have no slash and are no countable
# thing (which UCUM writes as an annotation) go out as a unit without a code.
_UNIT_CODES = {
    "mg": "mg", "g": "g", "kg": "kg", "ug": "ug", "ng": "ng", "mL": "mL", "L": "L", "%": "%",
    "h": "h", "d": "d", "cm": "cm", "mmol": "mmol", "IU": "[IU]", "ml": "mL", "mcg": "ug",
    "\u00b5g": "ug", "\u03bcg": "ug", "microgram": "ug", "micrograms": "ug", "milligram": "mg",
    "milligrams": "mg", "mL/min/1.73m2": "mL/min/{1.73_m2}",
}  # fmt: skip
_COUNTABLE = re.compile(
    r"(tablet|capsule|patch|drop|spray|puff|film|syringe|vial|implant|dose|kit)(e?s)?\Z"
)
_TIME_UNITS = {
    "second": "s", "minute": "min", "hour": "h", "day": "d", "week": "wk", "month": "mo",
    "year": "a",
}  # fmt: skip
_NUMBER = r"\d+(?:\.\d+)?"
_QUANTITY = re.compile(rf"(<=|>=|<|>)?\s*({_NUMBER})(?:\s+(.+))?\Z")
_RANGE = re.compile(rf"({_NUMBER})\s*-\s*({_NUMBER})\s+(.+)\Z")


def number(text: str) -> int | float:
    """``text`` as a JSON number of exactly that value; ValueError where a float cannot hold it."""
    try:
        exact = Decimal(text)
    except InvalidOperation:
        raise ValueError(f"{text}: no number") from None
    if exact == exact.to_integral_value():
        return int(exact)
    if Decimal(repr(float(exact))) != exact:
        raise ValueError(f"{text}: too many digits")
    return float(exact)


def time_unit(word: str) -> str:
    """The UCUM code of a unit of time: ``days`` gives ``d``. KeyError for another word."""
    return _TIME_UNITS[word.removesuffix("s")]


def read_quantity(phrase: str) -> Json:
    """A Quantity: "2.5 mg", "1 tablet", "<5 U/L", "12"."""
    match = _QUANTITY.match(phrase)
    if match is None:
        raise ValueError(phrase)
    comparator, amount, unit = match.groups()
    return filled({"comparator": comparator}) | {"value": number(amount)} | _unit(unit)


def read_range(phrase: str) -> Json | None:
    """A Range for "2-6 mg"; None when the phrase is none."""
    match = _RANGE.match(phrase)
    if match is None:
        return None
    low, high, unit = match.groups()
    return {
        "low": {"value": number(low), **_unit(unit)},
        "high": {"value": number(high), **_unit(unit)},
    }


def read_duration(phrase: str) -> Json:
    """A Duration (or a Quantity of time) for "10 days", "36 hours"."""
    amount, _, word = phrase.partition(" ")
    try:
        code = time_unit(word)
    except KeyError:
        raise ValueError(phrase) from None
    return {"value": number(amount), "unit": word, "system": UCUM, "code": code}


def read_strength(phrase: str) -> Json:
    """A Ratio for an ingredient's strength: "2.5 mg" (in one unit), "1 mg/mL", "20 mg/1 tablet"."""
    above, _, below = phrase.partition("/")
    if below and not below.strip()[:1].isdigit():
        below = f"1 {below.strip()}"
    return {
        "numerator": read_quantity(above.strip()),
        "denominator": read_quantity(below.strip()) if below else {"value": 1},
    }


def read_when(fields: Fields, key: str, stem: str) -> Json:
    """``stemDateTime`` for a date or time, ``stemPeriod`` for "a..b" (an end may be missing)."""
    text = fields.text(key)
    if text is None:
        return {}
    if ".." in text:
        return {f"{stem}Period": read_period(fields, key)}
    return {f"{stem}DateTime": fields.moment(key)}


def read_period(fields: Fields, key: str) -> Json | None:
    """A Period for "a..b", "a.." or "..b"."""

    def reader(text: str) -> Json:
        start, dots, end = text.partition("..")
        if not dots or not (start or end):
            raise ValueError(text)
        ends = {"start": start.strip(), "end": end.strip()}
        return {name: fields.to_moment(moment) for name, moment in ends.items() if moment}

    return fields.parse(key, reader, "START..END, START.. or ..END")


def read_coding(phrase: str) -> Json:
    """A Coding for "loinc 1234-5 Name": system, code, display."""
    name, _, rest = phrase.partition(" ")
    code, _, display = rest.strip().partition(" ")
    system = _system(name)
    if system is None or not code:
        raise ValueError(phrase)
    return filled({"system": system, "code": code if code != "-" else "", "display": display})


def read_concept(phrase: str) -> Json:
    """A CodeableConcept: coded where the phrase begins with a code system, text otherwise.

    ``local`` is a plain word here, so that a note may begin with it; its URI still works.
    """
    name = phrase.partition(" ")[0]
    if name == "local" or _system(name) is None:
        return {"text": phrase}
    coding = read_coding(phrase)
    return filled({"coding": [coding], "text": coding.get("display")})


def coded(fields: Fields, key: str = "code", text_key: str = "text") -> Json | None:
    """The CodeableConcept of codes under ``key`` and words under ``text_key``; None if neither."""
    codings: list[Json] = []
    for phrase in fields.texts(key):
        try:
            codings.append(read_coding(phrase))
        except ValueError:
            raise fields.error(key, f"cannot read {phrase!r} as a code", CODE_FORM) from None
    text = fields.text(text_key) or (codings[0].get("display") if codings else None)
    return filled({"coding": codings, "text": text}) or None


def concepts(fields: Fields, key: str) -> list[Json]:
    """The CodeableConcepts under ``key``, each a code or a text."""
    try:
        return [read_concept(phrase) for phrase in fields.texts(key)]
    except ValueError:
        raise fields.error(key, "cannot read a code", CODE_FORM) from None


def concept(fields: Fields, key: str) -> Json | None:
    """The one CodeableConcept under ``key``, or None."""
    return next(iter(concepts(fields, key)), None)


def hl7_concept(code: str | None, system: str) -> Json | None:
    """A CodeableConcept of a code system of HL7's terminology site, named by its last part."""
    return {"coding": [{"system": _TERMINOLOGY + system, "code": code}]} if code else None


def _system(name: str) -> str | None:
    if "://" in name or name.startswith("urn:"):
        return name
    if name.startswith(("v3-", "v2-")):
        return _TERMINOLOGY + name
    return _TERMINOLOGY + name[4:] if name.startswith("hl7-") else SYSTEMS.get(name)


def _unit(unit: str | None) -> Json:
    if unit is None:
        return {}
    countable = _COUNTABLE.match(unit)
    if countable:
        return {"unit": countable[1], "system": UCUM, "code": f"{{{countable[1]}}}"}
    code = _UNIT_CODES.get(unit) or (unit if "/" in unit else None)
    return {"unit": unit, "system": UCUM, "code": code} if code else {"unit": unit}
