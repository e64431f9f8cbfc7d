"""A site's configuration file, by the door that the command line uses."""

from __future__ import annotations

from pathlib import Path

import pytest

from cds.rulebook.pack import RulebookError, load_rulebook, load_site
from cds.values.problem import Problem
from tests.records import CONTRAST


def test_everything_that_a_site_can_say(tmp_path: Path) -> None:
    path = tmp_path / "site.yaml"
    path.write_text(
        "timezone: Europe/Vienna\n"
        "parameters: {creatinine-high: 2 mg/dL, result-days: 90 days}\n"
        "enable: [invented]\n"
        "disable: monitor\n"
        "evidence-url: https://example.org/evidence\n"
    )
    problems: list[Problem] = []
    site = load_site(path, problems)
    assert not problems
    assert site.timezone == "Europe/Vienna"
    assert dict(site.parameters) == {"creatinine-high": "2 mg/dL", "result-days": "90 days"}
    assert (site.enable, site.disable) == (("invented",), ("monitor",))
    rulebook = load_rulebook(CONTRAST, site)
    assert rulebook.parameters["result-days"].value == 90
    assert rulebook.evidence_url == "https://example.org/evidence"


def test_a_key_that_means_nothing(tmp_path: Path) -> None:
    path = tmp_path / "site.yaml"
    path.write_text("timezone: UTC\nenabled: [x]\n")
    problems: list[Problem] = []
    load_site(path, problems)
    assert [problem.render() for problem in problems] == [
        f"{path}:2:1: 'enabled' is no key of the site configuration; "
        "accepted: disable, enable, evidence-url, parameters, service, supplied, timezone (key)"
    ]


@pytest.mark.parametrize("text", ["a: [", "", "\xff"])
def test_a_file_that_cannot_be_read(tmp_path: Path, text: str) -> None:
    path = tmp_path / "site.yaml"
    path.write_bytes(text.encode("latin-1"))
    problems: list[Problem] = []
    load_site(path, problems)
    assert len(problems) == 1


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (
            "parameters: 3\n",
            "1:13: 'parameters' must name numbers; accepted: {NAME: 2 days} (shape)",
        ),
        (
            "parameters: [a]\n",
            "1:13: 'parameters' must name numbers; accepted: {NAME: 2 days} (shape)",
        ),
        (
            "timezone: Nowhere/Land\n",
            "1:11: 'Nowhere/Land' is not a time zone; "
            "accepted: an IANA name such as UTC or America/New_York (value)",
        ),
        ("timezone: [UTC]\n", "1:11: 'timezone' must be text; accepted: timezone: text (shape)"),
    ],
)
def test_what_cannot_be_meant(text: str, told: str, tmp_path: Path) -> None:
    path = tmp_path / "site.yaml"
    path.write_text(text)
    problems: list[Problem] = []
    load_site(path, problems)
    assert [problem.render() for problem in problems] == [f"{path}:{told}"]


def test_mistakes_point_into_the_file(tmp_path: Path) -> None:
    path = tmp_path / "site.yaml"
    path.write_text("parameters:\n  creatinine-high: 9 mg/dL\ndisable: [monitr]\n")
    problems: list[Problem] = []
    site = load_site(path, problems)
    with pytest.raises(RulebookError) as caught:
        load_rulebook(CONTRAST, site)
    told = [problem.render() for problem in caught.value.problems]
    assert any(text.startswith(f"{path}:2:3: '9 mg/dL' is not allowed") for text in told), told
    assert any("'monitr' names no rule, group or tag" in text for text in told), told
