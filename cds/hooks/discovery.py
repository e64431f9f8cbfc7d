"""What the service offers: one CDS service for each hook that its rules speak on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from cds.engine.needs import resource_types
from cds.engine.review import speaks_on
from cds.rulebook.model import HEIRS, Rule, Rulebook

# This product's own hook, for looks over many records: no EHR fires it.
_OWN = "audit"
# No server can search a Medication by patient: it comes with what refers to it, or is missed.
_NOT_SEARCHED = frozenset({"Patient", "Medication"})
_WHEN: Mapping[str, str] = {
    "patient-view": "when a chart is opened",
    "order-select": "when an order is selected",
    "order-sign": "when orders are about to be signed",
    "order-dispatch": "when an order is sent to whoever will perform it",
    "encounter-start": "when an encounter starts",
    "encounter-discharge": "when a patient is being discharged",
    "appointment-book": "when an appointment is being booked",
    "medication-refill": "when a refill is asked for",
    "medication-prescribe": "when a drug is being prescribed",
    "order-review": "when orders are reviewed",
}
# How many rules a description names.
_NAMED = 4
_USAGE = (
    "Only the Patient is required. Whatever else of the prefetch is left out, refused or comes in"
    " part is asked of fhirServer where this site lets the service do so; otherwise the rules that"
    " read it are undecided, and the answer says so in its extension. A drug needs a code or a text"
    " in the resource itself, or a display in its reference. Resources are FHIR R4; the names and"
    " shapes of DSTU2 and STU3 are read as far as they say the same, and what is odd is told."
)


@dataclass(frozen=True, slots=True)
class Service:
    """One CDS service: the hook it answers, and what it asks for beforehand."""

    id: str
    hook: str
    title: str
    description: str
    prefetch: Mapping[str, str]

    def as_json(self) -> dict[str, object]:
        """The entry of the discovery answer (CDS Hooks 2.0, Discovery)."""
        return {
            "hook": self.hook,
            "title": self.title,
            "description": self.description,
            "id": self.id,
            "prefetch": dict(self.prefetch),
            "usageRequirements": _USAGE,
        }


def services(rulebook: Rulebook) -> dict[str, Service]:
    """The services by id, ``<pack id>-<hook>``, in the order of their hooks' names.

    One for each hook that a rule names, and for each older hook whose place such a one took.
    """
    hooks = {hook for rule in rulebook.rules for hook in rule.hooks if hook != _OWN}
    found = [_service(rulebook, hook) for hook in sorted({*hooks, *HEIRS})]
    return {service.id: service for service in found if service is not None}


def _service(rulebook: Rulebook, hook: str) -> Service | None:
    rules = [rule for rule in rulebook.rules if speaks_on(rule, hook)]
    if not rules:
        return None
    return Service(
        id=f"{rulebook.pack.id}-{hook}",
        hook=hook,
        title=f"{rulebook.pack.title}: {hook}",
        description=_description(rules, hook),
        prefetch=prefetch_templates(rulebook, hook),
    )


def _description(rules: list[Rule], hook: str) -> str:
    """What is looked for, in two sentences; of many rules a few are named, the gravest first."""
    named = sorted(rules, key=lambda rule: not _may_be_critical(rule))[:_NAMED]
    count = "1 rule judges" if len(rules) == 1 else f"{len(rules)} rules judge"
    told = "; ".join(rule.title for rule in named)
    among = "" if len(named) == len(rules) else "among them "
    return (
        f"{count} the record {when(hook)}: {among}{told}. Each card names its rule in source.topic."
    )


def _may_be_critical(rule: Rule) -> bool:
    return any(level.indicator == "critical" for level in rule.card.levels)


def when(hook: str) -> str:
    """When an EHR fires the hook, in words."""
    return _WHEN.get(hook, f"on {hook}")


def prefetch_templates(rulebook: Rulebook, hook: str) -> dict[str, str]:
    """Queries by key for what the hook's rules read; each key is the name of the type it asks for.

    A plain search by patient, which every server has. No list of statuses: an order whose status is
    unknown matters. No ``_include``: it lies outside what CDS Hooks asks clients to support, and a
    client that cannot do it drops the whole key.
    """
    found = {"patient": "Patient/{{context.patientId}}"}
    for kind in resource_types(rulebook, hook):
        if kind not in _NOT_SEARCHED:
            found[kind] = f"{kind}?patient={{{{context.patientId}}}}"
    return found
