"""Why the second engine cannot run: at all here, or with these rules."""

from __future__ import annotations

from collections.abc import Iterable

from cds.values.problem import Problem


class EngineError(Exception):
    """The second engine cannot run; ``problems`` name each rule that it cannot judge, and why."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(sorted(problems))
        super().__init__("\n".join(problem.render() for problem in self.problems))
