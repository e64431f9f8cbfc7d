"""What `cds lint` finds in a pack: in its rules and their words, and in its scenarios."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from pathlib import Path

from cds.authoring.mutation.arguments import refused_arguments
from cds.authoring.scenario import FIXTURES, Scenario, Suite, read_suite
from cds.authoring.shorthand import DRUGS
from cds.rulebook.document import Node, read_document
from cds.rulebook.lint import lint_rules
from cds.rulebook.model import INDICATORS, Rulebook
from cds.rulebook.reading import Author, first
from cds.rulebook.site import Site
from cds.values.problem import Place, Problem, Severity


def find_problems(root: Path, site: Site) -> tuple[Rulebook | None, Suite, list[Problem]]:
    """The pack, its scenarios, and all that is wrong in either: sorted, each once."""
    problems: list[Problem] = []
    rulebook = lint_rules(root, site, problems)
    if rulebook is not None and not any(item.severity is Severity.ERROR for item in problems):
        problems += refused_arguments(root, rulebook)
    suite = read_suite(root)
    problems += suite.problems
    author = Author(problems)
    if rulebook is not None:
        _check_scenarios(suite, rulebook, author)
    _check_fixtures(root, suite, author)
    return rulebook, suite, sorted(set(problems))


def _check_scenarios(suite: Suite, rulebook: Rulebook, author: Author) -> None:
    ordered = {name for order in rulebook.precedence.problems.values() for name in order.rules}
    known = {rule.id for rule in rulebook.rules} | ordered
    seen: dict[tuple[str, str], Scenario] = {}
    for scenario in suite.scenarios:
        where = scenario.place
        first_one = seen.setdefault((where.file, scenario.name), scenario)
        if first_one is not scenario:
            what = f"'{scenario.name}' is a scenario in line {first_one.place.line} too"
            author.error(where, what, "each name once", "duplicate")
        expects = scenario.expects
        # A file about the pack as a whole is of no rule.
        own = (scenario.rule,) if scenario.rule else ()
        for rule in dict.fromkeys((*own, *expects.rules)):
            # A rule that does not exist never speaks: what must not come would never come.
            if rule not in known:
                author.error(where, f"'{rule}' is no rule of the pack", "the id of a rule", "name")
        for _, level in (*expects.cards, *expects.must_not, *(expects.lines or ())):
            if level not in ("", *INDICATORS):
                accepted = ", ".join(INDICATORS)
                author.error(where, f"'{level}' is no indicator", accepted, "value")


def _check_fixtures(root: Path, suite: Suite, author: Author) -> None:
    """Advises on fixtures and drugs that no scenario, default or other fixture names."""
    path = root / FIXTURES
    node = read_document(path, FIXTURES, []) if path.is_file() else None
    fixtures = first(first(node).get("fixtures"))
    others = {name: value for name, value in suite.fixtures.items() if name != DRUGS}
    bodies = [scenario.body for scenario in suite.scenarios]
    # A drug's entry names itself: what it is used for stands elsewhere.
    outside = {*_words(bodies), *_words(suite.defaults)}
    _advise(first(fixtures.get(DRUGS)), "drug", {*outside, *_words(others)}, author)
    for name in fixtures.mapping:
        inner = {other: value for other, value in others.items() if other != name}
        if name != DRUGS and name not in outside and name not in set(_words(inner)):
            _advise_one(fixtures.keys[name], "fixture", name, author)


def _advise(node: Node, what: str, used: Collection[str], author: Author) -> None:
    for name, place in node.keys.items():
        if name not in used:
            _advise_one(place, what, name, author)


def _advise_one(place: Place, what: str, name: str, author: Author) -> None:
    author.advise(place, f"the {what} '{name}' is used nowhere", "", "unused")


def _words(value: object) -> Iterator[str]:
    """Every key and text in what a scenario gives."""
    if isinstance(value, Mapping):
        for key, below in value.items():
            yield str(key)
            yield from _words(below)
    elif isinstance(value, list | tuple):
        for below in value:
            yield from _words(below)
    elif isinstance(value, str):
        yield value
