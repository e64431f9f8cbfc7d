"""Scenarios of a pack: read, expanded to FHIR, judged by the front door, compared card by card."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import lru_cache
from pathlib import Path

import msgspec

from cds.authoring.expectation import EXPECTATIONS, Expectation, failures, read_expectation
from cds.authoring.shorthand import ShorthandError, expand
from cds.cards.judge import Judged, Setting, judge, read_input
from cds.cards.wire import encode
from cds.rulebook.document import Node, read_document
from cds.rulebook.model import Rulebook
from cds.rulebook.pack import RulebookError, WholePack
from cds.rulebook.site import Site
from cds.second.opinion import Engine
from cds.second.problem import EngineError
from cds.values.moment import read_instant, zone
from cds.values.problem import Place, Problem, Severity

FIXTURES = "fixtures.yaml"


class Scenario(msgspec.Struct, frozen=True):
    """One scenario of a file: the input in shorthand and what must come of it."""

    name: str
    rule: str
    place: Place
    body: Mapping[str, object]
    expects: Expectation


class Outcome(msgspec.Struct, frozen=True):
    """What came of a scenario: nothing in ``failures`` means that it passed."""

    scenario: Scenario
    failures: tuple[str, ...]
    judged: Judged | None = None

    @property
    def passed(self) -> bool:
        return not self.failures


class Suite(msgspec.Struct, frozen=True):
    """The scenarios of a pack with their fixtures, and what was wrong in the files."""

    root: Path
    scenarios: tuple[Scenario, ...]
    fixtures: Mapping[str, object] = msgspec.field(default_factory=dict)
    defaults: Mapping[str, object] = msgspec.field(default_factory=dict)
    problems: tuple[Problem, ...] = ()


def read_suite(root: Path, only: Path | None = None) -> Suite:
    """The scenarios of the pack in ``root``; those of one file, folder or rule with ``only``."""
    problems: list[Problem] = []
    scenarios: list[Scenario] = []
    for path in _files(root, only):
        node = read_document(path, _name(path, root), problems)
        if node is not None:
            scenarios += _read_file(node, problems)
    fixtures, defaults = _read_fixtures(root, problems)
    return Suite(root, tuple(scenarios), fixtures, defaults, tuple(sorted(problems)))


def _files(root: Path, only: Path | None) -> list[Path]:
    if only is None:
        return sorted(root.glob("*/*.scenarios.yaml"))
    if only.is_dir():
        return sorted({*only.glob("*.scenarios.yaml"), *only.glob("*/*.scenarios.yaml")})
    if only.name.endswith(".scenarios.yaml"):
        return [only]
    beside = only.with_suffix(".scenarios.yaml")
    return [beside] if beside.is_file() else []


def _name(path: Path, root: Path) -> str:
    return path.relative_to(root).as_posix() if path.is_relative_to(root) else str(path)


def _read_file(node: Node, problems: list[Problem]) -> Iterator[Scenario]:
    rule = node.get("rule")
    listed = node.get("scenarios")
    if listed is None:
        problems.append(
            Problem(node.place, "'scenarios' is missing", "scenarios: [...]", "missing")
        )
        return
    for item in listed.items:
        found = _read_scenario(item, rule.text if rule is not None else "", problems)
        if found is not None:
            yield found


def _read_scenario(node: Node, rule: str, problems: list[Problem]) -> Scenario | None:
    name = node.get("name")
    expect = node.get("expect")
    if name is None or expect is None:
        missing = "name" if name is None else "expect"
        problems.append(Problem(node.place, f"'{missing}' is missing", f"{missing}: …", "missing"))
        return None
    plain = node.plain()
    body = (
        {key: value for key, value in plain.items() if key not in EXPECTATIONS}
        if isinstance(plain, dict)
        else {}
    )

    return Scenario(name.text, rule, node.place, body, read_expectation(node))


def _read_fixtures(
    root: Path, problems: list[Problem]
) -> tuple[dict[str, object], dict[str, object]]:
    path = root / FIXTURES
    if not path.is_file():
        return {}, {}
    node = read_document(path, FIXTURES, problems)
    plain = node.plain() if node is not None else {}
    if not isinstance(plain, dict):
        return {}, {}
    fixtures, defaults = plain.get("fixtures", {}), plain.get("defaults", {})
    return (
        fixtures if isinstance(fixtures, dict) else {},
        defaults if isinstance(defaults, dict) else {},
    )


# -- running -------------------------------------------------------------------------------------


class Runner(msgspec.Struct, frozen=True):
    """Runs scenarios against one pack; a scenario may switch rules or set parameters of its own."""

    suite: Suite
    site: Site
    engine: Engine = "reference"

    def document(self, scenario: Scenario) -> bytes:
        """The FHIR JSON that a scenario stands for. Raises ShorthandError, ValueError."""
        return encode(expand(scenario.body, self.suite.fixtures, self.suite.defaults))

    def run(self, scenario: Scenario) -> Outcome:
        """The outcome; whatever goes wrong is a failure with a reason, never an exception."""
        try:
            document = self.document(scenario)
            setting = self.setting(scenario, _rulebook(self.suite.root, self.site_of(scenario)))
        except (ShorthandError, ValueError) as error:
            return Outcome(scenario, (str(error),))
        except RulebookError as error:
            return Outcome(scenario, tuple(problem.render() for problem in error.problems))
        charts = read_input(document, scenario.name, setting)
        try:
            judged = list(judge(charts, scenario.name, setting))
        except EngineError as error:
            return Outcome(scenario, tuple(problem.render() for problem in error.problems))
        if len(judged) != 1:
            return Outcome(scenario, (f"{len(judged)} patients were judged, not one",))
        found = judged[0]
        failed = failures(scenario.expects, found.answer, found.problems)
        return Outcome(scenario, (*failed, *_engine_failures(found)), found)

    def run_all(self) -> Iterator[Outcome]:
        for scenario in self.suite.scenarios:
            yield self.run(scenario)

    def setting(self, scenario: Scenario, rulebook: Rulebook) -> Setting:
        """What a scenario is judged by, and when. Raises ValueError."""
        body = {**self.suite.defaults, **scenario.body}
        site_zone = zone(str(body.get("timezone", "UTC")))
        as_of = read_instant(str(body.get("as-of", "")), site_zone)
        hook = str(body.get("hook", "")) if body.get("hook") == "audit" else ""
        return Setting(rulebook, as_of, site_zone, hook, "p1", self.engine)

    def site_of(self, scenario: Scenario) -> Site:
        """The site with the rules that a scenario switches and the numbers that it sets."""
        body = {**self.suite.defaults, **scenario.body}
        parameters = body.get("parameters", {})
        changed = tuple(parameters.items()) if isinstance(parameters, dict) else ()
        return replace(
            self.site,
            parameters=(*self.site.parameters, *((name, str(value)) for name, value in changed)),
            enable=(*self.site.enable, *_words(body.get("enable"))),
            disable=(*self.site.disable, *_words(body.get("disable"))),
            place=None,
        )


@lru_cache(maxsize=32)
def _rulebook(root: Path, site: Site) -> Rulebook:
    problems: list[Problem] = []
    found = _whole(root).at(site, problems)
    if problems:
        raise RulebookError(problems)
    return found


@lru_cache(maxsize=4)
def _whole(root: Path) -> WholePack:
    """The pack, read once: many scenarios have a site of their own."""
    problems: list[Problem] = []
    found = WholePack.read(root, problems)
    errors = [problem for problem in problems if problem.severity is Severity.ERROR]
    if errors or found is None:
        raise RulebookError(errors or problems)
    return found


def _words(value: object) -> tuple[str, ...]:
    if isinstance(value, list):
        return tuple(str(item) for item in value)
    return (str(value),) if value else ()


def _engine_failures(judged: Judged) -> Iterator[str]:
    """What an engine could not judge or says nothing of, and what two of them disagree about."""
    for problem in judged.problems:
        if problem.kind in ("engine", "disagreement"):
            yield problem.what
    for verdict in judged.answer.unknown:
        if not verdict.missing:
            yield f"{verdict.rule.id} is unknown, and nothing says why"
