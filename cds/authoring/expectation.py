"""What a scenario expects of its answer, beyond the cards: read, and compared with what came.

::

    expect:     [rule: indicator, …]   every card of the answer (`none`: no card at all)
    must-not:   [rule, rule: indicator]
    lines:      [rule: indicator, …]   every finding that is but a line of a card (`none`)
    says:       [words, …]             stand in some card
    says-not:   [words, …]             stand in no card
    suggests:   {rule: [offer, …]}     every suggestion of the rule's card, in order (`none`)
    unknown:    [rule, …]              undecided; `none`: no rule is undecided
    decided:    [rule, …]              not undecided
    problems:   [words, …]             stand in a problem of the record

An offer is words of its line, or a list of several that stand in it: ``create Task: Arrange the
hold``, ``delete MedicationRequest/m1``, ``[update MedicationRequest/m1, start 2026-06-20]``.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import msgspec

from cds.cards.answer import Answer, Drawn
from cds.cards.model import Action, Card
from cds.chart.model import MedicationRecord, OperationRecord
from cds.rulebook.document import Node
from cds.values.problem import Problem

EXPECTATIONS = (
    "expect", "must-not", "lines", "says", "says-not", "suggests", "unknown", "decided", "problems",
)  # fmt: skip
"""The keys of a scenario that its input does not depend on."""

NONE = "none"
Levels = tuple[tuple[str, str], ...]
"""Pairs of rule id and indicator; the indicator is empty where any will do."""

Offers = tuple[tuple[str, tuple[tuple[str, ...], ...]], ...]
"""For each rule its suggestions, each as the words that must stand in its line."""


class Expectation(msgspec.Struct, frozen=True):
    """Everything that a scenario expects; None is what it says nothing of."""

    cards: Levels
    must_not: Levels = ()
    lines: Levels | None = None
    says: tuple[str, ...] = ()
    says_not: tuple[str, ...] = ()
    suggests: Offers = ()
    unknown: tuple[str, ...] = ()
    decided: tuple[str, ...] = ()
    problems: tuple[str, ...] = ()

    @property
    def detail(self) -> int:
        """How much is expected beyond cards: the more, the more is noticed."""
        told = (self.says, self.says_not, self.unknown, self.decided, self.suggests, self.lines)
        return sum(bool(item) for item in told) + (NONE in self.unknown) + bool(self.decided)

    @property
    def rules(self) -> tuple[str, ...]:
        """The rules that are named anywhere."""
        pairs = (*self.cards, *self.must_not, *(self.lines or ()), *self.suggests)
        named = (rule for rule, _ in pairs)
        undecided = (rule for rule in (*self.unknown, *self.decided) if rule != NONE)
        return tuple(dict.fromkeys((*named, *undecided)))


def read_expectation(node: Node) -> Expectation:
    """The expectations of one scenario's node."""

    def words(key: str) -> tuple[str, ...]:
        found = node.get(key)
        return tuple(item.text for item in found.items) if found is not None else ()

    lines = node.get("lines")
    return Expectation(
        cards=_levels(node.get("expect")),
        must_not=_levels(node.get("must-not")),
        lines=_levels(lines) if lines is not None else None,
        says=words("says"),
        says_not=words("says-not"),
        suggests=_offers(node.get("suggests")),
        unknown=words("unknown"),
        decided=words("decided"),
        problems=words("problems"),
    )


def _levels(node: Node | None) -> Levels:
    """Pairs of rule id and indicator; `none` and an empty list are no cards at all."""
    found: list[tuple[str, str]] = []
    for item in node.items if node is not None else []:
        if item.mapping:
            found += [(rule, level.text) for rule, level in item.mapping.items()]
        elif ":" in item.text:
            rule, _, level = item.text.partition(":")
            found.append((rule.strip(), level.strip()))
        elif item.text and item.text != NONE:
            found.append((item.text, ""))
    return tuple(found)


def _offers(node: Node | None) -> Offers:
    """What each rule's card suggests; a list of mappings is read as one mapping."""
    found = []
    for item in node.items if node is not None else []:
        for rule, offers in item.mapping.items():
            texts = [tuple(word.text for word in offer.items) for offer in offers.items]
            found.append((rule, tuple(text for text in texts if text != (NONE,))))
    return tuple(found)


# -- comparing -----------------------------------------------------------------------------------


def failures(wanted: Expectation, found: Answer, problems: tuple[Problem, ...]) -> Iterator[str]:
    """Whatever is not as expected, each in a line of its own; nothing when all is."""
    yield from _card_failures(wanted, found)
    text = "\n".join(f"{card.summary}\n{card.detail}" for card in found.cards)
    yield from (f"no card says: {phrase}" for phrase in wanted.says if phrase not in text)
    yield from (f"a card says: {phrase}" for phrase in wanted.says_not if phrase in text)
    for rule, offers in wanted.suggests:
        yield from _offer_failures(rule, offers, found)
    yield from _unknown_failures(wanted, found)
    told = "\n".join(problem.render() for problem in problems)
    yield from (f"no problem says: {phrase}" for phrase in wanted.problems if phrase not in told)


def _card_failures(wanted: Expectation, found: Answer) -> Iterator[str]:
    got = [(item.finding.rule.id, item.finding.indicator) for item in found.drawn]
    for rule, level in sorted(wanted.cards):
        if (rule, level) not in got:
            yield f"no card {rule}:{level}"
    for rule, level in sorted(got):
        if (rule, level) not in wanted.cards:
            yield f"a card that is not listed: {rule}:{level} ({_summary_of(rule, found)})"
    if len(got) != len(wanted.cards) and set(got) == set(wanted.cards):
        yield f"{len(got)} cards, not {len(wanted.cards)}"
    for rule, level in wanted.must_not:
        if any(card == rule and level in ("", indicator) for card, indicator in got):
            yield f"a card that must not come: {rule}:{level}"
    if wanted.lines is not None:
        lines = [line for item in found.drawn for line in item.lines]
        got_lines = sorted((line.rule.id, str(line.indicator)) for line in lines)
        if got_lines != sorted(wanted.lines):
            yield f"lines of cards are {_told(got_lines)}, not {_told(sorted(wanted.lines))}"


def _told(levels: list[tuple[str, str]]) -> str:
    return ", ".join(f"{rule}:{level}" for rule, level in levels) or NONE


def _summary_of(rule: str, found: Answer) -> str:
    for item, card in zip(found.drawn, found.cards, strict=True):
        if item.finding.rule.id == rule:
            return card.summary
    return ""


def _unknown_failures(wanted: Expectation, found: Answer) -> Iterator[str]:
    undecided = [verdict.rule.id for verdict in found.unknown]
    if NONE in wanted.unknown and undecided:
        yield f"unknown: {', '.join(undecided)}"
    for rule in wanted.unknown:
        if rule != NONE and rule not in undecided:
            yield f"{rule} is not unknown"
    yield from (f"{rule} is unknown" for rule in wanted.decided if rule in undecided)


# -- what a card suggests ------------------------------------------------------------------------


def _offer_failures(rule: str, wanted: tuple[tuple[str, ...], ...], found: Answer) -> Iterator[str]:
    cards = [
        (item, card)
        for item, card in zip(found.drawn, found.cards, strict=True)
        if item.finding.rule.id == rule
    ]
    if not cards:
        yield f"no card {rule} to suggest anything"
        return
    got = [line for item, card in cards for line in offer_lines(item, card)]
    if len(got) != len(wanted) or not all(
        all(word in line for word in words) for words, line in zip(wanted, got, strict=True)
    ):
        listed = "; ".join(" … ".join(words) for words in wanted) or NONE
        yield f"{rule} suggests {'; '.join(got) or NONE}, not {listed}"


def offer_lines(item: Drawn, card: Card) -> Iterator[str]:
    """A line for each suggestion: what it does, its label, what the resource would then say."""
    before = {
        str(record.source): record.resource
        for bounds in item.finding.bound.values()
        for bound in bounds
        for record in bound.fact.records
        if isinstance(record, MedicationRecord | OperationRecord) and record.resource is not None
    }
    for offer in card.suggestions:
        acts = " and ".join(_act(action) for action in offer.actions)
        said = [text for action in offer.actions for text in _written(action, before)]
        line = f"{acts}: {offer.label}{' (recommended)' if offer.is_recommended else ''}"
        yield f"{line} ({', '.join(dict.fromkeys(said))})" if said else line


def _act(action: Action) -> str:
    if action.resource is None:
        return f"{action.type} {action.resource_id}"
    return f"{action.type} {_reference(action.resource)}"


def _reference(resource: Mapping[str, object]) -> str:
    known = f"/{resource['id']}" if "id" in resource else ""
    return f"{resource.get('resourceType')}{known}"


def _written(action: Action, before: Mapping[str, Mapping[str, object]]) -> Iterator[str]:
    """What the resource says and did not say before, as ``name value``; ``no name`` where less."""
    if action.resource is None:
        return
    old = _leaves(before.get(_reference(action.resource), {}))
    new = _leaves(action.resource)
    for path, text in new.items():
        if old.get(path) != text:
            yield f"{path[-1]} {text}"
    yield from (f"no {path[-1]}" for path in old if path not in new)


def _leaves(
    value: object, path: tuple[str, ...] = (), name: str = ""
) -> dict[tuple[str, ...], str]:
    """Every scalar by where it stands; an item of a list has the list's name last."""
    if isinstance(value, Mapping):
        items = [(str(key), str(key), item) for key, item in value.items()]
    elif isinstance(value, list | tuple):
        items = [(str(number), name, item) for number, item in enumerate(value)]
    else:
        return {(*path, name): str(value)}
    return {
        place: text
        for key, called, item in items
        for place, text in _leaves(item, (*path, key), called).items()
    }
