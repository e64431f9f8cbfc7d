"""The index of the search box: what there is to find, as a script that works from a folder."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator

import msgspec

from cds.book.book import Book
from cds.book.english import amount, anchor
from cds.book.phrase import unhyphened


class Entry(msgspec.Struct, frozen=True):
    """One thing to be found: its title, where it stands, what sort it is, further words."""

    title: str
    href: str
    sort: str
    words: str


def entries(book: Book) -> Iterator[Entry]:
    """Everything with a page or an anchor, in the order in which equals are shown."""
    yield from _rules(book)
    yield from _pages(book)
    yield from _words(book)
    yield from _sets(book)
    yield from _references(book)


def _rules(book: Book) -> Iterator[Entry]:
    for rule in book.rulebook.rules:
        told = [rule.id, rule.card.summary, rule.card.why, *rule.tags, *rule.hooks]
        told += [f"{entry.statement} {entry.says}" for entry in rule.evidence]
        yield Entry(rule.title, f"rules/{rule.id}.html", "rule", " ".join(told))


def _pages(book: Book) -> Iterator[Entry]:
    for page in book.knowledge.pages.values():
        yield Entry(page.title, f"{page.id}.html", "theme", page.lead)
        for number, section in enumerate(page.sections, 1):
            said = " ".join(entry.says for entry in section.entries)
            href = f"{page.id}.html#section-{number}"
            yield Entry(f"{section.title} ({page.title})", href, "theme", f"{section.text} {said}")


def _words(book: Book) -> Iterator[Entry]:
    for kind, definition in book.rulebook.definitions.items():
        for name in (*definition.terms, *definition.labels):
            because = definition.terms[name].because if name in definition.terms else ""
            yield Entry(unhyphened(name), anchor(kind, name), f"word ({kind})", because)
    for parameter in book.rulebook.parameters.values():
        title = f"{parameter.name}: {amount(parameter)}"
        yield Entry(title, f"numbers.html#{parameter.name}", "number", parameter.means)


def _sets(book: Book) -> Iterator[Entry]:
    for listing in book.listings.values():
        told = [listing.name]
        for codes in listing.codes:
            told += [f"{code} {display}" for code, display, _ in codes.rows]
        told += [word for title, words in listing.words for word in words if "unless" not in title]
        href = f"valuesets/{listing.name}.html"
        yield Entry(listing.title, href, "value set", " ".join(told))


def _references(book: Book) -> Iterator[Entry]:
    for statement in book.knowledge.statements.values():
        href = f"statements.html#{statement.id}"
        yield Entry(f"{statement.id}: {statement.says}", href, "statement", statement.source)
    for dispute in book.knowledge.disputes.values():
        href = f"disputes.html#{dispute.id}"
        yield Entry(f"{dispute.id}: {dispute.about}", href, "dispute", dispute.resolved)
    for source in book.rulebook.sources.values():
        told = [f"{work.authors} {work.title} {work.doi} {work.pmc}" for work in source.works]
        href = f"sources.html#{source.id}"
        yield Entry(f"{source.id}: {source.cite}", href, "source", " ".join(told))


def script(found: Iterable[Entry]) -> str:
    """The index as a script: a file that was opened from a folder may not fetch another."""
    rows = [[entry.title, entry.href, entry.sort, _folded(entry.words)] for entry in found]
    return f"var RULE_BOOK={json.dumps(rows, ensure_ascii=False, separators=(',', ':'))};\n"


def _folded(words: str) -> str:
    return " ".join(dict.fromkeys(words.lower().split()))
