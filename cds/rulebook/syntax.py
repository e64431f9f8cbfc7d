"""The shapes a sentence of the rule language can take, once parsed.

A test answers yes, no or unknown; a value is a date, an amount, a number of days or a word.
``columns`` count from the start of the sentence, so that an error can point into it.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import Literal

Comparison = Literal["at least", "at most", "more than", "less than"]
Direction = Literal["before", "after"]
Unit = Literal["days", "hours"]
Pick = Literal["latest", "earliest", "largest", "smallest", "sum of"]


@dataclass(frozen=True, slots=True)
class Path:
    """A name, or a property of one: ``order``, ``order.end``, ``today``, a parameter's name."""

    name: str
    field: str = ""
    column: int = 0

    @property
    def text(self) -> str:
        return f"{self.name}.{self.field}" if self.field else self.name


@dataclass(frozen=True, slots=True)
class Number:
    """A number with its unit: ``3 days`` or ``5 mg``."""

    value: Decimal
    unit: str = ""
    column: int = 0


@dataclass(frozen=True, slots=True)
class Arithmetic:
    """A value reckoned from two: ``order.start - 1 day``."""

    left: Value
    sign: Literal["+", "-", "×"]
    right: Value


@dataclass(frozen=True, slots=True)
class Picked:
    """``latest of`` / ``sum of`` a property over every fact of a name."""

    pick: Pick
    path: Path


@dataclass(frozen=True, slots=True)
class Elapsed:
    """``days from A to B`` (calendar days) or ``hours from A to B`` (elapsed)."""

    unit: Unit
    start: Value
    end: Value


Value = Path | Number | Arithmetic | Picked | Elapsed


@dataclass(frozen=True, slots=True)
class Exists:
    """Whether there is such a fact: ``order``."""

    name: str
    column: int = 0


@dataclass(frozen=True, slots=True)
class No:
    """Whether there is no such fact: ``no order``."""

    name: str
    column: int = 0


@dataclass(frozen=True, slots=True)
class Every:
    """Whether a test holds of each fact of a name: ``every order is drafted``."""

    name: str
    test: Test
    column: int = 0


@dataclass(frozen=True, slots=True)
class Count:
    """Whether there are enough facts of a name: ``at least 2 order``."""

    at_least: int
    name: str
    column: int = 0


@dataclass(frozen=True, slots=True)
class Not:
    """The opposite: ``not order is current``."""

    test: Test


@dataclass(frozen=True, slots=True)
class And:
    """Whether each test holds: ``order is current and order is drafted``."""

    tests: tuple[Test, ...]


@dataclass(frozen=True, slots=True)
class Or:
    """Whether any test holds: ``order is current or order is recent``."""

    tests: tuple[Test, ...]


@dataclass(frozen=True, slots=True)
class CouldBe:
    """Yes unless it is known not to be: ``could be order is current``."""

    test: Test


@dataclass(frozen=True, slots=True)
class Unsure:
    """Yes exactly while the test is unknown: ``unsure whether order is current``."""

    test: Test


@dataclass(frozen=True, slots=True)
class Is:
    """``X is current`` or ``X.route is any of oral, buccal``."""

    value: Path
    words: tuple[str, ...]
    column: int = 0


@dataclass(frozen=True, slots=True)
class IsKnown:
    """Whether the record gives a value: ``order.dose is known``."""

    value: Value


@dataclass(frozen=True, slots=True)
class Compared:
    """``value is at most bound``."""

    value: Value
    comparison: Comparison
    bound: Value


@dataclass(frozen=True, slots=True)
class Between:
    """``value is 1 mg to 5 mg``: both ends included."""

    value: Value
    low: Value
    high: Value


@dataclass(frozen=True, slots=True)
class Window:
    """``value is 1 to 10 days before anchor``: both ends included."""

    value: Value
    low: Value
    high: Value
    unit: Unit
    direction: Direction
    anchor: Value


@dataclass(frozen=True, slots=True)
class Ordered:
    """``value is before anchor``."""

    value: Value
    direction: Direction
    anchor: Value


@dataclass(frozen=True, slots=True)
class Matches:
    """Whether two values have something in common: ``order.name matches other.name``."""

    left: Value
    right: Value


@dataclass(frozen=True, slots=True)
class Includes:
    """``it.exposure includes today`` or ``it.topics includes word``."""

    value: Path
    element: Value


@dataclass(frozen=True, slots=True)
class Otherwise:
    """The last line of a list of levels or labels: always yes."""


Test = (
    Exists | No | Every | Count | Not | And | Or | CouldBe | Unsure | Is | IsKnown
    | Compared | Between | Window | Ordered | Matches | Includes | Otherwise
)  # fmt: skip


def paths(node: object) -> list[Path]:
    """Every path that a test or value reads, in reading order."""
    if isinstance(node, Path):
        return [node]
    if isinstance(node, tuple):
        return [path for item in node for path in paths(item)]
    slots: tuple[str, ...] = getattr(type(node), "__slots__", ())
    return [path for slot in slots for path in paths(getattr(node, slot))]


def single_paths(node: object) -> list[Path]:
    """The paths that stand for one fact at a time: not those that a pick takes all of."""
    if isinstance(node, Path):
        return [node]
    if isinstance(node, Picked):
        return []
    if isinstance(node, tuple):
        return [path for item in node for path in single_paths(item)]
    slots: tuple[str, ...] = getattr(type(node), "__slots__", ())
    return [path for slot in slots for path in single_paths(getattr(node, slot))]


def names(node: object) -> list[tuple[str, int]]:
    """Every fact name that a test asks about by itself (``no X``, ``every X``, plain ``X``)."""
    if isinstance(node, tuple):
        return [name for item in node for name in names(item)]
    found = []
    if isinstance(node, Exists | No | Every | Count):
        found.append((node.name, node.column))
    slots: tuple[str, ...] = getattr(type(node), "__slots__", ())
    return found + [name for slot in slots for name in names(getattr(node, slot))]


def tests(node: object) -> list[object]:
    """Every test inside a test, itself included."""
    if isinstance(node, tuple):
        return [test for item in node for test in tests(item)]
    slots: tuple[str, ...] = getattr(type(node), "__slots__", ())
    found: list[object] = [node] if slots else []
    return found + [test for slot in slots for test in tests(getattr(node, slot))]


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
