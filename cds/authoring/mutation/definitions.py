"""Mutants of what words mean: `definitions/<kind>.yaml`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from decimal import Decimal, InvalidOperation

from cds.authoring.certainty import Names as Known
from cds.authoring.mutation.edit import Edit, Page, Steps, at, entries_at, items_at
from cds.authoring.mutation.mutant import Maker, Mutant, shortened
from cds.authoring.mutation.pages import Writer
from cds.authoring.mutation.sentences import step_of
from cds.engine.observation import Part
from cds.rulebook.definitions import read_fact
from cds.rulebook.document import Node
from cds.rulebook.model import EvidenceRow, KindDefinition, Rule, Rulebook, Sentence
from cds.rulebook.reading import Author, read_author_unit
from cds.rulebook.syntax import paths

_OTHER_COUNT = {
    "exposure": "possibility",
    "possibility": "exposure",
    "hint": "possibility",
    "denial": "nothing",
    "draft": "nothing",
    "nothing": "possibility",
    "planned": "possible",
    "possible": "planned",
    "done": "nothing",
}
# A profile's condition on what else was given: one that does not meet it goes to the next profile.
_ALONE = "alone-for"
_LISTS = ("understood", "topics", "aside", "orders-of", "order-categories")
_ROW_WORDS = ("open-for", "open-from", "lasts", "lingers", "then")


def definition_mutants(page: Page, rulebook: Rulebook) -> Iterator[Mutant]:
    """Every small change of a definition's page."""
    kind = at(page.node, ("kind",)).text
    stem = page.name.rpartition("/")[2].removesuffix(".yaml")
    writer = Writer.of(Maker(page, f"definitions/{stem}"), rulebook)
    yield from _parameters(writer.maker, rulebook)
    yield from _terms(writer, kind)
    yield from _labels(writer, kind)
    for table in ("evidence", "caps"):
        for number, (steps, _) in enumerate(items_at(page.node, table)):
            yield from _row(writer.maker, kind, table, number, steps)
    for number, (steps, _) in enumerate(items_at(page.node, "profiles")):
        yield from _profile(writer, kind, number, steps)
    yield from _unseen(writer, kind)
    yield from _dates(writer.maker, kind)


# -- numbers -------------------------------------------------------------------------------------


def _parameters(maker: Maker, rulebook: Rulebook) -> Iterator[Mutant]:
    for way, name, node in entries_at(maker.page.node, "parameters"):
        value = node.get("value")
        if value is not None:
            parts = mentions(rulebook, name)
            low, _, high = _text(node, "allowed").partition(" to ")
            for text in stepped(value.text, low, high):
                yield maker.replaced(f"parameters.{name}", (*way, "value"), value, text, parts)


def _text(node: Node, key: str) -> str:
    found = node.get(key)
    return found.text if found is not None else ""


def stepped(text: str, low: str = "", high: str = "") -> Iterator[str]:
    """A number with its unit, a step up and a step down, not beyond ``low`` and ``high``.

    The step is one of the last digit that any of the three has. Nothing where it is no number.
    """
    unit = text.partition(" ")[2]
    value, least, most = _number(text), _number(low), _number(high)
    if value is None:
        return
    steps = (step_of(item, read_author_unit(unit) or unit) for item in (value, least, most) if item)
    step = min(steps, default=Decimal(1))
    for new in (value + step, value - step):
        if (least or 0) <= new and (most is None or new <= most):
            yield f"{new} {unit}".strip()


def _number(text: str) -> Decimal | None:
    try:
        return Decimal(text.partition(" ")[0])
    except InvalidOperation:
        return None


def mentions(rulebook: Rulebook, name: str) -> frozenset[Part]:
    """The parts of the rulebook that speak of a parameter.

    Rules are ``("rule", id)`` where a sentence does, ``("card", id)`` where the card's words do.
    """
    found: set[Part] = set()
    for definition in rulebook.definitions.values():
        found |= set(_mentioned_in(definition, name))
    for rule in rulebook.rules:
        if _speaks_of(_asked(rule), name):
            found.add(("rule", rule.id))
        if any(name in text for text in _said(rule)):
            found.add(("card", rule.id))
    return frozenset(found)


def _asked(rule: Rule) -> Iterator[object]:
    """Every test and value of a rule."""
    yield from (item.test for item in rule.when)
    yield from (item.test for fact in rule.facts for item in fact.where)
    yield from (let.value for let in rule.lets)
    yield from (level.sentence.test for level in rule.card.levels)
    yield from (item.test for choices in rule.card.wordings.values() for _, item in choices)
    yield from (offer.condition.test for offer in rule.card.suggestions if offer.condition)


def _said(rule: Rule) -> Iterator[str]:
    """Every text of a rule's card that may name a number."""
    card = rule.card
    yield from (card.summary, card.why, card.uncertain, card.options)
    yield from (words for choices in card.wordings.values() for words, _ in choices)
    yield from (offer.label for offer in card.suggestions)
    yield from (word for offer in card.suggestions for word in offer.set.values())


def _speaks_of(nodes: Iterable[object], name: str) -> bool:
    return any(path.text == name for node in nodes for path in paths(node))


def _mentioned_in(definition: KindDefinition, name: str) -> Iterator[Part]:
    kind = definition.kind
    for term in definition.terms.values():
        sentences = [term.means, term.unsure, *(item for fact in term.facts for item in fact.where)]
        if _in_sentences(sentences, name):
            yield ("term", kind, term.name)
    for label in definition.labels.values():
        if _in_sentences([sentence for _, sentence in label.choices], name):
            yield ("label", kind, label.name)
    tables: Mapping[str, tuple[EvidenceRow, ...]] = {
        "evidence": definition.evidence,
        "caps": definition.caps,
    }
    for table, rows in tables.items():
        for number, row in enumerate(rows):
            if name in (row.open_for, row.lasts, row.then_for):
                yield ("row", kind, table, str(number))
    for number, profile in enumerate(definition.profiles):
        if name in profile.values.values() or _in_sentences([profile.condition], name):
            yield ("profile", kind, str(number))
        if name == profile.values.get(_ALONE) or _in_sentences([profile.condition], name):
            yield ("passed-profile", kind, str(number))
    if name == definition.first_after:
        yield ("kind", kind)
    if _in_sentences([definition.unseen], name):
        yield ("unseen", kind)


def _in_sentences(sentences: Iterable[Sentence | None], name: str) -> bool:
    return _speaks_of([item.test for item in sentences if item is not None], name)


# -- words ---------------------------------------------------------------------------------------


def _terms(writer: Writer, kind: str) -> Iterator[Mutant]:
    maker, root = writer.maker, writer.maker.page.node
    for way, name, node in entries_at(root, "terms"):
        part: Part = ("term", kind, name)
        clause = f"terms.{name}"
        facts = [
            read_fact(key, fact, Author([])) for _, key, fact in entries_at(root, *way, "facts")
        ]
        inner = writer.among(Known.of(facts).about(kind))
        for steps, fact, _ in entries_at(root, *way, "facts"):
            yield from inner.fact(f"{clause}.facts.{fact}", steps, [part])
        for key in ("means", "unsure-when"):
            sentence = node.get(key)
            if sentence is not None:
                yield from inner.sentence(f"{clause}.{key}", (*way, key), sentence, [part])
        for key in ("unsure-when", "answered"):
            found = node.get(key)
            if found is not None:
                # Where every source was answered it is all the same.
                of: Part = ("unanswered", kind) if key == "answered" else part
                yield maker.dropped(clause, (*way, key), found, [of], key)


def _labels(writer: Writer, kind: str) -> Iterator[Mutant]:
    root = writer.maker.page.node
    writer = writer.among(Known().about(kind))
    for way, name, _ in entries_at(root, "labels"):
        parts: list[Part] = [("label", kind, name)]
        choices = items_at(root, *way)
        for steps, node in choices[:-1]:
            for word, sentence in node.mapping.items():
                clause = f"labels.{name}, {word}"
                yield writer.maker.dropped(clause, steps, node, parts)
                yield from writer.sentence(clause, (*steps, word), sentence, parts)


def _unseen(writer: Writer, kind: str) -> Iterator[Mutant]:
    maker, root = writer.maker, writer.maker.page.node
    parts: list[Part] = [("unseen", kind)]
    entries = entries_at(root, "unseen-facts")
    inner = writer.among(Known.of(read_fact(name, fact, Author([])) for _, name, fact in entries))
    for steps, name, _ in entries:
        yield from inner.fact(f"unseen-facts.{name}", steps, parts)
    node = root.get("unseen")
    if node is not None:
        yield maker.dropped("unseen", ("unseen",), node, parts)
        yield from inner.sentence("unseen", ("unseen",), node, parts)


# -- tables --------------------------------------------------------------------------------------


def _row(maker: Maker, kind: str, table: str, number: int, steps: Steps) -> Iterator[Mutant]:
    root = maker.page.node
    node = at(root, steps)
    parts: list[Part] = [("row", kind, table, str(number))]
    wider = [*parts, ("passed-row", kind, table, str(number))]
    clause = f"{table}: {shortened(node.get('if') or Node('', node.place))}"
    yield maker.dropped(clause, steps, node, parts, "the line")
    for key in ("counts-as", "becomes"):
        counted = node.get(key)
        if counted is not None:
            other = _OTHER_COUNT.get(counted.text, "nothing")
            if kind == "procedure" and counted.text == "nothing":
                other = "possible"
            if key == "becomes":
                other = "possibility" if counted.text == "hint" else "hint"
            yield maker.replaced(clause, (*steps, key), counted, other, parts)
    for key in _ROW_WORDS:
        found = node.get(key)
        if found is not None:
            before = f"{key}: {shortened(found)}"
            yield maker.dropped(clause, (*steps, key), found, parts, before)
    for way, key, _ in entries_at(root, *steps, "if"):
        if key == "resource":
            # A heading rather than a condition: the lines stand sorted by it.
            continue
        words = items_at(root, *way)
        for where, word in words:
            before = f"{key}: {word.text}"
            if len(words) > 1:
                yield maker.dropped(clause, where, word, parts, before)
            else:
                yield maker.dropped(clause, way, word, wider, before)
    for way, word in items_at(root, *steps, "for"):
        one = len(items_at(root, *steps, "for")) == 1
        where = (*steps, "for") if one else way
        yield maker.dropped(clause, where, word, wider, f"for: {word.text}")


def _profile(writer: Writer, kind: str, number: int, steps: Steps) -> Iterator[Mutant]:
    maker, root = writer.maker, writer.maker.page.node
    node = at(root, steps)
    parts: list[Part] = [("profile", kind, str(number))]
    wider = [*parts, ("passed-profile", kind, str(number))]
    clause = f"profiles: {shortened(node)}"
    yield maker.dropped(clause, steps, node, parts, "the profile")
    flags = items_at(root, *steps, "flags")
    for way, flag in flags:
        where = way if len(flags) > 1 else (*steps, "flags")
        yield maker.dropped(clause, where, flag, parts, f"flag {flag.text}")
    for key, item in node.mapping.items():
        if key in ("for", "flags", "if"):
            continue
        of = wider if key == _ALONE else parts
        numbers = list(stepped(item.text))
        for text in numbers:
            edit = Edit((*steps, key), Node(text, item.place))
            before = f"{key}: {item.text}"
            yield maker.changed(clause, edit, before, f"{key}: {text}", item, of)
        if not numbers:
            yield maker.dropped(clause, (*steps, key), item, of, f"{key}: {item.text}")
    condition = node.get("if")
    if condition is not None:
        before = f"if: {condition.text}"
        yield maker.dropped(clause, (*steps, "if"), condition, wider, before)
        about = writer.among(Known().about(kind))
        yield from about.sentence(clause, (*steps, "if"), condition, wider, unknown=False)


def _dates(maker: Maker, kind: str) -> Iterator[Mutant]:
    """Where intervals begin and end, what hindsight undoes, and lists of words."""
    root = maker.page.node
    here: list[Part] = [("kind", kind)]
    for table in ("starts", "ends"):
        for way, resource, _ in entries_at(root, table):
            words = items_at(root, *way)
            for steps, word in words:
                where = steps if len(words) > 1 else way
                yield maker.dropped(f"{table}.{resource}", where, word, here)
    for way, resource, _ in entries_at(root, "hindsight"):
        parts: list[Part] = [("hindsight", kind, resource), *here]
        for steps, status, word in entries_at(root, *way):
            before = f"{status}: {word.text}"
            yield maker.dropped(f"hindsight.{resource}", steps, word, parts, before)
    for key in _LISTS:
        words = items_at(root, key)
        for steps, word in words:
            where = steps if len(words) > 1 else (key,)
            yield maker.dropped(key, where, word, () if key == "understood" else here)
