"""Mutants of a pack's pages: rules, definitions, the order of findings, value sets."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

import msgspec
from msgspec.structs import replace

from cds.authoring.certainty import Certainty
from cds.authoring.certainty import Names as Known
from cds.authoring.mutation.edit import Edit, Page, Steps, at, entries_at, items_at
from cds.authoring.mutation.mutant import DROPPED, Maker, Mutant, shortened
from cds.authoring.mutation.sentences import Change, N, Names, changed_tests, changed_values
from cds.engine.observation import Part
from cds.rulebook.document import Node
from cds.rulebook.model import KINDS, Rulebook
from cds.rulebook.reading import Author
from cds.rulebook.rules import read_rule
from cds.rulebook.syntax import Otherwise

_NEXT_INDICATOR = {"info": "warning", "warning": "critical", "critical": "warning"}


class Writer(msgspec.Struct, frozen=True):
    """Writes the mutants of sentences and clauses; ``known`` are the names of the sentences.

    Unknown is turned to no where a test can be unknown.
    """

    maker: Maker
    names: Names
    certainty: Certainty
    known: Known

    @staticmethod
    def of(maker: Maker, rulebook: Rulebook) -> Writer:
        names = Names(frozenset(), frozenset(rulebook.parameters), other_set(rulebook))
        return Writer(maker, names, Certainty(rulebook), Known())

    def among(self, known: Known) -> Writer:
        """The same, for sentences with these names; those of no single fact stand for several."""
        sets = frozenset(known.clauses) - known.single
        return replace(self, names=replace(self.names, sets=sets), known=known)

    def sentence(
        self,
        clause: str,
        steps: Steps,
        node: Node,
        parts: Iterable[Part] = (),
        *,
        unknown: bool = True,
    ) -> Iterator[Mutant]:
        """Every small change of the sentence in a scalar.

        ``unknown`` is False where whoever asks takes unknown for no.
        """
        test = Author([]).sentence(node).test
        if not isinstance(test, Otherwise):
            unknown = unknown and not self.certainty.why_known(test, self.known)
            changes = changed_tests(test, self.names, unknown=unknown)
            yield from self._changes(clause, steps, node, changes, parts)

    def formula(self, clause: str, steps: Steps, node: Node) -> Iterator[Mutant]:
        """Every small change of the computed value in a scalar."""
        value = Author([]).formula(node)
        if value is not None:
            yield from self._changes(clause, steps, node, changed_values(value, self.names), ())

    def _changes(
        self,
        clause: str,
        steps: Steps,
        node: Node,
        changes: Iterable[Change[N]],
        parts: Iterable[Part],
    ) -> Iterator[Mutant]:
        parts = tuple(parts)
        for change in changes:
            edit = Edit(steps, Node(change.text, node.place))
            yield self.maker.changed(
                f"{clause}: {node.text}",
                edit,
                change.before,
                change.after,
                node,
                parts,
                change.column,
            )

    # -- clauses of facts -------------------------------------------------------------------------

    def fact(self, clause: str, steps: Steps, parts: Iterable[Part] = ()) -> Iterator[Mutant]:
        """A fact's class swapped, and each of its words and conditions left out."""
        parts = tuple(parts)
        root = self.maker.page.node
        node = at(root, steps)
        kind = next((kind for kind in KINDS if node.get(kind) is not None), "")
        said = f"{clause}: {shortened(node)}"
        for way, item in items_at(root, *steps, kind):
            if len(way) > len(steps) + 1 and len(items_at(root, *steps, kind)) > 1:
                yield self.maker.dropped(said, way, item, parts)
            if other := self.names.other_set(item.text):
                yield self.maker.replaced(said, way, item, other, parts)
        for key in ("is", "and", "not", "where"):
            yield from self._words(said, (*steps, key), key, parts)
        known = replace(self.known, single=self.known.single | {str(steps[-1])})
        inner = self.among(known)
        for way, item in items_at(root, *steps, "where"):
            yield from inner.sentence(f"{clause}, where", way, item, parts)

    def _words(
        self, clause: str, steps: Steps, key: str, parts: tuple[Part, ...]
    ) -> Iterator[Mutant]:
        """Each word left out; the last one with its key."""
        items = items_at(self.maker.page.node, *steps)
        for way, item in items:
            before = f"{key}: {item.text}"
            yield self.maker.dropped(clause, way if len(items) > 1 else steps, item, parts, before)


def other_set(rulebook: Rulebook) -> Callable[[str], str]:
    """Which value set takes another's place: the next one of its kind, by name."""
    by_kind: dict[str, list[str]] = {}
    for name, item in sorted(rulebook.terminology.valuesets.items()):
        by_kind.setdefault(item.kind, []).append(name)

    def other(name: str) -> str:
        own = rulebook.terminology.valuesets.get(name)
        names = by_kind.get(own.kind, []) if own is not None else []
        if len(names) < 2:
            return ""
        return names[(names.index(name) + 1) % len(names)]

    return other


# -- rules ---------------------------------------------------------------------------------------


def rule_mutants(page: Page, rulebook: Rulebook) -> Iterator[Mutant]:
    """Every small change of a rule's page."""
    root = page.node
    rule = root.get("id")
    if rule is None:
        return
    maker = Maker(page, rule.text, rule.text)
    writer = Writer.of(maker, rulebook)
    read = read_rule(root, Author([]))
    everywhere = writer.among(Known.of(read.facts))
    lets = {let.name: let.value for let in read.lets}
    sets = writer.among(replace(Known.of(read.facts, read.per), lets=lets))
    yield from _heads(maker, rulebook)
    for steps, name, _ in entries_at(root, "facts"):
        yield from everywhere.fact(f"facts.{name}", steps)
    for steps, name, node in entries_at(root, "let"):
        yield from sets.formula(f"let.{name}", steps, node)
    for steps, node in items_at(root, "when"):
        if len(steps) > 1:
            yield maker.dropped("when", steps, node)
        yield from sets.sentence("when", steps, node)
    yield from _levels(sets)
    yield from _wordings(sets)
    yield from _suggestions(sets)


def _heads(maker: Maker, rulebook: Rulebook) -> Iterator[Mutant]:
    """Hooks, and what one finding is about."""
    root = maker.page.node
    for key in ("hooks", "per"):
        items = items_at(root, key)
        order = rulebook.precedence.problems.get(_text(root, "problem"))
        by = order.by if order is not None else ""
        for steps, node in items:
            if len(items) > 1 and not (key == "per" and node.text in (by, *_remembered(root))):
                yield maker.dropped(key, steps, node)


def _remembered(root: Node) -> list[str]:
    return _text(root, "remember").replace(",", " ").split()


def _text(root: Node, key: str) -> str:
    found = root.get(key)
    return found.text if found is not None else ""


def _levels(writer: Writer) -> Iterator[Mutant]:
    maker, root = writer.maker, writer.maker.page.node
    for steps, node in items_at(root, "card", "indicator"):
        yield maker.replaced("card.indicator", steps, node, _NEXT_INDICATOR.get(node.text, "info"))
    levels = items_at(root, "card", "levels")
    for number, (steps, node) in enumerate(levels):
        for word, sentence in node.mapping.items():
            clause = f"card.levels, {word}"
            other = _NEXT_INDICATOR.get(word, "info")
            edit = Edit(steps, Node({other: sentence}, node.place, node.keys))
            said = f"{clause}: {sentence.text}"
            yield maker.changed(said, edit, word, other, Node(word, node.place))
            if number < len(levels) - 1:
                yield maker.dropped(said, steps, node)
                yield from writer.sentence(clause, (*steps, word), sentence)


def _wordings(writer: Writer) -> Iterator[Mutant]:
    root = writer.maker.page.node
    for way, name, _ in entries_at(root, "card", "wordings"):
        choices = items_at(root, *way)
        for steps, node in choices[:-1]:
            for words, sentence in node.mapping.items():
                clause = f"card.wordings.{name}"
                said = f"{clause}: {sentence.text}"
                yield writer.maker.dropped(said, steps, node, before=f'"{words}"')
                yield from writer.sentence(clause, (*steps, words), sentence, unknown=False)


def _suggestions(writer: Writer) -> Iterator[Mutant]:
    maker, root = writer.maker, writer.maker.page.node
    for way, node in items_at(root, "card", "suggest"):
        clause = f"card.suggest: {_text(node, 'label')}"
        suggest: Steps = ("card", "suggest")
        whole = way if len(items_at(root, *suggest)) > 1 else suggest
        yield maker.dropped(clause, whole, node)
        for steps, key, item in entries_at(root, *way, "set"):
            yield maker.dropped(clause, steps, item, before=f"{key}: {item.text}")
        condition = node.get("if")
        if condition is not None:
            yield maker.dropped(clause, (*way, "if"), condition, before=f"if: {condition.text}")
            yield from writer.sentence(clause, (*way, "if"), condition, unknown=False)


# -- the order of findings -----------------------------------------------------------------------


def precedence_mutants(page: Page) -> Iterator[Mutant]:
    """Neighbours swapped, lines that may be cards, cards that are no longer silenced."""
    root = page.node
    maker = Maker(page, "precedence")
    for way, name, _ in entries_at(root, "problems"):
        yield from _swaps(maker, name, (*way, "order"))
        lines_only = items_at(root, *way, "lines-only")
        for steps, node in lines_only:
            whole = steps if len(lines_only) > 1 else (*way, "lines-only")
            found = maker.dropped(f"{name}.lines-only", whole, node)
            yield replace(found, findings=(node.text,))
        replaces = items_at(root, *way, "replaces")
        for steps, node in replaces:
            whole = steps if len(replaces) > 1 else (*way, "replaces")
            found = maker.dropped(f"{name}.replaces", whole, node)
            yield replace(found, findings=(_text(node, "rule"), _text(node, "replaced")))
    suppressions = items_at(root, "suppressions")
    for steps, node in suppressions:
        clause = f"suppressions: {shortened(node)}"
        whole = steps if len(suppressions) > 1 else ("suppressions",)
        yield maker.dropped(clause, whole, node)
        for key in ("speaking", "of-groups", "silences", "in-groups"):
            words = items_at(root, *steps, key)
            for way, item in words:
                # Without any group all groups are meant; without an indicator none is.
                one = len(words) == 1
                if not one or key in ("of-groups", "in-groups"):
                    where = (*steps, key) if one else way
                    yield maker.dropped(clause, where, item, before=f"{key}: {item.text}")


def _swaps(maker: Maker, name: str, steps: Steps) -> Iterator[Mutant]:
    items = items_at(maker.page.node, *steps)
    for number in range(len(items) - 1):
        pair = [item for _, item in items[number : number + 2]]
        rest = [item for _, item in items]
        rest[number : number + 2] = reversed(pair)
        order = at(maker.page.node, steps)
        edit = Edit(steps, Node(list(rest), order.place))
        before, after = (f"{one.text}, {two.text}" for one, two in (pair, pair[::-1]))
        found = maker.changed(f"{name}.order", edit, before, after, pair[0])
        yield replace(found, findings=(pair[0].text, pair[1].text))


# -- value sets ----------------------------------------------------------------------------------

_CONTENT = ("systems", "ingredients", "all-ingredients", "phrases", "shapes", "includes")


def valueset_mutant(page: Page, name: str) -> Mutant:
    """The value set with nothing in it."""
    node = page.node
    assert isinstance(node.value, dict)
    kept = {key: item for key, item in node.value.items() if key not in _CONTENT}
    keys = {key: place for key, place in node.keys.items() if key in kept}
    where = next((node.value[key] for key in _CONTENT if key in node.value), node)
    edit = Edit((), Node(kept, node.place, keys))
    maker = Maker(page, f"valuesets/{name}")
    found = maker.changed(name, edit, "its codes and words", DROPPED, Node("", where.place))
    return replace(found, parts=frozenset({("set", name)}))
