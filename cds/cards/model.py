"""The CDS Hooks 2.0 response: cards, suggestions, actions, links, reasons to override.

Every class is frozen and cannot be made of what the standard does not allow (ValueError, naming
the element). ``as_json`` leaves out whatever is empty: the standard wants no null, no empty string,
list or object, except ``cards: []``. See https://cds-hooks.hl7.org/2.0/#cds-service-response; the
same is written down for clients in ``cds.hooks.contract``.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from decimal import Decimal
from typing import Any, Literal

import msgspec

SUMMARY_LIMIT = 139
"""The most characters a summary may have: the standard says fewer than 140."""

_REVERSE_DOMAIN = re.compile(r"[A-Za-z][A-Za-z0-9-]*(\.[A-Za-z0-9_-]+)+\Z")
# Clients give drafts ids beyond FHIR's own grammar; a card must be able to name them.
_RELATIVE_REFERENCE = re.compile(r"[A-Z][A-Za-z]*/[^\s/]+\Z")
_UUID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}\Z")
_SURROGATES = re.compile("[\ud800-\udfff]")


class Element(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """Any object of the protocol; each may carry an ``extension``."""

    extension: dict[str, Any] | None = None

    def __post_init__(self) -> None:
        """Raises ValueError where the standard does not allow the object."""
        for key, content in (self.extension or {}).items():
            if not _REVERSE_DOMAIN.match(key):
                what = f"extension: {key!r} is no reverse-domain name such as org.example.x"
                raise ValueError(what)
            if not isinstance(content, dict):
                raise ValueError(f"extension: {key!r} must hold a JSON object")  # noqa: TRY004

    def as_json(self) -> dict[str, Any]:
        """The object under its wire names, in the order of the standard, without what is empty.

        Numbers stay what they are (Decimal included: see ``cds.cards.wire``). Not-a-number and
        infinity, which JSON cannot say, count as empty. ``extension`` comes last.
        """
        wire = {}
        for name, wire_name in zip(
            self.__struct_fields__, self.__struct_encode_fields__, strict=True
        ):
            value = _json_value(getattr(self, name))
            if not _is_empty(value):
                wire[wire_name] = value
        if "extension" in wire:
            wire["extension"] = wire.pop("extension")
        return wire


class Coding(Element, frozen=True, kw_only=True):
    """A code of a code system. The standard requires ``system`` and ``code``."""

    system: str
    code: str
    display: str | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        _filled(self, "system", "code", "display")


class OverrideReason(Coding, frozen=True, kw_only=True):
    """A reason that a clinician may pick for not following a card; it must have a display."""

    display: str

    def __post_init__(self) -> None:
        super().__post_init__()
        _one_line("display", self.display)


class Source(Element, frozen=True, kw_only=True):
    """Who says so: a label, and where more can be read."""

    label: str
    url: str | None = None
    icon: str | None = None
    topic: Coding | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        _one_line("label", self.label)
        _filled(self, "url", "icon")


class Link(Element, frozen=True, kw_only=True):
    """A link to a page, or to a SMART app (only then with ``app_context``)."""

    label: str
    url: str
    type: Literal["absolute", "smart"]
    app_context: str | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        _one_line("label", self.label)
        _one_of("type", self.type, "absolute", "smart")
        _filled(self, "url", "app_context")
        if self.app_context is not None and self.type != "smart":
            raise ValueError("appContext is allowed only on a link of type smart")


class Action(Element, frozen=True, kw_only=True):
    """One change: ``create`` and ``update`` hold the whole resource, ``delete`` only its id."""

    type: Literal["create", "update", "delete"]
    description: str
    resource: dict[str, Any] | None = None
    resource_id: str | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        _one_of("type", self.type, "create", "update", "delete")
        _one_line("description", self.description)
        if self.type == "delete":
            if self.resource_id is None or self.resource is not None:
                raise ValueError("a delete needs resourceId (Type/id), and no resource")
            if not is_relative_reference(self.resource_id):
                what = f"resourceId: {self.resource_id!r} is no relative reference"
                raise ValueError(f"{what} such as MedicationRequest/123")
        elif self.resource is None or self.resource_id is not None:
            raise ValueError(f"a {self.type} needs the whole resource, and no resourceId")
        elif not (isinstance(kind := self.resource.get("resourceType"), str) and kind):
            raise ValueError("resource: it must name its resourceType")


class Suggestion(Element, frozen=True, kw_only=True):
    """Something that can be accepted with one click; all of its actions belong together."""

    label: str
    uuid: str | None = None
    is_recommended: bool | None = None
    actions: tuple[Action, ...] = ()

    def __post_init__(self) -> None:
        super().__post_init__()
        _one_line("label", self.label)
        _canonical(self.uuid)


class Card(Element, frozen=True, kw_only=True):
    """One card. Suggestions and the way they may be chosen come together or not at all."""

    uuid: str | None = None
    summary: str
    detail: str | None = None
    indicator: Literal["info", "warning", "critical"]
    source: Source
    suggestions: tuple[Suggestion, ...] = ()
    selection_behavior: Literal["at-most-one", "any"] | None = None
    override_reasons: tuple[OverrideReason, ...] = ()
    links: tuple[Link, ...] = ()

    def __post_init__(self) -> None:
        super().__post_init__()
        _canonical(self.uuid)
        _one_line("summary", self.summary)
        if len(self.summary) > SUMMARY_LIMIT:
            raise ValueError(f"summary: at most {SUMMARY_LIMIT} characters")
        _filled(self, "detail")
        _one_of("indicator", self.indicator, "info", "warning", "critical")
        _one_of("selectionBehavior", self.selection_behavior, "at-most-one", "any", None)
        if bool(self.suggestions) != (self.selection_behavior is not None):
            raise ValueError("selectionBehavior is required with suggestions, and only with them")
        recommended = sum(bool(suggestion.is_recommended) for suggestion in self.suggestions)
        if self.selection_behavior == "at-most-one" and recommended > 1:
            raise ValueError("at most one suggestion may be recommended when at-most-one")


class Response(Element, frozen=True, kw_only=True):
    """The answer of a service. It never carries system actions: nothing is changed unasked."""

    cards: tuple[Card, ...] = ()

    def as_json(self) -> dict[str, Any]:
        """The answer as JSON; ``cards`` stands there even when it is empty."""
        return {"cards": [], **super().as_json()}


# -- what an element may hold --------------------------------------------------------------------


def is_relative_reference(text: str) -> bool:
    """Whether it is ``Type/id``, with an id that a client can look for."""
    return _RELATIVE_REFERENCE.match(text) is not None


def _filled(element: Element, *names: str) -> None:
    """A text that is there says something."""
    for name in names:
        if getattr(element, name) == "":
            raise ValueError(f"{name}: must not be empty")


def _one_line(name: str, text: str | None) -> None:
    if not text or not text.strip() or not text.isprintable():
        raise ValueError(f"{name}: must be one line of printable text")


def _one_of(name: str, value: str | None, *accepted: str | None) -> None:
    if value not in accepted:
        *others, last = [repr(item) for item in accepted if item is not None]
        raise ValueError(f"{name}: must be {', '.join(others)} or {last}")


def _canonical(uuid: str | None) -> None:
    if uuid is not None and _UUID.match(uuid) is None:
        raise ValueError(f"uuid: {uuid!r} is no UUID in its canonical form")


# -- the wire ------------------------------------------------------------------------------------


def _json_value(value: object) -> object:
    if isinstance(value, str):
        # A lone surrogate is legal in JSON escapes and cannot be written as UTF-8.
        return value if value.isascii() else _SURROGATES.sub("\ufffd", value)
    if isinstance(value, (list, tuple)):
        return [item for item in map(_json_value, value) if not _is_empty(item)]
    if isinstance(value, Element):
        return value.as_json()
    # A dict comes first: to ask an abstract class takes longer than all the rest.
    if isinstance(value, (dict, Mapping)):
        return _json_object(value)
    return value


def _json_object(value: Mapping[str, object]) -> dict[str, object]:
    wire: dict[str, object] = {}
    for key, content in value.items():
        if isinstance(content, list) and _has_companion(value, key):
            wire[key] = [_json_value(item) for item in content]
        else:
            wire[key] = _json_value(content)
    return {key: content for key, content in wire.items() if not _is_empty(content)}


def _has_companion(value: Mapping[str, object], key: str) -> bool:
    """Whether a list stands beside its ``_list``: there a null holds a place (FHIR R4, 2.6.2.3)."""
    return f"_{key}" in value or (key.startswith("_") and key[1:] in value)


def _is_empty(value: object) -> bool:
    if isinstance(value, (str, list, dict)):
        return not value
    return value is None or (isinstance(value, (float, Decimal)) and not math.isfinite(value))
