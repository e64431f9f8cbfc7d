"""What the words of a pack mean: terms, labels, properties, and how entries count."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import msgspec

from cds.book.english import English
from cds.book.phrase import Phrase, Piece, Saying, listed, said, unhyphened
from cds.rulebook.model import (
    KINDS,
    EvidenceRow,
    FactClause,
    KindDefinition,
    Label,
    Profile,
    Rulebook,
    Term,
)
from cds.rulebook.vocabulary import PROPERTIES

Users = Mapping[tuple[str, str], Iterable[str]]
"""The ids of the rules that use a word or property of a kind."""

_TITLES = {
    "medication": "Medications",
    "procedure": "Operations and procedures",
    "condition": "Diagnoses",
    "allergy": "Allergies and intolerances",
    "result": "Results",
    "statement": "Entries about a whole list",
    "source": "Lists of the record",
    "dose-step": "Steps of dose",
    "patient": "The patient",
}
_AFTER = {"possibility": "possible", "hint": "a hint"}


class Word(msgspec.Struct, frozen=True):
    """One entry: what it means, when it cannot be told, and which rules use it."""

    anchor: str
    name: str
    means: tuple[Saying, ...]
    facts: tuple[tuple[str, Saying], ...] = ()
    unsure: Saying | None = None
    because: str = ""
    note: str = ""
    rules: tuple[str, ...] = ()


class Row(msgspec.Struct, frozen=True):
    """One line of how entries count."""

    entry: Phrase
    counts_as: str
    because: str
    afterwards: Phrase


class Chapter(msgspec.Struct, frozen=True):
    """All words about one kind of fact."""

    kind: str
    title: str
    terms: tuple[Word, ...]
    labels: tuple[Word, ...]
    properties: tuple[Word, ...]
    profiles: tuple[tuple[Phrase, Phrase], ...]
    rows: tuple[Row, ...]
    caps: tuple[Row, ...]
    unseen: Saying | None


def chapters(rulebook: Rulebook, users: Users) -> list[Chapter]:
    """A chapter for each kind of fact that some rule asks for or that the pack defines."""
    english = English(rulebook)
    used = {kind for kind, _ in users}
    kinds = dict.fromkeys((*_TITLES, *KINDS))
    known = [kind for kind in kinds if kind in rulebook.definitions or kind in used]
    return [_chapter(kind, rulebook, english, users) for kind in known]


def _chapter(kind: str, rulebook: Rulebook, english: English, users: Users) -> Chapter:
    definition = rulebook.definitions.get(kind, KindDefinition(kind))
    terms = sorted(definition.terms.values(), key=lambda term: term.name)
    unseen = None
    if definition.unseen is not None:
        names = {clause.name: clause.kind for clause in definition.unseen_facts}
        unseen = english.sentence(definition.unseen, names)
    return Chapter(
        kind=kind,
        title=_TITLES.get(kind, unhyphened(kind).capitalize()),
        terms=tuple(_term(term, kind, english, users) for term in terms),
        labels=tuple(_label(label, kind, english, users) for label in definition.labels.values()),
        properties=tuple(_properties(kind, definition, users)),
        profiles=tuple(_profile(profile, english) for profile in definition.profiles),
        rows=tuple(_row(row, kind, english) for row in definition.evidence),
        caps=tuple(_row(row, kind, english) for row in definition.caps),
        unseen=unseen,
    )


def _term(term: Term, kind: str, english: English, users: Users) -> Word:
    names = {"it": kind, **{clause.name: clause.kind for clause in term.facts}}
    return Word(
        anchor=f"{kind}.{term.name}",
        name=unhyphened(term.name),
        means=(english.sentence(term.means, names),),
        facts=tuple(_fact(clause, english, names) for clause in term.facts),
        unsure=english.sentence(term.unsure, names) if term.unsure is not None else None,
        because=term.because,
        rules=tuple(users.get((kind, term.name), ())),
    )


def _fact(clause: FactClause, english: English, names: Mapping[str, str]) -> tuple[str, Saying]:
    return unhyphened(clause.name), english.fact(clause, names)


def _label(label: Label, kind: str, english: English, users: Users) -> Word:
    def choice(word: str, saying: Saying) -> Saying:
        return Saying(said(Piece(unhyphened(word), "", "held"), ": ", saying.phrase), saying.parts)

    told = [(word, english.sentence(sentence, {"it": kind})) for word, sentence in label.choices]
    return Word(
        anchor=f"{kind}.{label.name}",
        name=unhyphened(label.name),
        means=tuple(choice(word, saying) for word, saying in told),
        note="The first that holds.",
        rules=tuple(users.get((kind, label.name), ())),
    )


def _properties(kind: str, definition: KindDefinition, users: Users) -> Iterable[Word]:
    for name, told in PROPERTIES.get(kind, {}).items():
        if name in definition.labels:
            continue
        means = (
            "what its class brings along (see the table of classes)" if told == "profile" else told
        )
        rules = tuple(users.get((kind, name), ()))
        anchor = f"{kind}.{name}"
        if name in definition.terms:
            # A word and a property of one name: the term has the anchor, and is about the property.
            continue
        yield Word(anchor, unhyphened(name), (Saying(said(means)),), rules=rules)


def _profile(profile: Profile, english: English) -> tuple[Phrase, Phrase]:
    """For which classes, and what they bring along."""
    classes = listed([english.word(name, "") for name in profile.concepts])
    if profile.condition is not None:
        condition = english.sentence(profile.condition, {"it": "medication"})
        classes = said(classes, ", if ", condition.phrase)
    brings = [
        said(f"{unhyphened(key)} ", _length(value, english))
        for key, value in profile.values.items()
    ]
    brings += [said(unhyphened(flag)) for flag in sorted(profile.flags)]
    return classes, listed(brings, "and")


def _length(value: str, english: English) -> Phrase:
    from cds.book.english import number

    parameter = english.rulebook.parameters.get(value)
    return said(number(parameter)) if parameter is not None else said(unhyphened(value))


def _row(row: EvidenceRow, kind: str, english: English) -> Row:
    parts = [
        said(f"{unhyphened(name)} ", listed([said(unhyphened(word)) for word in sorted(words)]))
        for name, words in row.conditions
    ]
    if row.concepts:
        parts.append(said("class ", listed([english.word(name, kind) for name in row.concepts])))
    entry = listed(parts, "and") if parts else said("anything else")
    return Row(entry, unhyphened(row.counts_as), row.because, _afterwards(row, english))


def _afterwards(row: EvidenceRow, english: English) -> Phrase:
    """How long it counts where no end is known, and as what it counts afterwards."""
    found: list[Phrase] = []
    if row.open_for:
        start = f" from what is {unhyphened(row.open_from)}" if row.open_from else ""
        found.append(said("without an end: ", _length(row.open_for, english), start))
    if row.lasts:
        found.append(said("for ", _length(row.lasts, english)))
    if row.then:
        because = f" ({row.then_because})" if row.then_because else ""
        told = said(f"then {_AFTER.get(row.then, row.then)} for ", _length(row.then_for, english))
        found.append(said(told, because))
    phrase: Phrase = ()
    for part in found:
        phrase = said(phrase, "; ", part) if phrase else part
    return phrase
