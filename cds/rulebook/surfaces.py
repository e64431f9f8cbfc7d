"""Where each statement, source and dispute of a pack surfaces: on which rules and pages."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import msgspec

from cds.rulebook.knowledge import Dispute, Knowledge, ThemePage
from cds.rulebook.model import Evidence, Rule, Rulebook
from cds.rulebook.reading import Author


class Surface(msgspec.Struct, frozen=True):
    """The rules and pages on which something stands, each once, in their order."""

    rules: tuple[str, ...] = ()
    pages: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.rules or self.pages)


class Surfaces(msgspec.Struct, frozen=True):
    """Surfaces by the id of a statement (or a source that speaks for itself), and of a source."""

    statements: Mapping[str, Surface]
    sources: Mapping[str, Surface]
    disputes: Mapping[str, Surface]


class _Count(msgspec.Struct):
    rules: dict[str, dict[str, None]] = msgspec.field(default_factory=dict)
    pages: dict[str, dict[str, None]] = msgspec.field(default_factory=dict)

    def surfaces(self) -> dict[str, Surface]:
        names = dict.fromkeys([*self.rules, *self.pages])
        return {
            name: Surface(tuple(self.rules.get(name, ())), tuple(self.pages.get(name, ())))
            for name in names
        }


def surfaces(rulebook: Rulebook, knowledge: Knowledge) -> Surfaces:
    """Where everything surfaces, by the evidence of rules and the entries of pages."""
    statements, sources, disputes = _Count(), _Count(), _Count()
    places: list[tuple[str, Iterable[Evidence], bool]] = [
        (rule.id, rule.evidence, True) for rule in rulebook.rules
    ]
    places += [(page.id, page.entries, False) for page in knowledge.pages.values()]
    for name, entries, is_rule in places:
        for entry in entries:
            for key, count in ((entry.statement, statements), (entry.source, sources)):
                kept = count.rules if is_rule else count.pages
                kept.setdefault(key, {})[name] = None
    for rule in rulebook.rules:
        for dispute in disputes_of(rule, knowledge):
            disputes.rules.setdefault(dispute.id, {})[rule.id] = None
    for page in knowledge.pages.values():
        for dispute in disputes_on(page, knowledge):
            disputes.pages.setdefault(dispute.id, {})[page.id] = None
    return Surfaces(statements.surfaces(), sources.surfaces(), disputes.surfaces())


def check_surfaces(rulebook: Rulebook, knowledge: Knowledge, author: Author) -> None:
    """Reports statements that surface nowhere without a reason, and disputes that nobody is told.

    ``rulebook`` must hold every rule of the pack, those that are off included.
    """
    found = surfaces(rulebook, knowledge)
    for name, statement in knowledge.statements.items():
        accepted = "an evidence entry of a rule, an entry of a page, or nowhere: REASON"
        if not found.statements.get(name) and not statement.nowhere:
            author.error(statement.place, f"'{name}' surfaces nowhere", accepted, "missing")
        if found.statements.get(name) and statement.nowhere:
            author.error(statement.place, f"'{name}' is to surface nowhere", accepted, "value")
    for name, dispute in knowledge.disputes.items():
        if not found.disputes.get(name):
            accepted = "rules: [ID] or pages: [NAME] where a reader meets it"
            author.error(dispute.place, f"'{name}' is told nowhere", accepted, "missing")


def disputes_of(rule: Rule, knowledge: Knowledge) -> list[Dispute]:
    """The disputes told on a rule's page: those that name it or that its evidence names."""
    told = " ".join(f"{entry.contradicted_by} {entry.strength}" for entry in rule.evidence)
    return [
        dispute
        for dispute in knowledge.disputes.values()
        if rule.id in dispute.rules or dispute.id in told
    ]


def disputes_on(page: ThemePage, knowledge: Knowledge) -> list[Dispute]:
    """The disputes that are told on a theme's page."""
    return [
        dispute
        for dispute in knowledge.disputes.values()
        if page.id in dispute.pages or dispute.id in page.disputes
    ]


def theme_of(rule: Rule, knowledge: Knowledge) -> str:
    """The page that a rule belongs to: by its group, else its first link; "" for none."""
    for page in knowledge.pages.values():
        if rule.group in page.groups:
            return page.id
    linked = (link.page.partition("#")[0].removesuffix(".html") for link in rule.card.links)
    return next((name for name in linked if name in knowledge.pages), "")
