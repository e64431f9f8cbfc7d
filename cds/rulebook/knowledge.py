"""What a pack knows beyond its rules (`evidence/`): statements, pages by theme, disputes.

None of it judges a patient: the rule book and lint read it, a rulebook does not carry it.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import msgspec

from cds.rulebook.document import Node, read_document
from cds.rulebook.model import Evidence, Rule, Rulebook
from cds.rulebook.reading import Author, first
from cds.rulebook.rules import EVIDENCE_KEYS, read_evidence
from cds.values.problem import Place

FOLDER = "evidence"
_STATEMENTS, _DISPUTES = "statements", "disputes"
_STATEMENT_KEYS = (
    "source", "section", "cites", "rests-on", "named", "says", "not-on-cards", "nowhere",
)  # fmt: skip
_DISPUTE_KEYS = ("about", "resolved", "told", "statements", "rules", "pages")
_PAGE_KEYS = ("id", "order", "title", "lead", "groups", "disputes", "sections")
_SECTION_KEYS = ("title", "text", "table", "entries")
_PLACEHOLDER = re.compile(r"\{([^{}]*)\}")
_SHORT_ID = re.compile(r"[A-Z]\d{2}")
# Not a code of a classification, which goes on behind a dot.
_MENTION = re.compile(r"(?<![\w.-])[A-Z]\d{2}(?![\w-]|\.\w)")


class Statement(msgspec.Struct, frozen=True):
    """One statement of a source document, in the pack's own words.

    ``cites`` is what the document gives as its source; ``rests_on`` are ids of sources, inferred
    unless ``named``. ``not_on_cards`` and ``nowhere`` are reasons, "" where there is none.
    """

    id: str
    source: str
    section: str
    cites: str
    rests_on: tuple[str, ...]
    named: bool
    says: str
    not_on_cards: str
    nowhere: str
    place: Place


class Dispute(msgspec.Struct, frozen=True):
    """Where sources contradict each other: what about, how it is decided, how that is told."""

    id: str
    about: str
    resolved: str
    told: str
    statements: tuple[str, ...]
    rules: tuple[str, ...]
    pages: tuple[str, ...]
    place: Place


class Table(msgspec.Struct, frozen=True):
    """A table of a page: rows as long as ``columns``."""

    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


class Section(msgspec.Struct, frozen=True):
    """A part of a page: text (``{parameter}`` stands for its value), a table, statements."""

    title: str
    text: str
    table: Table | None
    entries: tuple[Evidence, ...]


class ThemePage(msgspec.Struct, frozen=True):
    """A page that cards link to: its sections, the groups of rules and the disputes it is about."""

    id: str
    title: str
    lead: str
    groups: tuple[str, ...]
    disputes: tuple[str, ...]
    sections: tuple[Section, ...]
    place: Place

    @property
    def entries(self) -> Iterator[Evidence]:
        return (entry for section in self.sections for entry in section.entries)


class Knowledge(msgspec.Struct, frozen=True):
    """All of a pack's `evidence/`; empty where there is no such folder."""

    statements: Mapping[str, Statement] = msgspec.field(default_factory=dict)
    disputes: Mapping[str, Dispute] = msgspec.field(default_factory=dict)
    pages: Mapping[str, ThemePage] = msgspec.field(default_factory=dict)


def read_knowledge(root: Path, author: Author) -> Knowledge:
    """The folder `evidence/` of the pack in ``root``; errors go to ``author``."""
    statements: dict[str, Statement] = {}
    disputes: dict[str, Dispute] = {}
    later: list[Node] = []
    for path in sorted((root / FOLDER).glob("*.yaml")):
        node = read_document(path, path.relative_to(root).as_posix(), author.problems)
        if node is None:
            continue
        if path.stem == _STATEMENTS:
            statements = {name: _statement(name, item, author) for name, item in _named(node)}
        elif path.stem == _DISPUTES:
            disputes = {name: _dispute(name, item, author) for name, item in _named(node)}
        else:
            later.append(node)
    ordered = sorted(later, key=lambda node: _order(node, author))
    pages = [_page(node, statements, author) for node in ordered]
    return Knowledge(statements, disputes, {page.id: page for page in pages})


def _named(node: Node) -> list[tuple[str, Node]]:
    return list(node.mapping.items())


def _statement(name: str, node: Node, author: Author) -> Statement:
    author.only(node, _STATEMENT_KEYS, "a statement")
    return Statement(
        id=name,
        source=author.text(node, "source", required=True),
        section=author.text(node, "section"),
        cites=author.text(node, "cites"),
        rests_on=author.words(node, "rests-on"),
        named=author.text(node, "named") == "true",
        says=author.text(node, "says", required=True),
        not_on_cards=author.text(node, "not-on-cards"),
        nowhere=author.text(node, "nowhere"),
        place=node.place,
    )


def _dispute(name: str, node: Node, author: Author) -> Dispute:
    author.only(node, _DISPUTE_KEYS, "a dispute")
    return Dispute(
        id=name,
        about=author.text(node, "about", required=True),
        resolved=author.text(node, "resolved", required=True),
        told=author.text(node, "told", required=True),
        statements=author.words(node, "statements"),
        rules=author.words(node, "rules"),
        pages=author.words(node, "pages"),
        place=node.place,
    )


def _order(node: Node, author: Author) -> tuple[int, str]:
    """Where a page stands among the others; those without a number come last."""
    found = node.get("order")
    if found is not None and not found.text.isdecimal():
        author.error(found.place, f"'{found.text}' is no number", "order: 1", "value")
        found = None
    return (int(found.text) if found is not None else sys.maxsize, node.place.file)


def _page(node: Node, statements: Mapping[str, Statement], author: Author) -> ThemePage:
    author.only(node, _PAGE_KEYS, "a page")
    return ThemePage(
        id=author.text(node, "id", required=True),
        title=author.text(node, "title", required=True),
        lead=author.text(node, "lead", required=True),
        groups=author.words(node, "groups"),
        disputes=author.words(node, "disputes"),
        sections=tuple(
            _section(item, statements, author) for item in first(node.get("sections")).items
        ),
        place=node.place,
    )


def _section(node: Node, statements: Mapping[str, Statement], author: Author) -> Section:
    author.only(node, _SECTION_KEYS, "a section")
    return Section(
        title=author.text(node, "title", required=True),
        text=author.text(node, "text"),
        table=_table(node.get("table"), author),
        entries=tuple(
            _entry(item, statements, author) for item in first(node.get("entries")).items
        ),
    )


def _table(node: Node | None, author: Author) -> Table | None:
    if node is None:
        return None
    author.only(node, ("columns", "rows"), "a table")
    columns = author.words(node, "columns", required=True)
    rows = []
    for row in first(node.get("rows")).items:
        cells = tuple(cell.text for cell in row.items)
        if len(cells) != len(columns):
            author.error(
                row.place, f"a row of {len(cells)} cells", f"{len(columns)} cells", "shape"
            )
        rows.append(cells)
    return Table(columns, tuple(rows))


def _entry(node: Node, statements: Mapping[str, Statement], author: Author) -> Evidence:
    """An entry as in a rule; of a known statement it need not repeat source, section and words."""
    known = statements.get(first(node.get("statement")).text)
    if known is None:
        return read_evidence(node, author)
    author.only(node, EVIDENCE_KEYS, "an evidence entry")
    return Evidence(
        statement=known.id,
        source=author.text(node, "source") or known.source,
        section=author.text(node, "section") or known.section,
        says=author.text(node, "says") or known.says,
        strength=author.text(node, "strength", required=True),
        contradicted_by=author.text(node, "contradicted-by"),
        beyond=author.text(node, "beyond") == "true",
    )


# -- checks --------------------------------------------------------------------------------------


def check_knowledge(knowledge: Knowledge, rulebook: Rulebook, author: Author) -> None:
    """Reports ids that mean nothing, statements under a wrong source, and what must be on no card.

    A pack without statements is only asked for pages that its cards link to, where it has pages.
    """
    checker = _Checker(knowledge, rulebook, author)
    for statement in knowledge.statements.values():
        checker.source(statement.source, statement.place)
        for source in statement.rests_on:
            checker.source(source, statement.place)
    for dispute in knowledge.disputes.values():
        checker.dispute(dispute)
    for page in knowledge.pages.values():
        checker.page(page)
    for rule in rulebook.rules:
        checker.rule(rule)


class _Checker(msgspec.Struct, frozen=True):
    knowledge: Knowledge
    rulebook: Rulebook
    author: Author

    def unknown(self, name: str, what: str, place: Place, known: Mapping[str, object]) -> None:
        self.author.error(place, f"'{name}' is no {what}", ", ".join(sorted(known)), "name")

    def source(self, name: str, place: Place) -> None:
        if name not in self.rulebook.sources:
            self.unknown(name, "source", place, self.rulebook.sources)

    def entry(self, entry: Evidence, place: Place) -> None:
        """A statement that is known, or a source that speaks for itself; under its own source."""
        statements, sources = self.knowledge.statements, self.rulebook.sources
        known = statements.get(entry.statement)
        if known is None and entry.statement not in sources:
            self.unknown(entry.statement, "statement or source", place, {**statements, **sources})
        expected = known.source if known is not None else entry.statement
        for text in (entry.says, entry.strength, entry.contradicted_by):
            self.mentions(text, place)
        if expected in sources and entry.source != expected:
            what = f"'{entry.statement}' does not stand in '{entry.source}'"
            self.author.error(place, what, f"source: {expected}", "name")

    def mentions(self, text: str, place: Place) -> None:
        """Ids of statements, sources and disputes in a text: a slip of the pen leads nowhere."""
        known = {
            **self.knowledge.statements,
            **self.knowledge.disputes,
            **self.rulebook.sources,
        }
        letters = {name[0] for name in known if _SHORT_ID.fullmatch(name)}
        for match in _MENTION.finditer(text):
            if match[0] not in known and match[0][0] in letters:
                what = f"'{match[0]}' is no statement, source or dispute"
                self.author.error(place, what, "an id of evidence/ or sources.yaml", "name")

    def text(self, text: str, place: Place) -> None:
        self.mentions(text, place)
        for word in _PLACEHOLDER.findall(text):
            if word not in self.rulebook.parameters:
                self.unknown(word, "parameter", place, self.rulebook.parameters)

    def dispute(self, dispute: Dispute) -> None:
        statements, sources = self.knowledge.statements, self.rulebook.sources
        for name in dispute.statements:
            if name not in statements and name not in sources:
                self.unknown(name, "statement or source", dispute.place, {**statements, **sources})
        for name in dispute.pages:
            if name not in self.knowledge.pages:
                self.unknown(name, "page", dispute.place, self.knowledge.pages)
        listed = {
            rule for order in self.rulebook.precedence.problems.values() for rule in order.rules
        }
        for name in dispute.rules:
            if name not in listed:
                self.unknown(name, "rule", dispute.place, dict.fromkeys(listed))
        for text in (dispute.about, dispute.resolved, dispute.told):
            self.text(text, dispute.place)

    def page(self, page: ThemePage) -> None:
        for name in page.disputes:
            if name not in self.knowledge.disputes:
                self.unknown(name, "dispute", page.place, self.knowledge.disputes)
        for entry in page.entries:
            self.entry(entry, page.place)
            self.source(entry.source, page.place)
        self.text(page.lead, page.place)
        for section in page.sections:
            self.text(section.text, page.place)
            cells = section.table.rows if section.table is not None else ()
            for cell in (cell for row in cells for cell in row):
                self.text(cell, page.place)

    def rule(self, rule: Rule) -> None:
        for entry in rule.evidence:
            if self.knowledge.statements:
                self.entry(entry, rule.place)
            known = self.knowledge.statements.get(entry.statement)
            if known is not None and (known.not_on_cards or known.nowhere):
                what = f"'{entry.statement}' is to stand on no card"
                self.author.error(rule.place, what, known.not_on_cards or known.nowhere, "card")
        for link in rule.card.links:
            name = link.page.partition("#")[0].removesuffix(".html")
            if self.knowledge.pages and name not in self.knowledge.pages:
                self.unknown(name, "page", rule.place, self.knowledge.pages)
