"""Text from a record never becomes markup."""

from __future__ import annotations

import html
import re
import unicodedata
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from markdown_it.token import Token

from cds.cards.markdown import bullets, cap, clean, document, escape, paragraph

GITHUB = MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"])
# What GFM, and renderers that look at resolved text, take for an address.
ADDRESS = re.compile(r"https?://|ftp://|mailto:|www\.|\S@[A-Za-z0-9_-]|//\w", re.IGNORECASE)
JOINER = "\u2060"

FRAGMENTS = [
    "<script>alert(1)</script>",
    "<!--",
    "-->",
    "<img src=x onerror=y>",
    "[a](http://b.c)",
    "![i](j)",
    "[a]: http://b",
    "```",
    "`",
    "~~~",
    "~~",
    "**",
    "__",
    "_",
    "# ",
    "=====",
    "-----",
    "- ",
    "+ ",
    "* ",
    "1. ",
    "2) ",
    "> ",
    "| a | b |",
    "|-|-|",
    ":-:",
    "    ",
    "\n",
    "\n\n",
    "\t",
    "\r",
    "\\",
    "&lt;",
    "&#60;",
    "http://a.bc",
    "https://a.bc",
    "www.a.bc",
    "a@b.cd",
    "mailto:a@b.cd",
    "//a.bc",
    "!",
    "\u202e",
    "\u200b",
    "\x00",
    "\x07",
    "\u2028",
    "\ud800",
    "5 mg",
    "drug A",
    "é",
]
HOSTILE = st.lists(st.one_of(st.sampled_from(FRAGMENTS), st.text(max_size=5))).map("".join)


def tokens(markdown: str) -> Iterator[Token]:
    for token in GITHUB.parse(markdown):
        yield token
        yield from token.children or ()


def shown(markdown: str) -> str:
    """What a reader sees: the text of all tokens."""
    texts = (token.content for token in tokens(markdown) if token.type in {"text", "text_special"})
    return "".join(texts).replace(JOINER, "")


def kinds(markdown: str) -> set[str]:
    return {token.type for token in tokens(markdown)}


PLAIN = {"paragraph_open", "inline", "paragraph_close", "text", "text_special"}


@given(HOSTILE)
def test_escaped_text_is_one_paragraph_of_exactly_its_characters(text: str) -> None:
    assert kinds(escape(text)) <= PLAIN
    # The parser trims ASCII and Unicode space alike at the ends; clean() has done so already.
    assert shown(escape(text)) == clean(text)


@given(HOSTILE)
def test_escaped_text_stays_text_inside_lists_tables_emphasis_and_after_a_line(text: str) -> None:
    safe = escape(text)
    assert kinds(f"- x {safe}") <= PLAIN | {
        "bullet_list_open", "bullet_list_close", "list_item_open", "list_item_close",
    }  # fmt: skip
    assert kinds(f"- {safe}") <= PLAIN | {
        "bullet_list_open", "bullet_list_close", "list_item_open", "list_item_close",
    }  # fmt: skip
    assert kinds(f"before\n{safe}\nafter") <= PLAIN | {"softbreak", "hardbreak"}
    table = list(tokens(f"| h | i |\n|---|---|\n| {safe} | x |"))
    assert sum(token.type == "td_open" for token in table) == 2
    assert "image" not in kinds(f"{safe}[page](https://a.bc)")


@given(HOSTILE)
def test_escaped_text_holds_no_raw_html_and_no_address(text: str) -> None:
    safe = escape(text)
    assert not {"<", ">"} & set(safe)
    assert not ADDRESS.search(html.unescape(safe).replace("\\", ""))


@given(HOSTILE)
def test_clean_text_has_no_control_or_format_characters(text: str) -> None:
    assert not {"Cc", "Cf", "Cs", "Zl", "Zp"} & {unicodedata.category(char) for char in clean(text)}
    # A card's summary must be printable, and half of all code points stand for nothing (U+D7FC).
    assert clean(text + "\ud7fc \ue000").isprintable()
    assert clean(clean(text)) == clean(text)


@given(HOSTILE, st.integers(1, 60))
def test_capped_text_fits(text: str, limit: int) -> None:
    short = cap(text, limit)
    assert len(short) <= limit
    assert short == clean(text) or short.endswith("…")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("4.5 mg at bedtime", "4.5 mg at bedtime"),
        ("AST < 40 & ALT > 3", "AST &lt; 40 &amp; ALT &gt; 3"),
        ("drug_A*", r"drug\_A\*"),
        ("- 5", r"\- 5"),
        ("12. day", r"12\. day"),
        ("1.5 mg", "1.5 mg"),
        ("two\n\n  lines", "two lines"),
        ("10\u202e01", "1001"),
    ],
)
def test_ordinary_text_stays_readable(text: str, expected: str) -> None:
    assert escape(text) == expected


@pytest.mark.parametrize(
    ("text", "limit", "expected"),
    [
        ("one two three", 13, "one two three"),
        ("one two three", 12, "one two…"),
        ("one two three", 8, "one two…"),
        ("one, two three", 6, "one…"),
        ("extraordinary", 6, "extra…"),
        ("a e\u0301e\u0301", 5, "a…"),
        ("xe\u0301e\u0301", 5, "xe\u0301e\u0301"),
        ("xe\u0301e\u0301y", 5, "xe\u0301…"),
    ],
)
def test_text_is_cut_at_a_word(text: str, limit: int, expected: str) -> None:
    assert cap(text, limit) == expected


def test_a_limit_below_one_is_refused() -> None:
    with pytest.raises(ValueError, match="limit 0: must be 1 or more"):
        cap("x", 0)


def test_blocks_are_put_together_without_the_empty_ones() -> None:
    items = bullets(["a", "", "b"])
    assert items == "- a\n- b"
    assert document(paragraph("One.", "", "Two."), "", items) == "One. Two.\n\n- a\n- b"
