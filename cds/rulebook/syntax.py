"""The shapes a sentence of the rule language can take, once parsed.

A test answers yes, no or unknown; a value is a date, an amount, a number of days or a word.
``columns`` count from the start of the sentence, so that an error can point into it.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any, Literal, get_args

import msgspec

Comparison = Literal["at least", "at most", "more than", "less than"]
Direction = Literal["before", "after"]
Unit = Literal["days", "hours"]
Pick = Literal["latest", "earliest", "largest", "smallest", "sum of"]


class Path(msgspec.Struct, frozen=True):
    """A name, or a property of one: ``order``, ``order.end``, ``today``, a parameter's name."""

    name: str
    field: str = ""
    column: int = 0

    @property
    def text(self) -> str:
        return f"{self.name}.{self.field}" if self.field else self.name


class Number(msgspec.Struct, frozen=True):
    """A number with its unit: ``3 days`` or ``5 mg``."""

    value: Decimal
    unit: str = ""
    column: int = 0


class Arithmetic(msgspec.Struct, frozen=True):
    """A value reckoned from two: ``order.start - 1 day``."""

    left: Value
    sign: Literal["+", "-", "×"]
    right: Value


class Picked(msgspec.Struct, frozen=True):
    """``latest of`` / ``sum of`` a property over every fact of a name."""

    pick: Pick
    path: Path


class Elapsed(msgspec.Struct, frozen=True):
    """``days from A to B`` (calendar days) or ``hours from A to B`` (elapsed)."""

    unit: Unit
    start: Value
    end: Value


Value = Path | Number | Arithmetic | Picked | Elapsed


class Exists(msgspec.Struct, frozen=True):
    """Whether there is such a fact: ``order``."""

    name: str
    column: int = 0


class No(msgspec.Struct, frozen=True):
    """Whether there is no such fact: ``no order``."""

    name: str
    column: int = 0


class Every(msgspec.Struct, frozen=True):
    """Whether a test holds of each fact of a name: ``every order is drafted``."""

    name: str
    test: Test
    column: int = 0


class Count(msgspec.Struct, frozen=True):
    """Whether there are enough facts of a name: ``at least 2 order``."""

    at_least: int
    name: str
    column: int = 0


class Not(msgspec.Struct, frozen=True):
    """The opposite: ``not order is current``."""

    test: Test


class And(msgspec.Struct, frozen=True):
    """Whether each test holds: ``order is current and order is drafted``."""

    tests: tuple[Test, ...]


class Or(msgspec.Struct, frozen=True):
    """Whether any test holds: ``order is current or order is recent``."""

    tests: tuple[Test, ...]


class CouldBe(msgspec.Struct, frozen=True):
    """Yes unless it is known not to be: ``could be order is current``."""

    test: Test


class Unsure(msgspec.Struct, frozen=True):
    """Yes exactly while the test is unknown: ``unsure whether order is current``."""

    test: Test


class Is(msgspec.Struct, frozen=True):
    """``X is current`` or ``X.route is any of oral, buccal``."""

    value: Path
    words: tuple[str, ...]
    column: int = 0


class IsKnown(msgspec.Struct, frozen=True):
    """Whether the record gives a value: ``order.dose is known``."""

    value: Value


class Compared(msgspec.Struct, frozen=True):
    """``value is at most bound``."""

    value: Value
    comparison: Comparison
    bound: Value


class Between(msgspec.Struct, frozen=True):
    """``value is 1 mg to 5 mg``: both ends included."""

    value: Value
    low: Value
    high: Value


class Window(msgspec.Struct, frozen=True):
    """``value is 1 to 10 days before anchor``: both ends included."""

    value: Value
    low: Value
    high: Value
    unit: Unit
    direction: Direction
    anchor: Value


class Ordered(msgspec.Struct, frozen=True):
    """``value is before anchor``."""

    value: Value
    direction: Direction
    anchor: Value


class Matches(msgspec.Struct, frozen=True):
    """Whether two values have something in common: ``order.name matches other.name``."""

    left: Value
    right: Value


class Includes(msgspec.Struct, frozen=True):
    """``it.exposure includes today`` or ``it.topics includes word``."""

    value: Path
    element: Value


class Otherwise(msgspec.Struct, frozen=True):
    """The last line of a list of levels or labels: always yes."""


Test = (
    Exists | No | Every | Count | Not | And | Or | CouldBe | Unsure | Is | IsKnown
    | Compared | Between | Window | Ordered | Matches | Includes | Otherwise
)  # fmt: skip


def nodes(node: object) -> list[Test | Value]:
    """Every test and value inside a test, a value or a tuple of them, itself first."""
    found: list[Any] = []
    _collect(node, found, ())
    return found


def _collect(node: object, found: list[Any], closed: tuple[type, ...]) -> None:
    """Adds a node and what is in it, in reading order; of a ``closed`` one nothing inside."""
    inside = _INSIDE.get(type(node))
    if inside is not None:
        found.append(node)
        if not isinstance(node, closed):
            for name in inside:
                _collect(getattr(node, name), found, closed)
    elif isinstance(node, tuple):
        for item in node:
            _collect(item, found, closed)


def paths(node: object) -> list[Path]:
    """Every path that a test or value reads, in reading order."""
    return [item for item in nodes(node) if isinstance(item, Path)]


def single_paths(node: object) -> list[Path]:
    """The paths that stand for one fact at a time: not those that a pick takes all of."""
    found: list[Any] = []
    _collect(node, found, (Picked,))
    return [item for item in found if isinstance(item, Path)]


def names(node: object) -> list[tuple[str, int]]:
    """Every fact name that a test asks about by itself (``no X``, ``every X``, plain ``X``)."""
    asking = (item for item in nodes(node) if isinstance(item, Exists | No | Every | Count))
    return [(item.name, item.column) for item in asking]


# The fields of each kind of node that hold others; what else they hold is text and numbers.
_HOLDS = {"Test", "Value", "Path", "tuple[Test, ...]"}
_INSIDE: dict[type, tuple[str, ...]] = {
    kind: tuple(name for name, of in kind.__annotations__.items() if of in _HOLDS)
    for kind in (*get_args(Test), *get_args(Value))
}


def spoken(node: object) -> str:
    """A test or value in the words of the language (for traces; parentheses where needed)."""
    match node:
        case Path():
            return node.text
        case Number():
            return f"{node.value} {node.unit}".strip()
        case Arithmetic():
            return f"{spoken(node.left)} {node.sign} {spoken(node.right)}"
        case Picked():
            return f"{node.pick} {node.path.text}"
        case Elapsed():
            return f"{node.unit} from {spoken(node.start)} to {spoken(node.end)}"
        case Exists():
            return node.name
        case No():
            return f"no {node.name}"
        case Every():
            return f"every {spoken(node.test)}"
        case Count():
            return f"at least {node.at_least} {node.name}"
        case Not():
            return f"not {spoken(node.test)}"
        case And():
            return "(" + " and ".join(spoken(test) for test in node.tests) + ")"
        case Or():
            return "(" + " or ".join(spoken(test) for test in node.tests) + ")"
        case CouldBe():
            return f"could be {spoken(node.test)}"
        case Unsure():
            return f"unsure whether {spoken(node.test)}"
        case _:
            return _spoken_relation(node)


def _spoken_relation(node: object) -> str:
    match node:
        case Is():
            words = ", ".join(node.words)
            return f"{node.value.text} is {'any of ' if len(node.words) > 1 else ''}{words}"
        case IsKnown():
            return f"{spoken(node.value)} is known"
        case Compared():
            return f"{spoken(node.value)} is {node.comparison} {spoken(node.bound)}"
        case Between():
            return f"{spoken(node.value)} is {spoken(node.low)} to {spoken(node.high)}"
        case Window():
            bounds = f"{spoken(node.low)} to {spoken(node.high)} {node.unit}"
            return f"{spoken(node.value)} is {bounds} {node.direction} {spoken(node.anchor)}"
        case Ordered():
            return f"{spoken(node.value)} is {node.direction} {spoken(node.anchor)}"
        case Matches():
            return f"{spoken(node.left)} matches {spoken(node.right)}"
        case Includes():
            return f"{node.value.text} includes {spoken(node.element)}"
        case _:
            return "otherwise"
