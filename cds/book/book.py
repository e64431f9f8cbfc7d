"""Everything that the pages of a rule book are made of, read and reckoned once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import msgspec

from cds.authoring.scenario import Runner, Suite, read_suite
from cds.book.english import English
from cds.book.prose import Prose
from cds.book.reach import Reach, reach_of
from cds.book.shown import Showing
from cds.book.valuesets import Listing, read_listings
from cds.rulebook.knowledge import Knowledge, check_knowledge, read_knowledge
from cds.rulebook.model import Rule, Rulebook
from cds.rulebook.pack import RulebookError, load_rulebook
from cds.rulebook.reading import Author
from cds.rulebook.site import Site, is_on
from cds.rulebook.surfaces import Surfaces, check_surfaces, surfaces, theme_of
from cds.values.problem import Problem, Severity


class Book(msgspec.Struct, frozen=True, eq=False):
    """A pack as the rule book shows it: every rule, also those that are switched off."""

    root: Path
    site: Site
    rulebook: Rulebook
    knowledge: Knowledge
    suite: Suite
    surfaces: Surfaces
    reaches: Mapping[str, Reach]
    listings: Mapping[str, Listing]
    showing: Showing
    prose: Prose
    english: English

    def is_on(self, rule: Rule) -> bool:
        """Whether a rule judges at the site that the book is made for."""
        return is_on(rule, self.site)

    def theme(self, rule: Rule) -> str:
        """The page that a rule belongs to; "" for none."""
        return theme_of(rule, self.knowledge)

    def users(self) -> dict[tuple[str, str], list[str]]:
        """The ids of the rules that use a word, label or property of a kind."""
        found: dict[tuple[str, str], list[str]] = {}
        for rule_id, reach in self.reaches.items():
            for key in dict.fromkeys((*reach.words, *reach.labels, *reach.properties)):
                found.setdefault(key, []).append(rule_id)
        return found

    def users_of_number(self, name: str) -> list[str]:
        return [rule for rule, reach in self.reaches.items() if name in reach.parameters]

    def users_of_set(self, name: str) -> list[str]:
        return [rule for rule, reach in self.reaches.items() if name in reach.valuesets]


def read_book(root: Path, site: Site) -> Book:
    """The book of the pack in ``root`` for a site.

    Raises RulebookError with every error of the pack, its evidence and its scenario files.
    """
    rulebook = load_rulebook(root, site, switched_off=True)
    problems: list[Problem] = []
    author = Author(problems)
    knowledge = read_knowledge(root, author)
    check_knowledge(knowledge, rulebook, author)
    check_surfaces(rulebook, knowledge, author)
    suite = read_suite(root)
    problems += suite.problems
    errors = [problem for problem in problems if problem.severity is Severity.ERROR]
    if errors:
        raise RulebookError(errors)
    return Book(
        root=root,
        site=site,
        rulebook=rulebook,
        knowledge=knowledge,
        suite=suite,
        surfaces=surfaces(rulebook, knowledge),
        reaches={rule.id: reach_of(rule, rulebook) for rule in rulebook.rules},
        listings=read_listings(root, rulebook.terminology.valuesets),
        showing=Showing(Runner(suite, replace(site, enable=(), disable=(), place=None))),
        prose=Prose.of(rulebook, knowledge),
        english=English(rulebook, local=True),
    )
