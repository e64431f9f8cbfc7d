"""YAML as the rules see it: strings with a place, and no key twice."""

from __future__ import annotations

from pathlib import Path

import pytest

from cds.rulebook.document import Node, parse_document, read_document
from cds.values.problem import Problem


def parsed(text: str) -> Node:
    problems: list[Problem] = []
    node = parse_document(text, "x.yaml", problems)
    assert not problems
    assert node is not None
    return node


def problems_of(text: str) -> list[str]:
    problems: list[Problem] = []
    parse_document(text, "x.yaml", problems)
    return [problem.render() for problem in problems]


@pytest.mark.parametrize(
    "scalar",
    [
        "03",
        "NO",
        "no",
        "off",
        "yes",
        "~",
        "null",
        "1e3",
        "12:30",
        "0x1F",
        "1_000",
        "2026-06-10",
        "3.10",
        "M79.7",
        "=",
        "true",
    ],
)
def test_a_scalar_stays_what_was_written(scalar: str) -> None:
    assert parsed(f"code: {scalar}").plain() == {"code": scalar}
    assert parsed(f"- {scalar}").plain() == [scalar]
    assert parsed(f"{scalar}: x").plain() == {scalar: "x"}


def test_every_node_knows_its_place() -> None:
    node = parsed("a:\n  - b: c\n    dd:  e\n")
    (item,) = node.mapping["a"].items
    place = item.mapping["dd"].place
    assert (place.file, place.line, place.column) == ("x.yaml", 3, 10)
    assert (item.keys["dd"].line, item.keys["dd"].column) == (3, 5)
    assert len(list(node.walk())) == 5


def test_folded_text_is_one_line() -> None:
    assert parsed("a: >-\n  one\n  two\n\n  three\n").mapping["a"].text == "one two three"


def test_one_thing_is_a_list_of_one() -> None:
    assert [item.text for item in parsed("a").items] == ["a"]
    assert parsed("''").items == []


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (
            "a: 1\nb: 2\na: 3\n",
            "x.yaml:3:1: the key 'a' stands twice; first in line 1; accepted: each key once (yaml)",
        ),
        (
            "x: {b: 1, b: 2}",
            "x.yaml:1:11: the key 'b' stands twice; first in line 1; accepted: each key once (yaml)",
        ),
        ("? [a, b]\n: c\n", "x.yaml:1:3: a key must be a word; accepted: a scalar key (yaml)"),
        ("", "x.yaml:1:1: the file is empty; accepted: a mapping (yaml)"),
        ("# only a remark\n", "x.yaml:1:1: the file is empty; accepted: a mapping (yaml)"),
    ],
)
def test_what_is_wrong(text: str, told: str) -> None:
    assert problems_of(text) == [told]


@pytest.mark.parametrize(
    ("text", "place"),
    [("a: [1, 2\nb: 3", "x.yaml:2:"), ("a: b: c", "x.yaml:1:5"), ("a: &x\n  *y", "x.yaml:2:")],
)
def test_bad_yaml_is_a_problem_with_a_place(text: str, place: str) -> None:
    (problem,) = problems_of(text)
    assert problem.startswith(place)
    assert "not YAML" in problem


def test_both_duplicates_are_told() -> None:
    assert len(problems_of("a: 1\na: 2\nb: {c: 1, c: 2}\n")) == 2


def test_deep_nesting_is_a_problem() -> None:
    (problem,) = problems_of("[" * 60 + "]" * 60)
    assert "nested too deeply" in problem


def test_an_alias_cannot_explode() -> None:
    """Aliases are nodes of their own; a billion laughs must end in a problem or in no time."""
    text = "a: &a [x, x]\n" + "".join(
        f"{new}: &{new} [*{old}, *{old}]\n"
        for old, new in zip("abcdefghij", "bcdefghijk", strict=True)
    )
    assert parse_document(text, "x.yaml", []) is not None


def test_a_file(tmp_path: Path) -> None:
    problems: list[Problem] = []
    path = tmp_path / "a.yaml"
    path.write_bytes(b"\xef\xbb\xbfa: 03\n")
    node = read_document(path, "a.yaml", problems)
    assert node is not None
    assert node.plain() == {"a": "03"}
    path.write_bytes(b"a: \xff\n")
    assert read_document(path, "a.yaml", problems) is None
    assert read_document(tmp_path / "none.yaml", "none.yaml", problems) is None
    assert [problem.where.file for problem in problems] == ["a.yaml", "none.yaml"]
    assert all(problem.what.startswith("cannot be read") for problem in problems)
