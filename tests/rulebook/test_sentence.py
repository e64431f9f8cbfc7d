"""The sentences of the rule language: what they become, and where a bad one goes wrong."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cds.rulebook import syntax
from cds.rulebook.sentence import SentenceError, parse_test, parse_value
from cds.rulebook.syntax import (
    And,
    Arithmetic,
    Between,
    Compared,
    CouldBe,
    Count,
    Elapsed,
    Every,
    Exists,
    Includes,
    Is,
    IsKnown,
    Matches,
    No,
    Not,
    Number,
    Or,
    Ordered,
    Otherwise,
    Path,
    Picked,
    Unsure,
    Window,
    spoken,
)


def number(text: str, unit: str = "", column: int = 0) -> Number:
    return Number(Decimal(text), unit, column)


TESTS: list[tuple[str, syntax.Test]] = [
    ("a", Exists("a")),
    ("no a", No("a")),
    ("otherwise", Otherwise()),
    ("not a", Not(Exists("a", 4))),
    ("not no a", Not(No("a", 4))),
    ("could be a", CouldBe(Exists("a", 9))),
    ("unsure whether a", Unsure(Exists("a", 15))),
    ("at least 2 a", Count(2, "a")),
    ("a is b", Is(Path("a"), ("b",))),
    ("a is not b", Not(Is(Path("a"), ("b",)))),
    ("a.b is no", Is(Path("a", "b"), ("no",))),
    ("a.b is any of c, d-e, f", Is(Path("a", "b"), ("c", "d-e", "f"))),
    ("every a is b", Every("a", Is(Path("a", "", 6), ("b",)))),
    ("a.b is known", IsKnown(Path("a", "b"))),
    ("a.b is not known", Not(IsKnown(Path("a", "b")))),
    ("a.b is at least 3 mg", Compared(Path("a", "b"), "at least", number("3", "mg", 16))),
    ("a.b is at most 3", Compared(Path("a", "b"), "at most", number("3", "", 15))),
    ("a.b is more than c", Compared(Path("a", "b"), "more than", Path("c", "", 17))),
    ("a.b is less than 0.5", Compared(Path("a", "b"), "less than", number("0.5", "", 17))),
    ("d is 1 to 3", Between(Path("d"), number("1", "", 5), number("3", "", 10))),
    ("a.s is before today", Ordered(Path("a", "s"), "before", Path("today", "", 14))),
    ("a.s is after b.e", Ordered(Path("a", "s"), "after", Path("b", "e", 13))),
    (
        "a.s is 0 to limit days after today",
        Window(
            Path("a", "s"),
            number("0", "", 7),
            Path("limit", "", 12),
            "days",
            "after",
            Path("today", "", 29),
        ),
    ),
    (
        "a.s is 0 to 72 hours before now",
        Window(
            Path("a", "s"),
            number("0", "", 7),
            number("72", "", 12),
            "hours",
            "before",
            Path("now", "", 28),
        ),
    ),
    ("a.r matches b.r", Matches(Path("a", "r"), Path("b", "r", 12))),
    ("a.e includes today", Includes(Path("a", "e"), Path("today", "", 13))),
    ("a and b and c", And((Exists("a"), Exists("b", 6), Exists("c", 12)))),
    ("a or no b", Or((Exists("a"), No("b", 5)))),
    ("(a or b) and c", And((Or((Exists("a", 1), Exists("b", 6))), Exists("c", 13)))),
    ("a and (b or c)", And((Exists("a"), Or((Exists("b", 7), Exists("c", 12)))))),
]


@pytest.mark.parametrize(("sentence", "test"), TESTS, ids=[text for text, _ in TESTS])
def test_a_test(sentence: str, test: syntax.Test) -> None:
    assert parse_test(sentence) == test
    assert parse_test(sentence + "  ") == test


VALUES: list[tuple[str, syntax.Value]] = [
    ("a.b", Path("a", "b")),
    ("today", Path("today")),
    ("3 days", number("3", "days")),
    ("1 day", number("1", "days")),
    ("2 hours", number("2", "hours")),
    ("4.50 mg", number("4.50", "mg")),
    ("30 mL/min/1.73m2", number("30", "mL/min/{1.73_m2}")),
    ("a.e + 1", Arithmetic(Path("a", "e"), "+", number("1", "", 6))),
    ("a - b", Arithmetic(Path("a"), "-", Path("b", "", 4))),
    ("a * 2", Arithmetic(Path("a"), "×", number("2", "", 4))),
    ("days from a.e to today", Elapsed("days", Path("a", "e", 10), Path("today", "", 17))),
    ("hours from now to a", Elapsed("hours", Path("now", "", 11), Path("a", "", 18))),
    ("latest a.e", Picked("latest", Path("a", "e", 7))),
    ("earliest of a.e", Picked("earliest", Path("a", "e", 12))),
    ("sum of a.d", Picked("sum of", Path("a", "d", 7))),
]


@pytest.mark.parametrize(("sentence", "value"), VALUES, ids=[text for text, _ in VALUES])
def test_a_value(sentence: str, value: syntax.Value) -> None:
    assert parse_value(sentence) == value


def test_times_binds_before_plus() -> None:
    value = parse_value("a + b × 2 - c")
    inner = Arithmetic(Path("b", "", 4), "×", number("2", "", 8))
    assert value == Arithmetic(Arithmetic(Path("a"), "+", inner), "-", Path("c", "", 12))


BAD: list[tuple[str, str, str, int]] = [
    # sentence, what is wrong, part of what is accepted, column (from 0)
    ("", "the end of the sentence is not understood here", "a name", 0),
    ("a and", "the end of the sentence is not understood here", "a name", 5),
    ("a b", "'b' is not understood here", "the end of the sentence, 'and' or 'or'", 2),
    ("a and b or c", "'and' and 'or' are mixed", "parentheses", 8),
    ("a or b and c", "'and' and 'or' are mixed", "parentheses", 7),
    ("(a or b", "the end of the sentence is not understood here", "')'", 7),
    ("a) and b", "')' is not understood here", "the end of the sentence", 1),
    ("a = b", "'=' has no meaning here", "words, numbers", 2),
    ("a is 5 < 6", "'<' has no meaning here", "words, numbers", 7),
    ("a is", "the end of the sentence is not understood here", "a name", 4),
    ("a.b", "the end of the sentence is not understood here", "'is', 'matches'", 3),
    ("no", "the end of the sentence is not understood here", "the name of a fact", 2),
    ("no not", "'not' is not understood here", "the name of a fact", 3),
    ("at least two a", "'two' is not understood here", "a whole number", 9),
    ("at least 2.5 a", "'2.5' is not understood here", "a whole number", 9),
    ("a is 5", "'5' is not understood here", "a range", 5),
    ("a is any of b,", "the end of the sentence is not understood here", "a word", 14),
    ("a is 1 to 2 days ago", "'ago' is not understood here", "the end of the sentence", 17),
    ("days from a is 3", "'is' is not understood here", "'to'", 12),
    ("latest a is before today", "'a' names a fact", "NAME.property", 7),
    ("sum a.b is at least 3", "'a.b' is not understood here", "'of'", 4),
    ("2 includes a", "only a fact or a property can be asked that", "NAME", 0),
    ("a + 1 is any of b, c", "only a fact or a property can be asked that", "NAME", 0),
    ("unsure a", "'unsure' is not understood here", "a name", 0),
    ("is a", "'is' is not understood here", "a name", 0),
]


@pytest.mark.parametrize(
    ("sentence", "what", "accepted", "column"), BAD, ids=[text or "nothing" for text, *_ in BAD]
)
def test_a_bad_sentence(sentence: str, what: str, accepted: str, column: int) -> None:
    with pytest.raises(SentenceError) as caught:
        parse_test(sentence)
    error = caught.value
    assert (error.what, error.column) == (what, column)
    assert accepted in error.accepted


def test_every_needs_something_to_be_said() -> None:
    with pytest.raises(SentenceError):
        parse_test("every a")


def test_a_bad_value() -> None:
    with pytest.raises(SentenceError) as caught:
        parse_value("a + ")
    assert caught.value.column == 3
    with pytest.raises(SentenceError, match="'and' is not understood"):
        parse_value("a and b")


@pytest.mark.parametrize(
    "sentence",
    [text for text, _ in TESTS],
)
def test_spoken_again_it_means_the_same(sentence: str) -> None:
    """A trace shows sentences in the author's language: what it shows can be read again."""
    said = spoken(parse_test(sentence))
    assert spoken(parse_test(said)) == said


WORDS = st.sampled_from(
    "a b.c is not no any of every at least most 2 3.5 mg days hours before after today to from"
    " latest sum could be unsure whether known matches includes and or ( ) , + - × otherwise".split()
)


@given(st.lists(WORDS, max_size=14).map(" ".join) | st.text(max_size=40))
def test_any_text_is_a_test_or_an_error_that_points_into_it(sentence: str) -> None:
    try:
        parse_test(sentence)
    except SentenceError as error:
        assert 0 <= error.column <= len(sentence)
        assert error.what
        assert error.accepted
