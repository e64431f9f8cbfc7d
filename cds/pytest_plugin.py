"""A pytest plugin: each scenario of a rule pack is a test, named and placed as in its file.

Installed with the package, it collects ``*.scenarios.yaml`` of packs and nothing else. Nothing of
the engine is imported before such a file is met.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from cds.authoring.scenario import Outcome, Runner, Scenario
    from cds.second.opinion import Engine

_SUFFIX = ".scenarios.yaml"
_MARKER = "scenario"


def pytest_addoption(parser: pytest.Parser) -> None:
    """Which rules judge, by which engine, at which site; each an option and an ini value."""
    group = parser.getgroup("cds", "scenarios of clinical rule packs")
    for name, what in (
        ("rules", "folder of the rule pack [default: the pack that a scenario lies in]"),
        ("engine", "reference, durable or both [default: both where both can run]"),
        ("config", "site configuration: time zone, parameters, groups"),
    ):
        group.addoption(f"--cds-{name}", dest=f"cds_{name}", metavar=name.upper(), help=what)
        parser.addini(f"cds_{name}", what, default="")


def pytest_configure(config: pytest.Config) -> None:
    """Makes ``-m scenario`` and ``-m "not scenario"`` known."""
    config.addinivalue_line("markers", f"{_MARKER}: a scenario of a clinical rule pack")


def pytest_collect_file(file_path: Path, parent: pytest.Collector) -> pytest.Collector | None:
    """The scenarios of a file of a pack, or of one beside --cds-rules; None for any other file."""
    if not file_path.name.endswith(_SUFFIX):
        return None
    root = _pack_of(file_path, parent.config)
    if root is None:
        return None
    found: pytest.Collector = ScenarioFile.from_parent(parent, path=file_path)
    return found


class ScenarioFile(pytest.File):
    """One ``*.scenarios.yaml`` with its scenarios."""

    def collect(self) -> Iterator[pytest.Item]:
        """Its scenarios in their order; raises CollectError for a file or pack that is unusable."""
        from cds.authoring.scenario import Runner, read_suite

        root = _pack_of(self.path, self.config)
        assert root is not None
        suite = read_suite(root, self.path)
        try:
            site, engine = _site(self.config), _engine(self.config)
        except ValueError as error:
            raise self.CollectError(str(error)) from error
        problems = [*suite.problems, *_unusable(self.config, root, site)]
        if problems:
            raise self.CollectError("\n".join(problem.render() for problem in problems))
        runner = Runner(suite, site, engine)
        for scenario in suite.scenarios:
            item: ScenarioItem = ScenarioItem.from_parent(self, name=scenario.name)
            item.set(scenario, runner)
            yield item


class ScenarioError(Exception):
    """A scenario that did not come out as its file says."""


class ScenarioItem(pytest.Item):
    """One scenario as a test."""

    scenario: Scenario
    runner: Runner

    def set(self, scenario: Scenario, runner: Runner) -> None:
        """What is to be run."""
        self.scenario, self.runner = scenario, runner
        self.add_marker(_MARKER)
        if scenario.rule:
            self.extra_keyword_matches.add(scenario.rule)  # so that -k finds a rule by its id

    def runtest(self) -> None:
        """Judges the scenario; raises ScenarioError with everything that is not as it says."""
        outcome: Outcome = self.runner.run(self.scenario)
        if not outcome.passed:
            where = f"{self.path}:{self.scenario.place.line}"
            raise ScenarioError("\n".join(f"{where}: {text}" for text in outcome.failures))

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], style: Any = None) -> Any:
        """The lines of a failure, without a traceback through the engine."""
        if isinstance(excinfo.value, ScenarioError):
            return str(excinfo.value)
        return super().repr_failure(excinfo, style)

    def reportinfo(self) -> tuple[Path, int, str]:
        """Where the scenario stands; pytest counts lines from 0."""
        return self.path, max(self.scenario.place.line - 1, 0), self.name


def _setting(config: pytest.Config, name: str) -> str:
    """An option of the command line, else of the ini file; "" for none."""
    given = config.getoption(f"cds_{name}", None)
    return str(given or config.getini(f"cds_{name}") or "")


def _path(config: pytest.Config, name: str) -> Path | None:
    """A path of the command line from where pytest was called, one of the ini file from there."""
    if config.getoption(f"cds_{name}", None):
        return config.invocation_params.dir / str(config.getoption(f"cds_{name}"))
    found = str(config.getini(f"cds_{name}") or "")
    return (config.inipath.parent if config.inipath else config.rootpath) / found if found else None


def _pack_of(file: Path, config: pytest.Config) -> Path | None:
    """The pack that judges a file's scenarios: the chosen one, else the one that the file is in."""
    chosen = _path(config, "rules")
    if chosen is not None:
        return chosen.resolve()
    return next((folder for folder in file.parents if (folder / "pack.yaml").is_file()), None)


def _site(config: pytest.Config) -> Any:
    from cds.rulebook.pack import load_site
    from cds.rulebook.site import Site
    from cds.values.problem import Problem

    path = _path(config, "config")
    problems: list[Problem] = []
    site = load_site(path, problems) if path is not None else Site()
    if problems:
        raise ValueError("\n".join(problem.render() for problem in sorted(problems)))
    return site


def _engine(config: pytest.Config) -> Engine:
    from cds.second.opinion import ENGINES
    from cds.second.supervisor import unavailable

    name = _setting(config, "engine")
    if not name:
        return "reference" if unavailable() else "both"
    found = next((engine for engine in ENGINES if engine == name), None)
    if found is None:
        accepted = ", ".join(ENGINES)
        raise ValueError(f"--cds-engine: '{name}' is no engine; accepted: {accepted}")
    if found != "reference" and (why := unavailable()):
        raise ValueError(f"--cds-engine: {why}")
    return found


_CHECKED = pytest.StashKey[dict[Path, Any]]()


def _unusable(config: pytest.Config, root: Path, site: Any) -> list[Any]:
    """The author's errors in a pack: read once, told at each of its files."""
    from cds.rulebook.pack import RulebookError, load_rulebook

    known = config.stash.setdefault(_CHECKED, {})
    if root not in known:
        try:
            load_rulebook(root, site)
            known[root] = []
        except RulebookError as error:
            known[root] = error.problems
    return list(known[root])
