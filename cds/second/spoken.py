"""The network's rows in words, for whoever looks into a disagreement."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from cds.rulebook import syntax
from cds.second.formula import All, Any, Bound, Enough, Fewer, Formula, Row, Some, Without
from cds.second.planes import UNKNOWN, YES, Column, Leaf, Unanswered


class Speaker:
    """Says formulas. ``columns`` and ``names`` tell what a table's rows are about."""

    def __init__(self, columns: Mapping[int, Sequence[Column]], names: Mapping[int, str]) -> None:
        self._columns, self._names = columns, names

    def say(self, formula: Formula) -> str:
        match formula:
            case Row():
                return self._row(formula)
            case All(parts):
                return "(" + " and ".join(self.say(part) for part in parts) + ")"
            case Any(parts):
                return "(" + " or ".join(self.say(part) for part in parts) + ")"
            case Some(name, inner):
                return f"some {name} with {self.say(inner)}"
            case Without(name, inner):
                return f"no {name} with {self.say(inner)}"
            case Enough(number, row):
                return f"at least {number} with {self.say(row)}"
            case Fewer(number, row):
                return f"fewer than {number} with {self.say(row)}"

    def _row(self, row: Row) -> str:
        columns = self._columns.get(row.table, ())
        told = [
            " or ".join(self._limit(row, columns, bound) for bound in group) for group in row.limits
        ]
        return " and ".join(told) or self._names.get(row.table, ", ".join(row.names))

    def _limit(self, row: Row, columns: Sequence[Column], bound: Bound) -> str:
        if columns:
            what = _column(columns[bound.column])
        else:
            what = self._names.get(row.table, ", ".join(row.names))
        if bound.at_least:
            return f"{'surely' if bound.value == YES else 'possibly'} {what}"
        return f"{'possibly' if bound.value == UNKNOWN else 'surely'} not {what}"


def _column(column: Column) -> str:
    if isinstance(column, Leaf):
        return f"[{syntax.spoken(column.test)}]"
    if isinstance(column, Unanswered):
        return f"[{column.name} was not answered]"
    return f"[is {column.text}]"
