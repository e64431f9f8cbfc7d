"""Every example gives exactly the cards of its golden; ``pytest --update`` rewrites the goldens."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from fhir.resources.R4B import get_fhir_model_class
from msgspec.structs import replace
from pydantic import ValidationError

from cds.authoring.check import judged_as_json
from cds.cards.judge import Setting, judge, read_input
from cds.cards.markdown import escape
from cds.cards.wire import encode
from cds.rulebook.pack import load_rulebook, load_site, shipped_pack
from cds.rulebook.site import Site
from cds.values.moment import read_instant, zone
from cds.values.problem import Problem

ROOT = Path(__file__).parent.parent / "fhir_examples"
CASES = sorted(path for path in ROOT.iterdir() if path.is_dir())
ZONE = zone("America/New_York")
GROUPS_OFF_BY_DEFAULT = ("pgx",)
AS_OF = read_instant("2026-06-10T10:00:00-04:00", ZONE)


@pytest.fixture(scope="module")
def setting() -> Setting:
    return Setting(load_rulebook(shipped_pack()), AS_OF, ZONE)


def _at_site(case: Path, setting: Setting) -> Setting:
    """The setting of a case: a site's own where a `site.yaml` stands beside its input."""
    config = case / "site.yaml"
    if not config.is_file():
        return setting
    problems: list[Problem] = []
    site = load_site(config, problems)
    assert not problems
    return replace(setting, rulebook=load_rulebook(shipped_pack(), site))


def _input(case: Path) -> Path:
    found = [*case.glob("*.json"), *case.glob("*.ndjson"), *case.glob("*.gz")]
    assert len(found) == 1, f"{case.name} needs one input"
    return found[0]


def _answers(case: Path, setting: Setting) -> list[dict[str, Any]]:
    """What `cds check --format json` prints, without what changes with every edit of a rule."""
    path = _input(case)
    setting = _at_site(case, setting)
    charts = read_input(path.read_bytes(), path.name, setting)
    lines = [
        json.loads(encode(judged_as_json(item, ""))) for item in judge(charts, path.name, setting)
    ]
    for line in lines:
        for card in line["cards"]:
            del card["extension"]
    return lines


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_example_gives_its_golden(
    case: Path, setting: Setting, request: pytest.FixtureRequest
) -> None:
    golden = case / "expected.golden"
    text = json.dumps(_answers(case, setting), indent=2, ensure_ascii=False) + "\n"
    if request.config.getoption("--update"):
        golden.write_text(text, encoding="utf-8")
    assert text == golden.read_text(encoding="utf-8")


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_example_is_described_and_real_fhir(case: Path) -> None:
    """Those that show what careless clients send say so, and are not: nobody tidied them up."""
    description = (case / "description.md").read_text(encoding="utf-8")
    assert description.startswith("# ")
    assert _is_real_fhir(case) is ("Not valid FHIR" not in description)


def _is_real_fhir(case: Path) -> bool:
    try:
        for resource in _resources(_document(_input(case))):
            get_fhir_model_class(resource["resourceType"]).model_validate(resource)
    except ValidationError:
        return False
    return True


def _document(path: Path) -> object:
    text = path.read_text(encoding="utf-8")
    return (
        [json.loads(line) for line in text.splitlines()]
        if ".ndjson" in path.name
        else json.loads(text)
    )


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_what_a_suggestion_would_write_is_real_fhir(case: Path, setting: Setting) -> None:
    for line in _answers(case, setting):
        for card in line["cards"]:
            for suggestion in card.get("suggestions", []):
                for action in suggestion["actions"]:
                    if "resource" in action:
                        kind = action["resource"]["resourceType"]
                        get_fhir_model_class(kind).model_validate(action["resource"])


def test_every_caution_has_an_example(setting: Setting) -> None:
    """A card of its own, or a line of another's where it is never more than that."""
    cards = [card for case in CASES for line in _answers(case, setting) for card in line["cards"]]
    pack = load_rulebook(shipped_pack(), Site(enable=GROUPS_OFF_BY_DEFAULT))
    orders = pack.precedence.problems.values()
    silent = {rule for order in orders for rule in order.lines_only}
    spoken = {card["source"]["topic"]["code"] for card in cards}
    spoken |= {
        rule for rule in silent if any(f"({escape(rule)}," in card["detail"] for card in cards)
    }
    assert {rule.id for rule in pack.rules} == spoken


def _resources(value: object) -> list[dict[str, Any]]:
    """Every resource of a document, Bundles' entries one by one."""
    if isinstance(value, list):
        return [found for item in value for found in _resources(item)]
    if not isinstance(value, dict):
        return []
    kind = value.get("resourceType")
    if kind is not None and kind != "Bundle":
        return [value]
    return [found for item in value.values() for found in _resources(item)]
