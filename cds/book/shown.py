"""A rule's cards as a clinician sees them, from the first scenario that brings each of them."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec
from markdown_it import MarkdownIt

from cds.authoring.scenario import Outcome, Runner, Scenario
from cds.cards.answer import Drawn
from cds.cards.model import Card
from cds.rulebook.model import INDICATORS, Rule

_MOST_TRIED = 12


class Shown(msgspec.Struct, frozen=True):
    """A card and the scenario it came of; ``as_line``: the rule is a line of another's card."""

    scenario: Scenario
    card: Card
    rule: str
    detail: str
    as_line: bool = False


class Showing:
    """Finds the cards of rules among a pack's scenarios; each scenario is judged at most once."""

    def __init__(self, runner: Runner) -> None:
        self._runner = runner
        self._by_rule: dict[str, list[Scenario]] = {}
        for scenario in runner.suite.scenarios:
            self._by_rule.setdefault(scenario.rule, []).append(scenario)
        self._outcomes: dict[int, Outcome] = {}
        self._markdown = MarkdownIt("commonmark", {"html": False})

    def scenarios(self, rule: Rule) -> list[Scenario]:
        """The scenarios that stand beside a rule."""
        return self._by_rule.get(rule.id, [])

    def cards(self, rule: Rule) -> list[Shown]:
        """One card for each level that some scenario brings, severest first; else one as a line."""
        wanted = dict.fromkeys(level.indicator for level in rule.card.levels)
        ordered = sorted(wanted, key=INDICATORS.index, reverse=True)
        found = [shown for level in ordered for shown in self._at(rule, level)]
        return found or list(self._as_line(rule))

    def _at(self, rule: Rule, level: str) -> Iterator[Shown]:
        """The first card of a rule at a level; nothing if no scenario brings one."""
        tried = [
            scenario for scenario in self._all(rule) if (rule.id, level) in scenario.expects.cards
        ]
        for scenario in tried[:_MOST_TRIED]:
            for drawn, card in self._drawn(scenario):
                if drawn.finding.rule.id == rule.id and card.indicator == level:
                    yield self._shown(scenario, drawn, card)
                    return

    def _as_line(self, rule: Rule) -> Iterator[Shown]:
        for scenario in self.scenarios(rule)[:_MOST_TRIED]:
            for drawn, card in self._drawn(scenario):
                if any(line.rule.id == rule.id for line in drawn.lines):
                    yield self._shown(scenario, drawn, card, as_line=True)
                    return

    def _all(self, rule: Rule) -> list[Scenario]:
        """A rule's own scenarios first, then those of others that list its card."""
        own = self.scenarios(rule)
        others = [item for item in self._runner.suite.scenarios if item.rule != rule.id]
        return [*own, *others]

    def _drawn(self, scenario: Scenario) -> Iterator[tuple[Drawn, Card]]:
        outcome = self._outcomes.get(id(scenario))
        if outcome is None:
            outcome = self._outcomes[id(scenario)] = self._runner.run(scenario)
        if outcome.judged is not None:
            answer = outcome.judged.answer
            yield from zip(answer.drawn, answer.cards, strict=True)

    def _shown(
        self, scenario: Scenario, drawn: Drawn, card: Card, *, as_line: bool = False
    ) -> Shown:
        detail = str(self._markdown.render(card.detail or ""))
        return Shown(scenario, card, drawn.finding.rule.id, detail, as_line)
