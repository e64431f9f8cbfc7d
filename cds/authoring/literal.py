"""Literal FHIR inside a scenario, for what the shorthand has no words for.

YAML reaches us with every scalar as text, so a mapping's numbers and booleans are told by the
FHIR element they stand under. JSON text needs no such guess and is taken as it is.
"""

from __future__ import annotations

import json
from collections.abc import Mapping

from cds.authoring.fields import Json, ShorthandError
from cds.authoring.phrases import number

_COUNTS = frozenset(
    {
        "frequency", "frequencyMax", "period", "periodMax", "count", "countMax", "duration",
        "durationMax", "offset", "sequence", "numberOfRepeatsAllowed", "total", "minutesDuration",
        "valueInteger", "valueDecimal", "rank", "multipleBirthInteger", "priorityInteger",
    }
)  # fmt: skip
_QUANTITY_SIGNS = frozenset({"unit", "comparator"})
_QUANTITY_KEYS = frozenset(
    {
        "low", "high", "numerator", "denominator", "daysSupply", "dose", "quantity",
        "expectedSupplyDuration", "initialFill", "boundsDuration",
    }
)  # fmt: skip
_BOOLEANS = {"true": True, "false": False}


def read_literal(value: object, path: str) -> Json:
    """The resource, or part of one, that ``value`` (a mapping, or JSON text) spells out."""
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except ValueError as error:
            raise ShorthandError(
                path, f"not JSON: {error}", "a mapping, or a JSON object"
            ) from None
        if isinstance(value, dict):
            return value
    if isinstance(value, Mapping):
        return {key: _literal(key, content, value) for key, content in value.items()}
    raise ShorthandError(path, "must spell out FHIR", "a mapping, or a JSON object")


def _literal(key: str, value: object, parent: Mapping[str, object]) -> object:
    if isinstance(value, Mapping):
        inside = {**value, "unit": value.get("unit", "")} if _is_quantity(key) else value
        return {name: _literal(name, content, inside) for name, content in value.items()}
    if isinstance(value, list):
        return [_literal(key, item, parent) for item in value]
    if isinstance(value, str) and value in _BOOLEANS:
        return _BOOLEANS[value]
    if isinstance(value, str) and (
        key in _COUNTS or (key == "value" and _QUANTITY_SIGNS & set(parent))
    ):
        return _number_or_text(value)
    return value


def _is_quantity(key: str) -> bool:
    return key in _QUANTITY_KEYS or key.endswith("Quantity")


def _number_or_text(text: str) -> object:
    """A number where the text is one; else the text, since a scenario may be wrong on purpose."""
    try:
        return number(text)
    except ValueError:
        return text
