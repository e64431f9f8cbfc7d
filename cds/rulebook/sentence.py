"""Parses one sentence of the rule language.

::

    test   = NAME | no NAME | every NAME is … | at least N NAME | otherwise
           | value is [not] rhs | value matches value | value includes value
           | not test | could be test | unsure whether test | test and test | test or test
    rhs    = WORD | any of WORD, WORD | known
           | at least / at most / more than / less than value | value to value
           | value to value days|hours before|after value | before|after value
    value  = NAME[.property] | number [unit] | value + - × value
           | latest|earliest|largest|smallest|sum of NAME.property | days|hours from value to value

``and`` and ``or`` in one sentence need parentheses: nobody should have to know which binds first.
"""

from __future__ import annotations

import re
from decimal import Decimal
from typing import cast

import msgspec
from msgspec.structs import replace

from cds.rulebook import syntax
from cds.values.quantity import read_unit


class SentenceError(ValueError):
    """A sentence that cannot be understood; ``column`` is 0-based, within the sentence."""

    def __init__(self, what: str, accepted: str, column: int) -> None:
        super().__init__(what)
        self.what, self.accepted, self.column = what, accepted, column


_TOKEN = re.compile(
    r"\s*(?:(?P<number>\d+(?:\.\d+)?)|(?P<word>[A-Za-z][\w/-]*(?:\.\w[\w-]*)*)"
    r"|(?P<mark>[(),+×*-]))"
)
_RESERVED = frozenset(
    "not and or is no any of every at least most could be unsure whether to from before after"
    " latest earliest largest smallest sum matches includes more less than known otherwise".split()
)
_COMPARISONS = {("at", "least"), ("at", "most"), ("more", "than"), ("less", "than")}
_PICKS = frozenset({"latest", "earliest", "largest", "smallest", "sum"})
_UNITS = {"day": "days", "days": "days", "hour": "hours", "hours": "hours"}
_END = "the end of the sentence"


class _Token(msgspec.Struct, frozen=True):
    kind: str
    text: str
    column: int


def parse_test(sentence: str) -> syntax.Test:
    """The test that a sentence states; raises SentenceError."""
    parser = _Parser(sentence)
    test = parser.test()
    parser.finish()
    return test


def parse_value(sentence: str) -> syntax.Value:
    """The value that a sentence computes; raises SentenceError."""
    parser = _Parser(sentence)
    value = parser.value()
    parser.finish()
    return value


def _tokens(sentence: str) -> list[_Token]:
    tokens: list[_Token] = []
    position = 0
    end = len(sentence.rstrip())
    while position < end:
        match = _TOKEN.match(sentence, position)
        if match is None:
            column = position + len(sentence[position:]) - len(sentence[position:].lstrip())
            raise SentenceError(
                f"'{sentence[column]}' has no meaning here", "words, numbers, ( ) , + - ×", column
            )
        kind = cast(str, match.lastgroup)
        tokens.append(_Token(kind, match[kind], match.start(kind)))
        position = match.end()
    return tokens


class _Parser:
    def __init__(self, sentence: str) -> None:
        self._tokens = _tokens(sentence)
        self._at = 0
        self._end = len(sentence.rstrip())

    # -- reading tokens ---------------------------------------------------------------------

    def _peek(self, ahead: int = 0) -> str:
        index = self._at + ahead
        return self._tokens[index].text if index < len(self._tokens) else ""

    def _column(self) -> int:
        return self._tokens[self._at].column if self._at < len(self._tokens) else self._end

    def _take(self, *words: str) -> bool:
        if all(self._peek(index) == word for index, word in enumerate(words)):
            self._at += len(words)
            return True
        return False

    def _expect(self, word: str, accepted: str) -> None:
        if not self._take(word):
            raise self._error(accepted)

    def _error(self, accepted: str) -> SentenceError:
        found = f"'{self._peek()}'" if self._peek() else _END
        return SentenceError(f"{found} is not understood here", accepted, self._column())

    def _name(self, accepted: str) -> _Token:
        if self._at < len(self._tokens):
            token = self._tokens[self._at]
            if token.kind == "word" and token.text not in _RESERVED:
                self._at += 1
                return token
        raise self._error(accepted)

    def finish(self) -> None:
        if self._at < len(self._tokens):
            raise self._error(f"{_END}, 'and' or 'or'")

    # -- tests --------------------------------------------------------------------------------

    def test(self) -> syntax.Test:
        first = self._unit()
        word = self._peek()
        if word not in ("and", "or"):
            return first
        tests = [first]
        while self._take(word):
            tests.append(self._unit())
        if self._peek() in ("and", "or"):
            what = "'and' and 'or' are mixed"
            raise SentenceError(what, "parentheses that say which belongs together", self._column())
        return syntax.And(tuple(tests)) if word == "and" else syntax.Or(tuple(tests))

    def _unit(self) -> syntax.Test:
        column = self._column()
        if self._take("not"):
            return syntax.Not(self._unit())
        if self._take("could", "be"):
            return syntax.CouldBe(self._unit())
        if self._take("unsure", "whether"):
            return syntax.Unsure(self._unit())
        if self._take("otherwise"):
            return syntax.Otherwise()
        if self._take("no"):
            return syntax.No(self._name("the name of a fact").text, column)
        if self._take("every"):
            name = self._name("the name of a fact")
            if self._peek() not in ("is", "matches", "includes"):
                raise self._error("'is', 'matches' or 'includes'")
            test = self._after(syntax.Path(name.text, "", name.column), column)
            return syntax.Every(name.text, test, column)
        if self._take("("):
            test = self.test()
            self._expect(")", "')'")
            return test
        if self._peek() == "at" and self._peek(1) == "least":
            return self._count(column)
        return self._relation(column)

    def _count(self, column: int) -> syntax.Test:
        self._at += 2
        number = self._peek()
        if not number.isdigit():
            raise self._error("a whole number")
        self._at += 1
        return syntax.Count(int(number), self._name("the name of a fact").text, column)

    def _relation(self, column: int) -> syntax.Test:
        return self._after(self.value(), column)

    def _after(self, value: syntax.Value, column: int) -> syntax.Test:
        """What is said of a value."""
        if self._take("matches"):
            return syntax.Matches(value, self.value())
        if self._take("includes"):
            return syntax.Includes(self._as_path(value, column), self.value())
        if self._take("is"):
            if self._take("not"):
                return syntax.Not(self._right_hand(value, column))
            return self._right_hand(value, column)
        if isinstance(value, syntax.Path) and not value.field:
            return syntax.Exists(value.name, value.column)
        raise self._error("'is', 'matches' or 'includes'")

    def _as_path(self, value: syntax.Value, column: int) -> syntax.Path:
        if isinstance(value, syntax.Path):
            return value
        raise SentenceError(
            "only a fact or a property can be asked that", "NAME or NAME.property", column
        )

    def _right_hand(self, value: syntax.Value, column: int) -> syntax.Test:
        if self._take("known"):
            return syntax.IsKnown(value)
        if self._take("any", "of"):
            words = [self._name("a word").text]
            while self._take(","):
                words.append(self._name("a word").text)
            return syntax.Is(self._as_path(value, column), tuple(words), column)
        if (self._peek(), self._peek(1)) in _COMPARISONS:
            comparison = f"{self._peek()} {self._peek(1)}"
            self._at += 2
            return syntax.Compared(value, cast(syntax.Comparison, comparison), self.value())
        if self._peek() in ("before", "after"):
            direction = self._direction()
            return syntax.Ordered(value, direction, self.value())
        return self._word_or_range(value, column)

    def _word_or_range(self, value: syntax.Value, column: int) -> syntax.Test:
        word_at = self._at
        if self._take("no"):
            return syntax.Is(self._as_path(value, column), ("no",), column)
        low = self.value()
        if not self._take("to"):
            if isinstance(low, syntax.Path):
                return syntax.Is(self._as_path(value, column), (low.text,), column)
            self._at = word_at
            raise self._error(
                "a word, 'any of', a comparison such as 'at least', or a range 'A to B'"
            )
        high, unit = self._bound()
        if unit is None:
            return syntax.Between(value, _with_unit_of(low, high), high)
        direction = self._direction()
        return syntax.Window(value, low, high, unit, direction, self.value())

    def _bound(self) -> tuple[syntax.Value, syntax.Unit | None]:
        """The upper end of a range, and the unit when a window in days or hours follows."""
        high = self.value(stop_at_unit=True)
        unit = _UNITS.get(self._peek())
        if unit is not None and self._peek(1) in ("before", "after"):
            self._at += 1
            return high, cast(syntax.Unit, unit)
        return high, None

    def _direction(self) -> syntax.Direction:
        word = self._peek()
        if word not in ("before", "after"):
            raise self._error("'before' or 'after'")
        self._at += 1
        return cast(syntax.Direction, word)

    # -- values -------------------------------------------------------------------------------

    def value(self, stop_at_unit: bool = False) -> syntax.Value:
        left = self._product(stop_at_unit)
        while self._peek() in ("+", "-"):
            sign = self._peek()
            self._at += 1
            left = syntax.Arithmetic(left, "+" if sign == "+" else "-", self._product(stop_at_unit))
        return left

    def _product(self, stop_at_unit: bool) -> syntax.Value:
        left = self._atom(stop_at_unit)
        while self._peek() in ("×", "*"):
            self._at += 1
            left = syntax.Arithmetic(left, "×", self._atom(stop_at_unit))
        return left

    def _atom(self, stop_at_unit: bool) -> syntax.Value:
        column = self._column()
        if self._at < len(self._tokens) and self._tokens[self._at].kind == "number":
            return self._number(stop_at_unit, column)
        if self._peek() in _PICKS:
            return self._picked()
        if self._peek() in _UNITS and self._peek(1) == "from":
            unit = cast(syntax.Unit, _UNITS[self._peek()])
            self._at += 2
            start = self.value()
            self._expect("to", "'to'")
            return syntax.Elapsed(unit, start, self.value())
        token = self._name("a name, a number or 'days from … to …'")
        return _path(token)

    def _number(self, stop_at_unit: bool, column: int) -> syntax.Number:
        value = Decimal(self._peek())
        self._at += 1
        word = self._peek()
        if stop_at_unit and word in _UNITS and self._peek(1) in ("before", "after"):
            return syntax.Number(value, "", column)
        unit = _number_unit(word)
        if unit is None:
            return syntax.Number(value, "", column)
        self._at += 1
        return syntax.Number(value, unit, column)

    def _picked(self) -> syntax.Value:
        pick = self._peek()
        self._at += 1
        if pick == "sum" or self._peek() == "of":
            self._expect("of", "'of'")
        path = _path(self._name("NAME.property"))
        if not path.field:
            raise SentenceError(f"'{path.name}' names a fact", "NAME.property", path.column)
        return syntax.Picked(cast(syntax.Pick, "sum of" if pick == "sum" else pick), path)


def _with_unit_of(low: syntax.Value, high: syntax.Value) -> syntax.Value:
    """The lower end of ``1.5 to 2.5 mg`` with the unit that is written once."""
    if isinstance(low, syntax.Number) and isinstance(high, syntax.Number) and not low.unit:
        return replace(low, unit=high.unit)
    return low


def _path(token: _Token) -> syntax.Path:
    name, _, field = token.text.partition(".")
    return syntax.Path(name, field, token.column)


def _number_unit(word: str) -> str | None:
    """The canonical unit that follows a number, or None when the word is no unit."""
    if word in _UNITS:
        return _UNITS[word]
    if not word or word in _RESERVED:
        return None
    unit = read_unit(word)
    if unit is not None and unit != "1":
        return unit
    return word if "/" in word else None
