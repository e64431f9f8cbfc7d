"""Which rules judge at a site: by id, group and tag, in its file and on the command line."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from cds.rulebook.model import Rulebook
from cds.rulebook.pack import RulebookError, load_rulebook, load_site, shipped_pack
from cds.rulebook.site import Site, is_on
from cds.values.problem import Problem

PACK = shipped_pack()
DEFAULT = load_rulebook(PACK)
EVERYTHING = load_rulebook(PACK, Site(enable=("pgx",)))


def _ids(rulebook: Rulebook) -> set[str]:
    return {rule.id for rule in rulebook.rules}


def _on(enable: tuple[str, ...] = (), disable: tuple[str, ...] = ()) -> set[str]:
    return _ids(load_rulebook(PACK, Site(enable=enable, disable=disable)))


def test_what_is_off_unless_a_site_asks_for_it() -> None:
    assert {item.split(".")[0] for item in _ids(EVERYTHING) - _ids(DEFAULT)} == {"pgx"}


@pytest.mark.parametrize("rule", sorted(_ids(EVERYTHING)))
def test_every_rule_can_be_switched_by_its_id(rule: str) -> None:
    found = EVERYTHING.rule(rule)
    assert found is not None
    assert not is_on(found, Site(enable=(found.group,), disable=(rule,)))
    assert is_on(found, Site(enable=(rule,), disable=(found.group, *found.tags)))


@pytest.mark.parametrize("group", sorted({rule.group for rule in EVERYTHING.rules}))
def test_every_group_can_be_switched_off(group: str) -> None:
    left = {item for item in _ids(DEFAULT) if not item.startswith(f"{group}.")}
    assert _on(disable=(group,)) == left


def test_what_is_beyond_the_sources_can_be_switched_off() -> None:
    tagged = {rule.id for rule in EVERYTHING.rules if "beyond-sources" in rule.tags}
    assert tagged
    assert _on(disable=("beyond-sources",)) == _ids(DEFAULT) - tagged
    # An id is more exact than a tag, a group is not.
    one = min(tagged)
    assert _on(enable=(one,), disable=("beyond-sources",)) == (_ids(DEFAULT) - tagged) | {one}
    group = one.partition(".")[0]
    assert _on(enable=(group,), disable=("beyond-sources",)) == _ids(DEFAULT) - tagged


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("timezone: UTC\nenable: [pgx, nope]\n", "2:15"),
        ("timezone: UTC\ndisable: nope\n", "2:10"),
        ("disable:\n  - ddi\n  - nope\n", "3:5"),
    ],
)
def test_an_unknown_word_is_told_where_it_stands(text: str, place: str, tmp_path: Path) -> None:
    path = tmp_path / "site.yaml"
    path.write_text(text)
    problems: list[Problem] = []
    site = load_site(path, problems)
    with pytest.raises(RulebookError) as caught:
        load_rulebook(PACK, site)
    told = [problem.render() for problem in caught.value.problems]
    assert len(told) == 1
    assert told[0].startswith(f"{path}:{place}: 'nope' names no rule, group or tag; accepted: ")
    assert "ddi, ddi.thioridazine, " in told[0]


def test_an_unknown_word_of_the_command_line_is_its_own(tmp_path: Path) -> None:
    path = tmp_path / "site.yaml"
    path.write_text("timezone: UTC\ndisable: [ddi]\n")
    site = load_site(path, [])
    with pytest.raises(RulebookError) as caught:
        load_rulebook(PACK, replace(site, disable=(*site.disable, "nope")))
    assert [problem.render().partition(" names")[0] for problem in caught.value.problems] == [
        "--disable: 'nope'"
    ]
