"""Properties that a fact of any kind has from its records: names, sources, statuses, dates."""

from __future__ import annotations

from collections.abc import Callable

from cds.engine.fact import Fact
from cds.engine.value import Missing, Moment, Value, Words
from cds.terminology.concept import Classification
from cds.values.truth import Truth

Reader = Callable[[Fact], Value]


def words(*found: str) -> Words:
    """The words as a value; empty ones are left out, none at all is an empty set."""
    return Words(frozenset(word for word in found if word))


def sources(fact: Fact) -> Value:
    """Where the fact comes from, as ``Type/id``."""
    return words(*(str(source) for source in fact.sources))


def name(fact: Fact) -> Value:
    """What the fact is called."""
    return words(fact.name)


def valuesets(found: list[Classification]) -> list[str]:
    """The value sets of some classifications, in their order."""
    return [match.valueset for item in found for match in item.matches]


def concepts(fact: Fact) -> Value:
    """The value sets that the fact is surely in."""
    return words(*(name for name, truth in fact.concepts.items() if truth is Truth.YES))


def attribute(name: str) -> Reader:
    """Reads a word that every record has, "absent" where one has not."""

    def read(fact: Fact) -> Value:
        return words(*(record.attributes.get(name, "absent") for record in fact.records))

    return read


def status(fact: Fact) -> Value:
    """The FHIR statuses of its records."""
    return words(*(record.status for record in fact.records))


def date(*names: str) -> Reader:
    """Reads the first of some dates that a record has; Missing where none has."""

    def read(fact: Fact) -> Value:
        for record in fact.records:
            for name in names:
                if name in record.dates:
                    return Moment.of(record.dates[name])
        return Missing(f"no date of {fact.name} is recorded")

    return read


def no_reason(_: Fact) -> Value:
    """Nothing: there is nothing uncertain about it."""
    return words()
