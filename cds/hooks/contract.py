"""The contract with clients: what an answer on the wire may look like, CDS Hooks 2.0.

It stands beside ``cds.cards.model``, which makes the answers, and knows nothing of it: the OpenAPI
document shows it, and tests hold every answer against it. It refuses what the standard does not
name. See https://cds-hooks.hl7.org/2.0/#cds-service-response.
"""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator
from pydantic.alias_generators import to_camel

_SUMMARY_LIMIT = 139
_REVERSE_DOMAIN = re.compile(r"[A-Za-z][A-Za-z0-9-]*(\.[A-Za-z0-9_-]+)+\Z")
# Clients give drafts ids beyond FHIR's own grammar; a card must be able to name them.
_RELATIVE_REFERENCE = re.compile(r"[A-Z][A-Za-z]*/[^\s/]+\Z")


def _uuid(text: str) -> str:
    if str(UUID(text)) != text.lower():
        raise ValueError(f"{text!r} is no UUID in its canonical form (8-4-4-4-12 hex digits)")
    return text


def _one_line(text: str) -> str:
    if not text.strip() or not text.isprintable():
        raise ValueError("must be one line of printable text")
    return text


def _relative_reference(text: str) -> str:
    if _RELATIVE_REFERENCE.match(text) is None:
        raise ValueError(f"{text!r} is no relative reference such as MedicationRequest/123")
    return text


def _extension(value: dict[str, Any]) -> dict[str, Any]:
    for key, content in value.items():
        if not _REVERSE_DOMAIN.match(key):
            raise ValueError(
                f"extension key {key!r} is no reverse-domain name such as org.example.x"
            )
        if not isinstance(content, dict):
            # Not a TypeError: the model library reports none but a ValueError with its place.
            raise ValueError(f"extension {key!r} must hold a JSON object")  # noqa: TRY004
    return value


def _fhir_resource(value: dict[str, Any]) -> dict[str, Any]:
    if not (isinstance(value.get("resourceType"), str) and value["resourceType"]):
        raise ValueError("a resource must name its resourceType")
    return value


Text = Annotated[str, Field(min_length=1)]
Line = Annotated[str, Field(min_length=1), AfterValidator(_one_line)]
Uuid = Annotated[str, AfterValidator(_uuid)]
Extension = Annotated[dict[str, Any], AfterValidator(_extension)]
Resource = Annotated[dict[str, Any], AfterValidator(_fhir_resource)]


class Element(BaseModel):
    """Any object of the protocol; each may carry an ``extension``."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", populate_by_name=True, alias_generator=to_camel
    )

    extension: Extension | None = None


class Coding(Element):
    """A code of a code system. The standard requires ``system`` and ``code``."""

    system: Text
    code: Text
    display: Text | None = None


class OverrideReason(Coding):
    """A reason that a clinician may pick for not following a card; it must have a display."""

    display: Line


class Source(Element):
    """Who says so: a label, and where more can be read."""

    label: Line
    url: Text | None = None
    icon: Text | None = None
    topic: Coding | None = None


class Link(Element):
    """A link to a page, or to a SMART app (only then with ``app_context``)."""

    label: Line
    url: Text
    type: Literal["absolute", "smart"]
    app_context: Text | None = None

    @model_validator(mode="after")
    def _context_only_for_apps(self) -> Link:
        if self.app_context is not None and self.type != "smart":
            raise ValueError("appContext is allowed only on a link of type smart")
        return self


class Action(Element):
    """One change: ``create`` and ``update`` hold the whole resource, ``delete`` only its id."""

    type: Literal["create", "update", "delete"]
    description: Line
    resource: Resource | None = None
    resource_id: Annotated[str, AfterValidator(_relative_reference)] | None = None

    @model_validator(mode="after")
    def _has_its_object(self) -> Action:
        if self.type == "delete":
            if self.resource_id is None or self.resource is not None:
                raise ValueError("a delete needs resourceId (Type/id), and no resource")
        elif self.resource is None or self.resource_id is not None:
            raise ValueError(f"a {self.type} needs the whole resource, and no resourceId")
        return self


class Suggestion(Element):
    """Something that can be accepted with one click; all of its actions belong together."""

    label: Line
    uuid: Uuid | None = None
    is_recommended: bool | None = None
    actions: tuple[Action, ...] = ()


class Card(Element):
    """One card. Suggestions and the way they may be chosen come together or not at all."""

    uuid: Uuid | None = None
    summary: Annotated[Line, Field(max_length=_SUMMARY_LIMIT)]
    detail: Text | None = None
    indicator: Literal["info", "warning", "critical"]
    source: Source
    suggestions: tuple[Suggestion, ...] = ()
    selection_behavior: Literal["at-most-one", "any"] | None = None
    override_reasons: tuple[OverrideReason, ...] = ()
    links: tuple[Link, ...] = ()

    @model_validator(mode="after")
    def _says_how_to_choose(self) -> Card:
        if bool(self.suggestions) != (self.selection_behavior is not None):
            raise ValueError("selectionBehavior is required with suggestions, and only with them")
        recommended = sum(bool(suggestion.is_recommended) for suggestion in self.suggestions)
        if self.selection_behavior == "at-most-one" and recommended > 1:
            raise ValueError("at most one suggestion may be recommended when at-most-one")
        return self


class Response(Element):
    """The answer of a service. It never carries system actions: nothing is changed unasked."""

    cards: tuple[Card, ...]
