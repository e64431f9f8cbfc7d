"""The JSON Schema of a rule file, so that an editor completes and checks it."""

from __future__ import annotations

import json

from cds.rulebook.model import INDICATORS, KINDS
from cds.rulebook.rules import (
    CARD_KEYS,
    EVIDENCE_KEYS,
    HISTORY_KEYS,
    HOOKS,
    REMEMBER,
    RULE_KEYS,
    STATUSES,
)

_TEXT = {"type": "string"}
_SENTENCE = {"type": "string", "description": "a test in the rule language"}
_WORDS = {"anyOf": [_TEXT, {"type": "array", "items": _TEXT}]}


def _object(properties: dict[str, object], required: tuple[str, ...] = ()) -> dict[str, object]:
    found: dict[str, object] = {
        "type": "object",
        "properties": properties,
        "additionalProperties": False,
    }
    return {**found, "required": list(required)} if required else found


def _fact() -> dict[str, object]:
    kinds: dict[str, object] = dict.fromkeys(KINDS, _WORDS)
    extra = {
        "not": _WORDS,
        "is": _WORDS,
        "and": _WORDS,
        "where": {"type": "array", "items": _SENTENCE},
    }
    return {**_object({**kinds, **extra}), "minProperties": 1}


def _card() -> dict[str, object]:
    level = {
        "type": "object",
        "propertyNames": {"enum": list(INDICATORS)},
        "additionalProperties": _SENTENCE,
    }
    choice = {"type": "object", "additionalProperties": _SENTENCE}
    suggestion = _object(
        {
            "create": _TEXT,
            "update": _TEXT,
            "delete": _TEXT,
            "label": _TEXT,
            "set": {"type": "object", "additionalProperties": _TEXT},
            "if": _SENTENCE,
            "recommended": _TEXT,
        },
        ("label",),
    )
    special: dict[str, object] = {
        "indicator": {"enum": list(INDICATORS)},
        "levels": {"type": "array", "items": level},
        "wordings": {"type": "object", "additionalProperties": {"type": "array", "items": choice}},
        "suggest": {"type": "array", "items": suggestion},
        "overrides": _WORDS,
        "lists": _WORDS,
        "links": {
            "type": "array",
            "items": _object({"label": _TEXT, "page": _TEXT}, ("label", "page")),
        },
    }
    body = _object({key: special.get(key, _TEXT) for key in CARD_KEYS}, ("summary",))
    # What can be done about it: `cds lint` asks for one of the two.
    return {**body, "anyOf": [{"required": ["options"]}, {"required": ["suggest"]}]}


def rule_schema() -> dict[str, object]:
    """The schema as a JSON object (draft 2020-12)."""
    evidence = _object(
        dict.fromkeys(EVIDENCE_KEYS, _TEXT), ("statement", "source", "says", "strength")
    )
    special: dict[str, object] = {
        "id": {"type": "string", "pattern": "^[a-z][a-z0-9-]*\\.[a-z][a-z0-9-]*$"},
        "status": {"enum": list(STATUSES)},
        "default": {"enum": ["on", "off"]},
        "hooks": {"type": "array", "items": {"enum": list(HOOKS)}, "minItems": 1},
        "remember": {"type": "string", "pattern": f"^{REMEMBER.pattern}$"},
        "off-on": {"type": "array", "items": {"enum": list(HOOKS)}},
        "tags": _WORDS,
        "per": _WORDS,
        "facts": {"type": "object", "additionalProperties": _fact(), "minProperties": 1},
        "let": {
            "type": "object",
            "additionalProperties": {"type": "string", "description": "a value"},
        },
        "when": {"type": "array", "items": _SENTENCE, "minItems": 1},
        "unknown": _object({"defer": _TEXT, "count": {"enum": ["true", True]}}),
        "card": _card(),
        "evidence": {"type": "array", "items": evidence, "minItems": 1},
        "false-positives": _WORDS,
        "history": {
            "type": "array",
            "items": _object(dict.fromkeys(HISTORY_KEYS, _TEXT), HISTORY_KEYS),
        },
        "supersedes": _WORDS,
    }
    required = (
        "id", "title", "version", "owner", "reviewed", "audience", "hooks", "per", "problem",
        "facts", "when", "unknown", "card", "evidence",
    )  # fmt: skip
    body = _object({key: special.get(key, _TEXT) for key in RULE_KEYS}, required)
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "A rule",
        "description": "One clinical rule: the facts it is about, when it speaks, and its card.",
        **body,
    }


def render_schema() -> str:
    """The schema as indented JSON."""
    return json.dumps(rule_schema(), indent=2, ensure_ascii=False)
