"""Scenarios: a few lines of YAML expanded into the FHIR R4 JSON that a real client would send.

No drug and no disease is known here: names and codes come from the pack's fixtures. Scenario,
fixtures and defaults arrive as mappings, lists and strings; no scalar has been guessed.
"""

from __future__ import annotations

from collections.abc import Mapping
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from cds.authoring.document import (
    HOOKS,
    STATES,
    bundle_document,
    check_places,
    request_document,
)
from cds.authoring.fields import ABSENT, Json, Setting, ShorthandError, named
from cds.authoring.items import Builder, Entry
from cds.authoring.literal import read_literal

__all__ = ["SCENARIO_KEYS", "ShorthandError", "expand"]

SCENARIO_KEYS = frozenset(
    {
        "id", "name", "why", "hook", "as", "as-of", "timezone", "given", "without", "select",
        "prefetch", "encounter", "context", "expect", "must-not", "enable", "disable", "shown",
        "config", "parameters", "engine", "tags", "note", "says", "says-not", "lines", "suggests",
        "unknown", "decided", "problems",
    }
)  # fmt: skip
"""What may stand in a scenario; what only its runner reads is accepted here and left alone."""

DEFAULT_KEYS = frozenset({"hook", "as-of", "timezone", "given", "prefetch", "encounter", "context"})
DRUGS = "drugs"
"""The fixture that is no item: a mapping from a drug's written name to its code or codes."""

_AUDIT = "audit"
# Hooks about an encounter name it (CDS Hooks 2.0, encounter-start and encounter-discharge).
_ENCOUNTER = "e1"


def expand(
    scenario: Mapping[str, object], fixtures: Mapping[str, object], defaults: Mapping[str, object]
) -> Json:
    """The input document of ``scenario``: a CDS Hooks request, or a Bundle.

    A Bundle comes of ``hook: audit`` or ``as: bundle``. ``defaults`` supplies what the scenario
    leaves out, and items that stand in every scenario unless ``without`` names them or the
    scenario has a resource of the same type and id. The same input gives the same document.
    Raises ShorthandError at the first thing that cannot be read.
    """
    name = scenario.get("name") or scenario.get("id")
    path = f"scenario {name!r}" if name else "scenario"
    _check_keys(scenario, SCENARIO_KEYS, path)
    _check_keys(defaults, DEFAULT_KEYS, "defaults")
    if not isinstance(name, str):
        raise ShorthandError(path, "has no name", "name: one line of text")
    merged = {**defaults, **scenario}
    entries = _entries(scenario, fixtures, defaults, _zone(merged, path), path)
    states = _states(defaults, "defaults") | _states(scenario, path)
    hook = _text(merged, "hook", path)
    if hook == _AUDIT or _text(merged, "as", path) == "bundle":
        return bundle_document(entries, states, path)
    if hook not in HOOKS:
        raise ShorthandError(f"{path}.hook", f"unknown hook {hook!r}", {*HOOKS, _AUDIT})
    check_places(hook, entries, f"{path}.given")
    context = _context(merged, hook, entries, path)
    return request_document(name, hook, context, entries, states)


def _entries(
    scenario: Mapping[str, object],
    fixtures: Mapping[str, object],
    defaults: Mapping[str, object],
    zone: ZoneInfo | None,
    path: str,
) -> list[Entry]:
    items = {key: value for key, value in fixtures.items() if key != DRUGS}
    builder = Builder(items, Setting(zone=zone, drugs=_mapping(fixtures, DRUGS, "fixtures")))
    own = list(builder.entries(scenario.get("given") or [], f"{path}.given"))
    usual = _usual(scenario, defaults, builder, path)
    taken = {entry.reference for entry in own}
    entries = [*(entry for entry in usual if entry.reference not in taken), *own]
    if not any(entry.resource_type == "Patient" for entry in entries):
        entries.insert(0, Entry({"resourceType": "Patient", "id": "p1"}, "record"))
    _check_links(builder.setting, entries)
    return sorted(entries, key=lambda entry: entry.resource_type != "Patient")


def _usual(
    scenario: Mapping[str, object], defaults: Mapping[str, object], builder: Builder, path: str
) -> list[Entry]:
    """The entries of every scenario, less those that this one does without."""
    given = _list(defaults, "given")
    without = [_item_name(item) for item in _list(scenario, "without")]
    if without == ["defaults"]:
        return []
    names = {_item_name(item) for item in given}
    for name in without:
        if name not in names:
            raise ShorthandError(f"{path}.without", f"{name!r} is no default", {"defaults", *names})
    kept = [item for item in given if _item_name(item) not in without]
    return list(builder.entries(kept, "defaults.given"))


def _context(merged: Mapping[str, object], hook: str, entries: list[Entry], path: str) -> Json:
    context: Json = {"userId": "Practitioner/u1", "patientId": "p1"}
    encounter = _text(merged, "encounter", path) or (
        _ENCOUNTER if hook.startswith("encounter-") else ""
    )
    if encounter and encounter != ABSENT:
        context["encounterId"] = encounter
    if hook == "order-select" and merged.get("select") != ABSENT:
        context["selections"] = _selections(merged, entries, path)
    extra = merged.get("context")
    return {**context, **(read_literal(extra, f"{path}.context") if extra else {})}


def _selections(merged: Mapping[str, object], entries: list[Entry], path: str) -> list[str]:
    """The references of the drafts that ``select`` names, by id or fixture; all when missing."""
    drafts = [entry for entry in entries if entry.place == "drafts"]
    if "select" not in merged:
        return [entry.reference for entry in drafts]
    selected: list[str] = []
    for name in _list(merged, "select"):
        found = [e.reference for e in drafts if name in (e.fixture, e.resource.get("id"))]
        if not found:
            accepted = {str(e.fixture or e.resource.get("id")) for e in drafts}
            raise ShorthandError(f"{path}.select", f"no draft is called {name!r}", accepted)
        selected += [reference for reference in found if reference not in selected]
    return selected


def _states(source: Mapping[str, object], path: str) -> dict[str, str]:
    states = {}
    for resource_type, state in _mapping(source, "prefetch", path).items():
        written = "null" if state is None else str(state)
        if written not in STATES:
            where = f"{path}.prefetch.{resource_type}"
            raise ShorthandError(where, f"unknown state {written!r}", STATES)
        states[resource_type] = written
    return states


def _check_links(setting: Setting, entries: list[Entry]) -> None:
    known = {entry.reference for entry in entries}
    for reference, path in setting.links:
        if reference not in known:
            resource_type, _, identity = reference.partition("/")
            same = sorted(k for k in known if k.startswith(f"{resource_type}/"))
            accepted = f"{reference} written out if it leads nowhere; or {', '.join(same)}"
            raise ShorthandError(path, f"no {resource_type} item has the id {identity!r}", accepted)


def _zone(merged: Mapping[str, object], path: str) -> ZoneInfo | None:
    name = _text(merged, "timezone", path)
    try:
        return ZoneInfo(name) if name else None
    except (ZoneInfoNotFoundError, ValueError):
        raise ShorthandError(f"{path}.timezone", f"unknown zone {name!r}", "an IANA name") from None


def _check_keys(source: Mapping[str, object], accepted: frozenset[str], path: str) -> None:
    unknown = set(source) - accepted
    if unknown:
        raise ShorthandError(path, f"unknown key {named(unknown, accepted)}", accepted)


def _text(source: Mapping[str, object], key: str, path: str) -> str:
    value = source.get(key)
    if value is None or isinstance(value, str):
        return value or ""
    raise ShorthandError(f"{path}.{key}", "must be one text", "a text")


def _list(source: Mapping[str, object], key: str) -> list[object]:
    value = source.get(key)
    return value if isinstance(value, list) else [] if value in (None, "") else [value]


def _mapping(source: Mapping[str, object], key: str, path: str) -> Mapping[str, object]:
    value = source.get(key)
    if value in (None, "") or isinstance(value, Mapping):
        return value if isinstance(value, Mapping) else {}
    raise ShorthandError(f"{path}.{key}", "must hold keys and values", "a mapping")


def _item_name(item: object) -> str:
    return str(next(iter(item), "")) if isinstance(item, Mapping) else str(item)
