"""Scenarios as a reader checks them: what is given, what must come of it, under their headings."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

import msgspec

from cds.authoring.expectation import Expectation
from cds.authoring.scenario import Scenario

_COMMENT = re.compile(r"\s*#[\s-]*(.*?)[\s-]*$")
_LONGEST_HEADING = 110
_HOOK, _GIVEN = "hook", "given"
OTHERS = "Scenarios"


class Told(msgspec.Struct, frozen=True):
    """One scenario in words: ``given`` and ``setting`` in the author's own, ``comes`` by rule."""

    name: str
    given: tuple[str, ...]
    setting: tuple[str, ...]
    comes: tuple[tuple[str, str], ...]
    notes: tuple[tuple[str, str], ...]


class Group(msgspec.Struct, frozen=True):
    """The scenarios below one heading of their file."""

    heading: str
    scenarios: tuple[Told, ...]


def groups(scenarios: Iterable[Scenario], root: Path) -> list[Group]:
    """The scenarios of one rule by the comments that head them in their file."""
    headings: dict[str, list[tuple[int, str]]] = {}
    found: dict[str, list[Told]] = {}
    for scenario in scenarios:
        name = scenario.place.file
        if name not in headings:
            headings[name] = _headings(root / name)
        found.setdefault(_above(headings[name], scenario.place.line), []).append(tell(scenario))
    return [Group(heading, tuple(told)) for heading, told in found.items()]


def tell(scenario: Scenario) -> Told:
    """The scenario in words."""
    body = scenario.body
    given = body.get(_GIVEN, [])
    setting = {key: value for key, value in body.items() if key not in ("name", _GIVEN)}
    return Told(
        name=scenario.name,
        given=tuple(_words(item) for item in (given if isinstance(given, list) else [given])),
        setting=tuple(f"{key}: {_words(value)}" for key, value in setting.items()),
        comes=scenario.expects.cards,
        notes=tuple(_notes(scenario.expects)),
    )


def _notes(expects: Expectation) -> Iterator[tuple[str, str]]:
    """What else must come, or must not: a word for it, and what it is of."""
    if expects.lines is not None:
        yield "as a line of a card", _levels(expects.lines) or "nothing"
    yield "says", _quoted(expects.says)
    yield "does not say", _quoted(expects.says_not)
    for rule, offers in expects.suggests:
        yield f"{rule} offers", "; ".join(", ".join(words) for words in offers) or "nothing"
    yield "unknown", ", ".join(expects.unknown)
    yield "decided", ", ".join(expects.decided)
    yield "never", _levels(expects.must_not)
    yield "problem", _quoted(expects.problems)


def _levels(levels: Iterable[tuple[str, str]]) -> str:
    return ", ".join(f"{rule} ({level})" if level else rule for rule, level in levels)


def _quoted(words: Iterable[str]) -> str:
    return ", ".join(
        f"\N{LEFT DOUBLE QUOTATION MARK}{word}\N{RIGHT DOUBLE QUOTATION MARK}" for word in words
    )


def _words(value: object) -> str:
    """A given as one line: ``request: drug tablet, status active``."""
    if isinstance(value, Mapping):
        return ", ".join(_entry(str(key), item) for key, item in value.items())
    if isinstance(value, list):
        return "; ".join(_words(item) for item in value)
    return str(value)


def _entry(key: str, value: object) -> str:
    if isinstance(value, Mapping):
        return f"{key} ({_words(value)})" if value else key
    if isinstance(value, list):
        return f"{key} [{_words(value)}]"
    return f"{key}: {value}"


def _above(headings: list[tuple[int, str]], line: int) -> str:
    found = [text for at, text in headings if at < line]
    return found[-1] if found else OTHERS


def _headings(path: Path) -> list[tuple[int, str]]:
    """Line and text of each comment that stands apart: after an empty line, or first of all."""
    try:
        lines = path.read_text("utf-8").splitlines()
    except OSError:
        return []
    found: list[tuple[int, str]] = []
    apart = False
    for number, line in enumerate(lines, 1):
        comment = _COMMENT.fullmatch(line)
        if comment is None:
            apart = not line.strip() or line.startswith("scenarios:")
        elif apart or line.strip().startswith("# --"):
            text = comment[1]
            if text and line.startswith("  "):
                found.append((number, text[:_LONGEST_HEADING]))
            apart = False
    return found
