"""The JSON Schema of a rule: it takes every rule that ships, and refuses what the loader refuses."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from cds.rulebook.document import read_document
from cds.rulebook.pack import shipped_pack
from cds.rulebook.schema import render_schema, rule_schema
from tests.records import CONTRAST

VALIDATOR = Draft202012Validator(rule_schema())
RULES = [
    path
    for root in (shipped_pack(), CONTRAST)
    for path in sorted(root.glob("*/*.yaml"))
    if path.parent.name not in ("definitions", "valuesets", "evidence")
    and not path.name.endswith(".scenarios.yaml")
]


def rule_of(path: Path) -> Any:
    node = read_document(path, path.name, [])
    assert node is not None
    return node.plain()


def test_the_schema_is_a_schema() -> None:
    Draft202012Validator.check_schema(rule_schema())
    assert json.loads(render_schema()) == rule_schema()


@pytest.mark.parametrize("path", RULES, ids=[f"{path.parent.name}/{path.name}" for path in RULES])
def test_it_takes_every_rule(path: Path) -> None:
    errors = [
        f"{error.json_path}: {error.message}" for error in VALIDATOR.iter_errors(rule_of(path))
    ]
    assert not errors


BROKEN: list[tuple[str, list[str | int], object]] = [
    ("an unknown key", ["colour"], "red"),
    ("an id without a group", ["id"], "vitamin"),
    ("an unknown hook", ["hooks"], ["patient-look"]),
    ("no hook", ["hooks"], []),
    ("a memory without what it is of", ["remember"], "30 days"),
    ("an unknown status", ["status"], "asleep"),
    ("an unknown indicator", ["card", "indicator"], "hard-stop"),
    ("an unknown key of a card", ["card", "colour"], "red"),
    ("a test that is no sentence", ["when"], [{"a": "b"}]),
    ("no test", ["when"], []),
    ("a fact without a kind", ["facts", "drug"], {}),
    ("an unknown key of a fact", ["facts", "drug", "colour"], "red"),
    ("no evidence", ["evidence"], []),
    (
        "evidence without a source",
        ["evidence", 0],
        {"statement": "X", "says": "y", "strength": "z"},
    ),
    ("an unknown that counts for nothing", ["unknown"], {"count": "false"}),
]


@pytest.mark.parametrize(("name", "path", "value"), BROKEN, ids=[name for name, *_ in BROKEN])
def test_it_refuses(name: str, path: list[str | int], value: object) -> None:
    rule = copy.deepcopy(rule_of(CONTRAST / "monitor" / "vitamin.yaml"))
    assert VALIDATOR.is_valid(rule)
    inner = rule
    for step in path[:-1]:
        inner = inner[step]
    inner[path[-1]] = value
    assert not VALIDATOR.is_valid(rule)


@pytest.mark.parametrize(
    "key", ["id", "title", "owner", "per", "when", "unknown", "card", "evidence"]
)
def test_it_wants(key: str) -> None:
    rule = rule_of(CONTRAST / "monitor" / "vitamin.yaml")
    del rule[key]
    assert not VALIDATOR.is_valid(rule)


def test_it_wants_an_action() -> None:
    rule = rule_of(CONTRAST / "monitor" / "vitamin.yaml")
    del rule["card"]["options"]
    assert not VALIDATOR.is_valid(rule)
    rule["card"]["suggest"] = [{"delete": "drug", "label": "x"}]
    assert VALIDATOR.is_valid(rule)
