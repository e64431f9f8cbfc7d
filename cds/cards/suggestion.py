"""Suggestions with computed values: what a click would create, update or delete."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any
from uuid import UUID, uuid5

from msgspec.structs import replace

from cds.cards.markdown import clean
from cds.cards.model import Action, Suggestion, is_relative_reference
from cds.cards.template import fill
from cds.chart.fields import as_object
from cds.chart.model import MedicationRecord, OperationRecord
from cds.chart.timing import days_in, read_number
from cds.engine.finding import Finding, Review
from cds.engine.value import Moment, Value
from cds.rulebook.model import Rulebook, SuggestionTemplate
from cds.values.moment import DayRange
from cds.values.quantity import Quantity


def suggestions(
    finding: Finding, review: Review, rulebook: Rulebook, card_uuid: UUID
) -> tuple[Suggestion, ...]:
    """The offers of a finding that have something to act on."""
    found = []
    for number, offer in enumerate(finding.offers):
        settled = _settled(finding, offer)
        actions = _actions(offer, settled, review, rulebook)
        if actions:
            label = clean(fill(offer.label, settled, rulebook, name_limit=40))
            uuid = str(uuid5(card_uuid, f"suggestion {number}"))
            found.append(
                Suggestion(
                    label=label,
                    uuid=uuid,
                    is_recommended=offer.recommended or None,
                    actions=actions,
                )
            )
    return tuple(found)


def _settled(finding: Finding, offer: SuggestionTemplate) -> Finding:
    """The finding with each uncertain day that the offer sets as the one that it is set to.

    That is the last which it can be: an offer must not set a day that may be too early.
    """
    days = {
        word: Moment(DayRange.of(value.days.latest))
        for word in offer.set.values()
        if isinstance(value := finding.lets.get(word), Moment) and not value.days.certain
    }
    return replace(finding, lets={**finding.lets, **days}) if days else finding


def _actions(
    offer: SuggestionTemplate, finding: Finding, review: Review, rulebook: Rulebook
) -> tuple[Action, ...]:
    label = clean(fill(offer.label, finding, rulebook, name_limit=80))
    if offer.action == "create":
        template = rulebook.templates[offer.target]
        resource = _filled(template, finding, review, rulebook)
        return (Action(type="create", description=label, resource=resource),)
    found = []
    for bound in finding.bound.get(offer.target, ()):
        for record in bound.fact.records:
            if (
                not isinstance(record, MedicationRecord | OperationRecord)
                or record.resource is None
            ):
                continue
            if offer.action == "delete":
                if not is_relative_reference(str(record.source)):
                    # No client could tell which order this is to remove.
                    continue
                found.append(
                    Action(type="delete", description=label, resource_id=str(record.source))
                )
            else:
                resource = _updated(record.resource, offer.set, finding, rulebook)
                if resource is not None:
                    found.append(Action(type="update", description=label, resource=resource))
    return tuple(found)


def _filled(template: object, finding: Finding, review: Review, rulebook: Rulebook) -> Any:
    if isinstance(template, str):
        text = template.replace("{patient}", review.chart.patient.id)
        text = text.replace("{today}", review.clock.now.date().isoformat())
        return clean(fill(text, finding, rulebook))
    if isinstance(template, dict):
        return {key: _filled(item, finding, review, rulebook) for key, item in template.items()}
    if isinstance(template, list):
        return [_filled(item, finding, review, rulebook) for item in template]
    return template


# -- updates of a draft --------------------------------------------------------------------------


def _updated(
    resource: Mapping[str, object], changes: Mapping[str, str], finding: Finding, rulebook: Rulebook
) -> dict[str, Any] | None:
    """A copy of the draft with the changes: ``start``, ``daily-dose`` or ``status``.

    None where what is to be set is not known: then there is nothing to offer.
    """
    changed: dict[str, Any] = copy.deepcopy(dict(resource))
    for name, word in changes.items():
        value = finding.lets.get(word) or _parameter(word, rulebook)
        if name == "start" and isinstance(value, Moment):
            _set_start(changed, value)
        elif name == "daily-dose" and isinstance(value, Quantity):
            _set_daily_dose(changed, value)
        elif name == "status":
            changed["status"] = word
        else:
            return None
    return changed


def _parameter(word: str, rulebook: Rulebook) -> Value | None:
    parameter = rulebook.parameters.get(word)
    return Quantity(parameter.value, parameter.unit) if parameter is not None else None


def _instructions(resource: dict[str, Any]) -> list[dict[str, Any]]:
    found = resource.get("dosageInstruction")
    items = found if isinstance(found, list) else [found] if isinstance(found, dict) else []
    kept = [item for item in items if isinstance(item, dict)] or [{}]
    resource["dosageInstruction"] = kept
    return kept


def _set_start(resource: dict[str, Any], start: Moment) -> None:
    """Moves the first dose: boundsPeriod.start of every instruction."""
    for item in _instructions(resource):
        timing = item.get("timing")
        timing = item["timing"] = dict(timing) if isinstance(timing, dict) else {}
        repeat = timing.get("repeat")
        repeat = timing["repeat"] = dict(repeat) if isinstance(repeat, dict) else {}
        bounds = repeat.get("boundsPeriod")
        bounds = dict(bounds) if isinstance(bounds, dict) else {}
        bounds["start"] = start.days.latest.isoformat()
        if str(bounds.get("end", bounds["start"])) < bounds["start"]:
            del bounds["end"]
        lasting = _whole_days(as_object(repeat.pop("boundsDuration", None)))
        lasting = _whole_days(as_object(repeat.pop("boundsQuantity", None))) or lasting  # DSTU2
        repeat.pop("boundsRange", None)
        if lasting:
            bounds["end"] = (start.days + (lasting - 1)).latest.isoformat()
        repeat["boundsPeriod"] = bounds


def _whole_days(duration: Mapping[str, object]) -> int:
    """How many days a duration lasts, 0 where it is none of whole days."""
    number = read_number(duration.get("value"))
    length = days_in(duration.get("code")) or days_in(duration.get("unit"))
    days = number * length if number is not None and length else None
    return int(days) if days is not None and 0 < days == int(days) else 0


_KEPT = ("boundsPeriod", "boundsDuration", "boundsQuantity", "when")


def _set_daily_dose(resource: dict[str, Any], dose: Quantity) -> None:
    """One instruction, once a day, with the dose; route and time of day stay."""
    first = _instructions(resource)[0]
    amount = dose.to("mg")
    repeat = as_object(as_object(first.get("timing")).get("repeat"))
    kept: dict[str, Any] = {key: repeat[key] for key in _KEPT if key in repeat}
    if isinstance(kept.get("when"), list):
        kept["when"] = kept["when"][:1]
    unit = "periodUnits" if "periodUnits" in repeat else "periodUnit"  # DSTU2
    instruction: dict[str, Any] = {
        "text": f"{amount.render()} once daily",
        "timing": {"repeat": {**kept, "frequency": 1, "period": 1, unit: "d"}},
    }
    if isinstance(first.get("route"), dict):
        instruction["route"] = first["route"]
    quantity = {
        "value": amount.value,
        "unit": "mg",
        "system": "http://unitsofmeasure.org",
        "code": "mg",
    }
    if "doseAndRate" not in first and ("doseQuantity" in first or "doseRange" in first):
        instruction["doseQuantity"] = quantity  # STU3 and before
    else:
        instruction["doseAndRate"] = [{"doseQuantity": quantity}]
    resource["dosageInstruction"] = [instruction]
