"""What the page of one rule says."""

from __future__ import annotations

import msgspec
from msgspec.structs import replace

from cds.book.attributes import Attribute, attributes_of
from cds.book.book import Book
from cds.book.english import Names, amount, anchor
from cds.book.phrase import Phrase, Piece, Saying, unhyphened
from cds.book.scenarios import Group, groups
from cds.book.shown import Shown
from cds.engine.needs import resource_types
from cds.rulebook.knowledge import Dispute, Statement
from cds.rulebook.model import INDICATORS, Change, Evidence, Rule, SuggestionTemplate
from cds.rulebook.surfaces import disputes_of

_DOES = {
    "create": "writes a draft",
    "update": "changes the order",
    "delete": "removes the order",
}


class Cited(msgspec.Struct, frozen=True):
    """One entry of evidence with what is known of its statement and source."""

    entry: Evidence
    cite: str
    statement: Statement | None
    says: Phrase
    contradicted: Phrase


class Offer(msgspec.Struct, frozen=True):
    """One suggestion: its words, what accepting it does, and when it is made."""

    label: str
    does: str
    condition: Saying | None


class RulePage(msgspec.Struct, frozen=True):
    """One rule for a reader."""

    rule: Rule
    on: bool
    beyond: bool
    theme: str
    facts: tuple[tuple[str, Saying], ...]
    lets: tuple[tuple[str, Phrase], ...]
    when: tuple[Saying, ...]
    levels: tuple[tuple[str, Saying], ...]
    severities: tuple[str, ...]
    offers: tuple[Offer, ...]
    overrides: tuple[str, ...]
    wordings: tuple[tuple[str, tuple[tuple[str, Saying], ...]], ...]
    cards: tuple[Shown, ...]
    order: tuple[str, ...]
    lines_only: bool
    quieter: bool
    evidence: tuple[Cited, ...]
    disputes: tuple[Dispute, ...]
    words: tuple[Piece, ...]
    numbers: tuple[tuple[Piece, str], ...]
    sets: tuple[Piece, ...]
    reads: tuple[str, ...]
    groups: tuple[Group, ...]
    attributes: tuple[Attribute, ...]
    history: tuple[Change, ...]

    @property
    def scenarios(self) -> int:
        return sum(len(group.scenarios) for group in self.groups)


def cited(entry: Evidence, book: Book) -> Cited:
    """An entry of evidence as a page shows it."""
    return Cited(
        entry=entry,
        cite=book.rulebook.sources[entry.source].cite,
        statement=book.knowledge.statements.get(entry.statement),
        says=book.prose(entry.says),
        contradicted=book.prose(entry.contradicted_by),
    )


def severities(rule: Rule) -> tuple[str, ...]:
    """The levels that a rule's card can have, severest first."""
    own = {level.indicator for level in rule.card.levels}
    return tuple(level for level in reversed(INDICATORS) if level in own)


def rule_page(rule: Rule, book: Book) -> RulePage:
    """The page of a rule."""
    names = {clause.name: clause.kind for clause in rule.facts}
    english, card, reach = book.english, rule.card, book.reaches[rule.id]
    order = book.rulebook.precedence.problems[rule.problem]
    return RulePage(
        rule=rule,
        on=book.is_on(rule),
        beyond=bool(book.rulebook.pack.badge_tag) and book.rulebook.pack.badge_tag in rule.tags,
        theme=book.theme(rule),
        facts=tuple((clause.name, english.fact(clause, names)) for clause in rule.facts),
        lets=tuple((let.name, english.value(let.value, names)) for let in rule.lets),
        when=tuple(english.sentence(sentence, names) for sentence in rule.when),
        levels=tuple(
            (level.indicator, english.sentence(level.sentence, names)) for level in card.levels
        ),
        severities=severities(rule),
        offers=tuple(_offer(item, book, names) for item in card.suggestions),
        overrides=tuple(book.rulebook.overrides[word] for word in card.overrides),
        wordings=_wordings(rule, book, names),
        cards=tuple(book.showing.cards(rule)),
        order=order.rules,
        lines_only=rule.id in order.lines_only,
        quieter=any(
            not item.silenced_groups or rule.group in item.silenced_groups
            for item in book.rulebook.precedence.suppressions
            if any(level.indicator in item.silences for level in card.levels)
        ),
        evidence=tuple(cited(entry, book) for entry in rule.evidence),
        disputes=tuple(disputes_of(rule, book.knowledge)),
        words=_words(rule, book),
        numbers=_numbers(rule, book),
        sets=tuple(
            Piece(book.listings[name].title, f"valuesets/{name}.html", "set", name)
            for name in sorted(reach.valuesets)
        ),
        reads=resource_types(replace(book.rulebook, rules=(rule,))),
        groups=tuple(groups(book.showing.scenarios(rule), book.root)),
        attributes=attributes_of(rule, book.rulebook, reach),
        history=rule.history or (Change(rule.version, rule.reviewed, "As reviewed."),),
    )


def _offer(item: SuggestionTemplate, book: Book, names: Names) -> Offer:
    condition = item.condition
    told = book.english.sentence(condition, names) if condition is not None else None
    return Offer(item.label, _DOES[item.action], told)


def _wordings(
    rule: Rule, book: Book, names: Names
) -> tuple[tuple[str, tuple[tuple[str, Saying], ...]], ...]:
    return tuple(
        (name, tuple((words, book.english.sentence(test, names)) for words, test in choices))
        for name, choices in rule.card.wordings.items()
    )


def _words(rule: Rule, book: Book) -> tuple[Piece, ...]:
    reach = book.reaches[rule.id]
    keys = dict.fromkeys((*reach.words, *reach.labels))
    return tuple(
        Piece(unhyphened(word), anchor(kind, word), "word", kind)
        for kind, word in sorted(keys, key=lambda key: (key[1], key[0]))
    )


def _numbers(rule: Rule, book: Book) -> tuple[tuple[Piece, str], ...]:
    found = []
    for name in sorted(book.reaches[rule.id].parameters):
        parameter = book.rulebook.parameters[name]
        piece = Piece(f"{name}: {amount(parameter)}", f"numbers.html#{name}", "number")
        found.append((piece, parameter.means))
    return tuple(found)
