"""JUnit's XML for continuous integration: a suite for each file, a case for each scenario."""

from __future__ import annotations

import re
import sys
from collections.abc import Sequence
from pathlib import Path
from xml.etree.ElementTree import Element, SubElement, indent, tostring

import msgspec

from cds.authoring.github import shown_path
from cds.authoring.reporter import summary
from cds.authoring.scenario import Outcome
from cds.authoring.terminal import err
from cds.values.problem import Problem

# What XML 1.0 cannot hold, not even as a reference.
_NO_XML = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


class _Suite(msgspec.Struct):
    """The outcomes of one file, each with its seconds, and what kept it from being read."""

    outcomes: list[tuple[Outcome, float]] = msgspec.field(default_factory=list)
    problems: list[Problem] = msgspec.field(default_factory=list)


class JunitReporter(msgspec.Struct, frozen=True):
    """Collects outcomes and writes one document at the end; ``root`` is the pack's folder."""

    root: Path
    suites: dict[str, _Suite] = msgspec.field(default_factory=dict)

    def problems(self, problems: Sequence[Problem]) -> None:
        for problem in problems:
            self.suites.setdefault(problem.where.file, _Suite()).problems.append(problem)

    def outcome(self, outcome: Outcome, seconds: float, /) -> None:
        file = outcome.scenario.place.file
        self.suites.setdefault(file, _Suite()).outcomes.append((outcome, seconds))

    def end(self, total: int, failed: int) -> None:
        sys.stdout.buffer.write(self.document() + b"\n")
        err().print(summary(total, failed))

    def document(self) -> bytes:
        """The XML document, UTF-8."""
        root = Element("testsuites", name="cds test")
        for file, suite in sorted(self.suites.items()):
            self._suite(root, file, suite)
        _count(root, list(root.iter("testcase")))
        indent(root)
        return bytes(tostring(root, encoding="utf-8", xml_declaration=True))

    def _suite(self, root: Element, file: str, suite: _Suite) -> None:
        element = SubElement(root, "testsuite", name=_clean(file), file=self._shown(file))
        for problem in suite.problems:
            case = self._case(element, file, "the file can be read", problem.where.line, 0.0)
            error = SubElement(case, "error", type=problem.kind, message=_clean(problem.what))
            error.text = _clean(problem.render())
        for outcome, seconds in suite.outcomes:
            scenario = outcome.scenario
            case = self._case(element, file, scenario.name, scenario.place.line, seconds)
            case.set("classname", _clean(scenario.rule or file))
            if not outcome.passed:
                where = f"{self._shown(file)}:{scenario.place.line}"
                told = SubElement(case, "failure", type="scenario")
                told.set("message", _clean(f"{where}: {outcome.failures[0]}"))
                told.text = _clean("\n".join(f"{where}: {text}" for text in outcome.failures))
        _count(element, list(element))

    def _case(self, parent: Element, file: str, name: str, line: int, seconds: float) -> Element:
        case = SubElement(parent, "testcase", classname=_clean(file), name=_clean(name))
        case.set("file", self._shown(file))
        case.set("line", str(line or 1))
        case.set("time", f"{seconds:.3f}")
        return case

    def _shown(self, file: str) -> str:
        return _clean(shown_path(self.root, file))


def _count(element: Element, cases: list[Element]) -> None:
    failures = sum(case.find("failure") is not None for case in cases)
    errors = sum(case.find("error") is not None for case in cases)
    seconds = sum(float(case.get("time", "0")) for case in cases)
    for name, value in (("tests", len(cases)), ("failures", failures), ("errors", errors)):
        element.set(name, str(value))
    element.set("skipped", "0")
    element.set("time", f"{seconds:.3f}")


def _clean(text: str) -> str:
    return _NO_XML.sub("\ufffd", text)
