"""The rule book as files: a page for each rule, theme and value set, and lists of them."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.resources import files
from typing import Any

import msgspec

from cds.book.book import Book
from cds.book.english import amount
from cds.book.glossary import chapters
from cds.book.phrase import Phrase, plain
from cds.book.render import Page, render
from cds.book.rulepage import Cited, RulePage, cited, rule_page, severities
from cds.book.search import entries, script
from cds.rulebook.knowledge import Section, ThemePage
from cds.rulebook.model import INDICATORS, Parameter, Rule
from cds.rulebook.surfaces import Surface, disputes_on

ASSETS = ("book.css", "search.js")
INDEX = "assets/index.js"
_SEVEREST = tuple(reversed(INDICATORS))
_NONE = Surface()


class Listed(msgspec.Struct, frozen=True):
    """A rule in a list: the levels that its card can have, and whether it is on."""

    rule: Rule
    levels: tuple[str, ...]
    on: bool
    beyond: bool


class Theme(msgspec.Struct, frozen=True):
    """The rules of one theme; ``page`` is "" for rules that no page is about."""

    page: str
    title: str
    lead: str
    rules: tuple[Listed, ...]


class Numbered(msgspec.Struct, frozen=True):
    """A number of the pack: its value here and as the pack has it, and who uses it."""

    parameter: Parameter
    value: str
    low: str
    high: str
    basis: tuple[Phrase, ...]
    changed: bool
    rules: tuple[str, ...]


class Told(msgspec.Struct, frozen=True):
    """A section of a theme's page."""

    section: Section
    text: Phrase
    rows: tuple[tuple[Phrase, ...], ...]
    entries: tuple[Cited, ...]


class Covered(msgspec.Struct, frozen=True):
    """How much there is of a theme."""

    theme: Theme
    scenarios: int
    fires: int
    silent: int
    statements: int
    beyond: int


def book_files(book: Book) -> dict[str, bytes]:
    """Every file of the site by its path: the same bytes for the same pack and site."""
    shared = _shared(book)
    found = {page.path: render(page, shared).encode() for page in pages(book)}
    assets = files("cds.book") / "assets"
    for name in ASSETS:
        found[f"assets/{name}"] = (assets / name).read_bytes()
    found[INDEX] = script(entries(book)).encode()
    return found


def pages(book: Book) -> Iterator[Page]:
    """Every page, the index first."""
    rules = {rule.id: rule_page(rule, book) for rule in book.rulebook.rules}
    themes = _themes(book)
    yield Page("index.html", book.rulebook.pack.title, "index.html", {"themes": themes})
    for page in book.knowledge.pages.values():
        yield _theme_page(page, themes, book)
    for rule_id, content in rules.items():
        yield Page(f"rules/{rule_id}.html", content.rule.title, "rule.html", {"view": content})
    for listing in book.listings.values():
        users = book.users_of_set(listing.name)
        content_ = {"listing": listing, "users": users}
        yield Page(f"valuesets/{listing.name}.html", listing.title, "valueset.html", content_)
    yield from _lists(book, themes, rules)


def _lists(book: Book, themes: list[Theme], rules: dict[str, RulePage]) -> Iterator[Page]:
    surfaces, knowledge = book.surfaces, book.knowledge
    words = chapters(book.rulebook, book.users())
    yield Page("words.html", "Words", "words.html", {"chapters": words})
    yield Page("valuesets.html", "Value sets", "valuesets.html", {"listings": book.listings})
    yield Page("numbers.html", "Numbers", "numbers.html", {"numbers": _numbers(book)})
    yield Page(
        "sources.html",
        "Sources",
        "sources.html",
        {"surface": lambda name: surfaces.sources.get(name, _NONE), "rests": _rests(book)},
    )
    yield Page(
        "statements.html",
        "Statements",
        "statements.html",
        {
            "statements": knowledge.statements,
            "surface": lambda name: surfaces.statements.get(name, _NONE),
        },
    )
    yield Page(
        "disputes.html",
        "Disputes",
        "disputes.html",
        {
            "disputes": knowledge.disputes,
            "surface": lambda name: surfaces.disputes.get(name, _NONE),
        },
    )
    covered = [_covered(theme, rules) for theme in themes]
    further = len(book.suite.scenarios) - sum(item.scenarios for item in covered)
    content = {"covered": covered, "further": further}
    yield Page("coverage.html", "Coverage", "coverage.html", content)


def _shared(book: Book) -> dict[str, Any]:
    """What every page shows."""
    return {
        "pack": book.rulebook.pack,
        "digest": book.rulebook.digest,
        "prose": book.prose,
        "plain": plain,
        "knowledge": book.knowledge,
        "sources": book.rulebook.sources,
        "rules": {rule.id: rule for rule in book.rulebook.rules},
        "index": INDEX,
    }


# -- themes ----------------------------------------------------------------------------------------


def _themes(book: Book) -> list[Theme]:
    """The themes in the order of their pages, then groups of rules that have none."""
    members: dict[str, list[Rule]] = {name: [] for name in book.knowledge.pages}
    groups: dict[str, list[Rule]] = {}
    for rule in book.rulebook.rules:
        theme = book.theme(rule)
        (members[theme] if theme else groups.setdefault(rule.group, [])).append(rule)
    found = [
        Theme(page.id, page.title, page.lead, _listed(members[page.id], book))
        for page in book.knowledge.pages.values()
    ]
    return found + [Theme("", name, "", _listed(rules, book)) for name, rules in groups.items()]


def _listed(rules: list[Rule], book: Book) -> tuple[Listed, ...]:
    found = []
    for rule in rules:
        levels = severities(rule)
        tag = book.rulebook.pack.badge_tag
        found.append(Listed(rule, levels, book.is_on(rule), bool(tag) and tag in rule.tags))
    return tuple(sorted(found, key=lambda item: (_SEVEREST.index(item.levels[0]), item.rule.id)))


def _theme_page(page: ThemePage, themes: list[Theme], book: Book) -> Page:
    theme = next(theme for theme in themes if theme.page == page.id)
    linked = [
        rule
        for rule in book.rulebook.rules
        if any(link.page.partition("#")[0] == f"{page.id}.html" for link in rule.card.links)
        and book.theme(rule) != page.id
    ]
    content = {
        "theme": page,
        "listed": theme.rules,
        "linked": _listed(linked, book),
        "sections": [_told(section, book) for section in page.sections],
        "disputes": disputes_on(page, book.knowledge),
    }
    return Page(f"{page.id}.html", page.title, "theme.html", content)


def _told(section: Section, book: Book) -> Told:
    rows = section.table.rows if section.table is not None else ()
    return Told(
        section=section,
        text=book.prose(section.text),
        rows=tuple(tuple(book.prose(cell) for cell in row) for row in rows),
        entries=tuple(cited(entry, book) for entry in section.entries),
    )


# -- lists -----------------------------------------------------------------------------------------


def _numbers(book: Book) -> list[Numbered]:
    chosen = {name for name, _ in book.site.parameters}
    return [
        Numbered(
            parameter=parameter,
            value=amount(parameter),
            low=f"{parameter.low.normalize():f}",
            high=f"{parameter.high.normalize():f} {parameter.unit}".strip(),
            basis=tuple(book.prose(word) for word in parameter.basis),
            changed=name in chosen or parameter.follows in chosen,
            rules=tuple(book.users_of_number(name)),
        )
        for name, parameter in sorted(book.rulebook.parameters.items())
    ]


def _rests(book: Book) -> dict[str, list[str]]:
    """The statements that rest on each source."""
    found: dict[str, list[str]] = {}
    for statement in book.knowledge.statements.values():
        for source in statement.rests_on:
            found.setdefault(source, []).append(statement.id)
    return found


def _covered(theme: Theme, rules: dict[str, RulePage]) -> Covered:
    views = [rules[item.rule.id] for item in theme.rules]
    told = [
        (view.rule.id, one) for view in views for group in view.groups for one in group.scenarios
    ]
    fires = sum(any(rule == card for card, _ in one.comes) for rule, one in told)
    entries = [entry for view in views for entry in view.rule.evidence]
    return Covered(
        theme=theme,
        scenarios=len(told),
        fires=fires,
        silent=len(told) - fires,
        statements=len({entry.statement for entry in entries}),
        beyond=sum(view.beyond for view in views),
    )
