"""Fills the placeholders of a card's text with what was found."""

from __future__ import annotations

import re

from cds.cards.markdown import cap, clean, escape
from cds.cards.model import SUMMARY_LIMIT
from cds.chart.model import MedicationRecord
from cds.engine.fact import Bound, Fact
from cds.engine.finding import Finding
from cds.engine.value import Missing, Value, Words, render
from cds.rulebook.model import Parameter, Rulebook
from cds.terminology.concept import CodeableConcept, Ingredient
from cds.values.quantity import Quantity
from cds.values.truth import Truth

_PLACEHOLDER = re.compile(r"\{([^{}]+)\}")
# A drug's name may be a line long; a summary has room for so much of it.
_SHORT_ENOUGH = 24
_NAME_LIMITS = (40, 28, 18, 10)


def fill(text: str, finding: Finding, rulebook: Rulebook, *, name_limit: int = 80) -> str:
    """The text with its placeholders filled; plain text, not yet escaped."""
    return _PLACEHOLDER.sub(lambda match: _filled(match[1], finding, rulebook, name_limit), text)


def fill_markdown(text: str, finding: Finding, rulebook: Rulebook) -> str:
    """The text as Markdown: what comes from the record is escaped, the author's words are not."""
    return _PLACEHOLDER.sub(lambda match: escape(_filled(match[1], finding, rulebook, 80)), text)


def summary(finding: Finding, rulebook: Rulebook) -> str:
    """The summary, shorter than 140 characters whatever the record calls things."""
    template = finding.rule.card.summary
    texts = (clean(fill(template, finding, rulebook, name_limit=limit)) for limit in _NAME_LIMITS)
    shortest = ""
    for shortest in texts:
        if len(shortest) <= SUMMARY_LIMIT:
            return shortest
    return cap(shortest, SUMMARY_LIMIT)


def _filled(word: str, finding: Finding, rulebook: Rulebook, limit: int) -> str:
    name, _, field = word.partition(".")
    if word == "missing":
        return cap("; ".join(finding.missing) or "no details", max(limit, 20))
    if name in finding.wordings:
        return fill(finding.wordings[name], finding, rulebook, name_limit=limit)
    if name in finding.lets:
        return render(finding.lets[name])
    if name in finding.bound:
        concepts = next(item.concepts for item in finding.rule.facts if item.name == name)
        return _facts(finding.bound[name], field, limit, concepts, rulebook)
    parameter = rulebook.parameters.get(word)
    return _parameter(parameter) if parameter else ""


def _parameter(parameter: Parameter) -> str:
    if parameter.unit in ("days", "hours", ""):
        return f"{parameter.value.normalize():f} {parameter.unit}".strip()
    return Quantity(parameter.value, parameter.unit).render()


def _facts(
    bounds: tuple[Bound, ...],
    field: str,
    limit: int,
    concepts: tuple[str, ...],
    rulebook: Rulebook,
) -> str:
    """The facts' names (or a property), certain ones first, each once."""
    certain = [bound for bound in bounds if bound.truth is Truth.YES] or list(bounds)
    found = [
        _text(bound, field, limit) if field else _name(bound.fact, limit, concepts, rulebook)
        for bound in certain
    ]
    texts = list(dict.fromkeys(found))
    texts = [text for text in texts if text]
    if len(texts) > 2:
        return f"{texts[0]} and {len(texts) - 1} more"
    return " and ".join(texts)


def _name(fact: Fact, limit: int, concepts: tuple[str, ...], rulebook: Rulebook) -> str:
    """The fact's name; of a product with a long one, what it is of the class that is spoken of."""
    if len(fact.name) <= min(limit, _SHORT_ENOUGH):
        return cap(fact.name, limit)
    short = short_product(fact, concepts, rulebook)
    return cap(short if short and len(short) < len(fact.name) else fact.name, limit)


def short_product(fact: Fact, concepts: tuple[str, ...], rulebook: Rulebook) -> str:
    """``drug-a 5 mg`` or ``drug-a/drug-b``: ingredients of the class first; "" when not known."""
    products = (
        record.product
        for record in fact.records
        if isinstance(record, MedicationRecord) and record.product is not None
    )
    product = next((item for item in products if item.ingredients), None)
    if product is None:
        return ""

    def outside(ingredient: Ingredient) -> bool:
        concept = CodeableConcept((), ingredient.name)
        found = rulebook.terminology.classify(concept, "medication")
        return not any(found.match(name) for name in concepts)

    ordered = sorted(product.ingredients, key=outside)
    if len(ordered) > 1:
        return "/".join(item.name for item in ordered)
    return f"{ordered[0].name} {_strength(ordered[0])}".strip()


def _strength(ingredient: Ingredient) -> str:
    """``5 mg``, or ``0.05 mg/mL`` where it is a strength per something."""
    strength, per = ingredient.strength, ingredient.per
    if strength is None:
        return ""
    if per is None or per.unit == "1":
        return strength.render()
    amount = per.render()
    return f"{strength.render()}/{amount.removeprefix('1 ')}"


def _text(bound: Bound, field: str, limit: int) -> str:
    value: Value = bound.fact.value(field)
    if isinstance(value, Words):
        return cap("; ".join(sorted(value.words)), max(limit, 30)) if value.words else ""
    return "not known" if isinstance(value, Missing) else render(value)
