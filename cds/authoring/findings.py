"""Items of the shorthand about the patient: the person, conditions, results, relatives."""

from __future__ import annotations

import re

from cds.authoring.fields import Fields, Json, filled
from cds.authoring.medications import notes
from cds.authoring.phrases import (
    coded,
    concept,
    concepts,
    hl7_concept,
    number,
    read_quantity,
    read_range,
    read_when,
)

CONDITION_KEYS = (
    "code", "text", "clinical", "verification", "category", "severity", "body-site", "encounter",
    "recorded", "onset", "abated", "note",
)  # fmt: skip
ALLERGY_KEYS = (
    "code", "text", "clinical", "verification", "type", "category", "criticality", "recorded",
    "onset", "reaction", "note",
)  # fmt: skip
# What a result and a component of one can say alike.
COMPONENT_KEYS = (
    "code", "text", "value", "value-text", "valuecode", "points", "interpretation", "data-absent",
    "lower-limit", "upper-limit", "ranges",
)  # fmt: skip
OBSERVATION_KEYS = (
    *COMPONENT_KEYS, "status", "category", "on", "instant", "times", "issued", "method",
    "components", "encounter", "note",
)  # fmt: skip
RANGE_KEYS = ("low", "high", "type", "text")
PATIENT_KEYS = ("born", "deceased", "sex", "active")
FAMILY_KEYS = ("code", "text", "relationship", "status", "on", "onset", "note")

VALUE_FORM = '"12 mL/min/1.73m2", "<5 U/L", "2-6 mg", "2", a date, yes, no, or a text'

_POINTS = "http://hl7.org/fhir/StructureDefinition/ordinalValue"
_INTERPRETATION = "v3-ObservationInterpretation"
_OBSERVATION_CATEGORIES = {
    "laboratory", "vital-signs", "social-history", "survey", "exam", "procedure", "imaging",
}  # fmt: skip
_DATE = re.compile(r"\d{4}-\d\d(-\d\d(T.*)?)?\Z")
_INTEGER = re.compile(r"\d+\Z")


def condition(fields: Fields) -> Json:
    """A Condition: active, confirmed, on the problem list, unless said otherwise."""
    return {
        **_clinical(fields, "condition"),
        "category": [_condition_category(fields)],
        "severity": concept(fields, "severity"),
        "code": coded(fields),
        "bodySite": concepts(fields, "body-site"),
        "subject": fields.subject(),
        "encounter": fields.reference("encounter", "Encounter"),
        **_dated(fields, "onset", "onset"),
        **_dated(fields, "abated", "abatement"),
        "recordedDate": fields.moment("recorded"),
        "note": notes(fields),
    }


def allergy(fields: Fields) -> Json:
    """An AllergyIntolerance: active and confirmed unless said otherwise."""
    reaction = concepts(fields, "reaction")
    return {
        **_clinical(fields, "allergyintolerance"),
        "type": fields.text("type"),
        "category": fields.texts("category"),
        "criticality": fields.text("criticality"),
        "code": coded(fields),
        "patient": fields.subject(),
        **_dated(fields, "onset", "onset"),
        "recordedDate": fields.moment("recorded"),
        "note": notes(fields),
        "reaction": [{"manifestation": reaction}] if reaction else None,
    }


def observation(fields: Fields) -> Json:
    """An Observation, final unless said otherwise; ``on`` is its effective date or period.

    ``instant`` and ``times`` are the other ways to say when. ``value-text`` stays a text whatever
    it looks like; ``points`` are what a coded answer is worth; ``ranges`` lists reference ranges
    where one, of ``lower-limit`` and ``upper-limit``, is not enough.
    """
    events = [fields.to_moment(text) for text in fields.texts("times")]
    return {
        "status": fields.text("status", "final"),
        "category": [_observation_category(fields)],
        "subject": fields.subject(),
        "encounter": fields.reference("encounter", "Encounter"),
        **read_when(fields, "on", "effective"),
        "effectiveInstant": fields.moment("instant"),
        "effectiveTiming": {"event": events} if events else None,
        "issued": fields.moment("issued"),
        **_result(fields),
        "note": notes(fields),
        "method": concept(fields, "method"),
        "component": [_component(fields, *each) for each in enumerate(fields.items("components"))],
    }


def patient(fields: Fields) -> Json:
    """A Patient; ``deceased`` is yes, no, a date or a time."""
    deceased = fields.text("deceased")
    dated = deceased is not None and deceased[:1].isdigit()
    return {
        "active": fields.flag("active"),
        "gender": fields.text("sex"),
        "birthDate": fields.moment("born"),
        "deceasedDateTime": fields.moment("deceased") if dated else None,
        "deceasedBoolean": None if dated else fields.flag("deceased"),
    }


def family_history(fields: Fields) -> Json:
    """A FamilyMemberHistory of one relative and one condition."""
    relative = concept(fields, "relationship")
    if "relationship" not in fields.values:
        relative = hl7_concept("FAMMEMB", "v3-RoleCode")
    found = filled({"code": coded(fields), **_dated(fields, "onset", "onset")})
    return {
        "status": fields.text("status", "completed"),
        "patient": fields.subject(),
        "date": fields.moment("on"),
        "relationship": relative,
        "condition": [found] if found else None,
        "note": notes(fields),
    }


def _clinical(fields: Fields, prefix: str) -> Json:
    verification = fields.text("verification", "confirmed")
    # An entry made in error has no clinical status (con-5, ait-2).
    default = None if verification == "entered-in-error" else "active"
    clinical = fields.text("clinical", default)
    verified = "ver-status" if prefix == "condition" else "verification"
    return {
        "clinicalStatus": hl7_concept(clinical, f"{prefix}-clinical"),
        "verificationStatus": hl7_concept(verification, f"{prefix}-{verified}"),
    }


def _condition_category(fields: Fields) -> Json | None:
    category = fields.text("category", "problem-list-item")
    if category in {"problem-list-item", "encounter-diagnosis"}:
        return hl7_concept(category, "condition-category")
    return concept(fields, "category")


def _observation_category(fields: Fields) -> Json | None:
    category = fields.text("category")
    if category in _OBSERVATION_CATEGORIES:
        return hl7_concept(category, "observation-category")
    return concept(fields, "category")


def _dated(fields: Fields, key: str, stem: str) -> Json:
    """``stemDateTime`` or ``stemPeriod`` for what begins like a date, ``stemString`` otherwise."""
    text = fields.text(key)
    if text is None or text[:4].isdigit() or ".." in text:
        return read_when(fields, key, stem)
    return {f"{stem}String": text}


def _result(fields: Fields) -> Json:
    interpretation = fields.text("interpretation")
    plain = interpretation is not None and " " not in interpretation
    judged = (
        [hl7_concept(interpretation, _INTERPRETATION)]
        if plain
        else concepts(fields, "interpretation")
    )
    return {
        "code": coded(fields),
        **_value(fields),
        "dataAbsentReason": hl7_concept(fields.text("data-absent"), "data-absent-reason"),
        "interpretation": judged,
        "referenceRange": _reference_ranges(fields),
    }


def _value(fields: Fields) -> Json:
    """``value[x]``, of the type that the text looks like; codes come from ``valuecode``."""
    points = fields.parse("points", lambda text: {"valueDecimal": number(text)}, '"2"')
    if fields.has("valuecode"):
        return {"valueCodeableConcept": _answer(fields, points)}
    if fields.has("value-text"):
        return {"valueString": fields.text("value-text")}
    text = fields.text("value")
    return {} if text is None else _typed_value(fields, text)


def _answer(fields: Fields, points: Json | None) -> Json | None:
    """A coded answer, with the points that it is worth on its coding."""
    found = concept(fields, "valuecode")
    if found is None or points is None:
        return found
    codings = found.get("coding")
    first = codings[0] if isinstance(codings, list) and codings else {}
    return {**found, "coding": [{**first, "extension": [{"url": _POINTS, **points}]}]}


def _typed_value(fields: Fields, text: str) -> Json:
    if text in {"yes", "no", "true", "false"}:
        return {"valueBoolean": fields.flag("value")}
    if _INTEGER.match(text):
        return {"valueInteger": number(text)}
    if _DATE.match(text):
        return {"valueDateTime": fields.moment("value")}
    limits = read_range(text)
    if limits is not None:
        return {"valueRange": limits}
    try:
        return {"valueQuantity": read_quantity(text)}
    except ValueError:
        return {"valueString": text}


def _component(fields: Fields, place: int, values: object) -> Json:
    if not isinstance(values, dict):
        raise fields.error("components", "each component is a mapping", COMPONENT_KEYS)
    path = f"{fields.path}.components[{place}]"
    return filled(_result(Fields(values, COMPONENT_KEYS, path, fields.setting)))


def _reference_ranges(fields: Fields) -> list[Json]:
    one = filled(
        {
            "low": fields.parse("lower-limit", read_quantity, '"7 U/L"'),
            "high": fields.parse("upper-limit", read_quantity, '"40 U/L"'),
        }
    )
    several = [_range(fields, *each) for each in enumerate(fields.items("ranges"))]
    return [*([one] if one else []), *several]


def _range(fields: Fields, place: int, values: object) -> Json:
    """One of several reference ranges: ``{low: 7 U/L, high: 40 U/L, type: normal, text: 7-40}``."""
    if not isinstance(values, dict):
        raise fields.error("ranges", "each range is a mapping", RANGE_KEYS)
    own = Fields(values, RANGE_KEYS, f"{fields.path}.ranges[{place}]", fields.setting)
    return filled(
        {
            "low": own.parse("low", read_quantity, '"7 U/L"'),
            "high": own.parse("high", read_quantity, '"40 U/L"'),
            "type": hl7_concept(own.text("type"), "referencerange-meaning"),
            "text": own.text("text"),
        }
    )
