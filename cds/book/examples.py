"""Requests to try, made of the scenarios of a pack."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from cds.authoring.document import HOOKS
from cds.authoring.scenario import Runner, Scenario, read_suite
from cds.authoring.shorthand import ShorthandError
from cds.rulebook.model import Rule
from cds.rulebook.pack import load_rulebook, shipped_pack
from cds.rulebook.site import Site
from cds.values.moment import read_instant, zone

_OWN_WORDS = ("as", "as-of", "timezone", "enable", "disable", "parameters")
"""A scenario that sets one of these is no call, or is not judged as the service judges."""


def example_requests(rules: Path | None, site: Site) -> list[dict[str, Any]]:
    """For each rule that is on the first request that brings its card, then one that brings none.

    By field: ``rule``, ``title``, ``name``, ``hook``, ``day`` (of judging) and ``document`` (JSON).
    Raises RulebookError.
    """
    root = rules or shipped_pack()
    rulebook = load_rulebook(root, site)
    suite = read_suite(root)
    runner = Runner(suite, site)
    by_rule: dict[str, list[Scenario]] = {}
    for scenario in suite.scenarios:
        by_rule.setdefault(scenario.rule, []).append(scenario)
    return [
        found
        for rule in rulebook.rules
        for found in _examples(rule, by_rule.get(rule.id, []), runner)
    ]


def _examples(rule: Rule, scenarios: list[Scenario], runner: Runner) -> Iterator[dict[str, Any]]:
    usual = [item for item in scenarios if not any(word in item.body for word in _OWN_WORDS)]
    loud = [item for item in usual if any(rule.id == card for card, _ in item.expects.cards)]
    quiet = [item for item in usual if not item.expects.cards]
    for group in (loud, quiet):
        told = (_example(rule, item, runner) for item in group)
        first = next((found for found in told if found is not None), None)
        if first is not None:
            yield first


def _example(rule: Rule, scenario: Scenario, runner: Runner) -> dict[str, Any] | None:
    """The request of a scenario; None where it is no request to a hook that a client can fire."""
    body: Mapping[str, object] = {**runner.suite.defaults, **scenario.body}
    hook = str(body.get("hook", ""))
    if hook not in HOOKS or hook not in rule.hooks:
        return None
    try:
        document = runner.document(scenario).decode()
        site_zone = zone(str(body.get("timezone", "UTC")))
        moment = read_instant(str(body.get("as-of", "")), site_zone)
    except (ShorthandError, ValueError):
        return None
    return {
        "rule": rule.id,
        "title": rule.title,
        "name": scenario.name,
        "hook": hook,
        "day": moment.date(),
        "document": document,
    }
