"""Findings into cards: which finding speaks, what becomes a line, what a card says."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID, uuid5

import msgspec

from cds.cards.describe import checked_line, found_lines
from cds.cards.markdown import bullets, document, escape
from cds.cards.model import Card, Coding, Link, OverrideReason, Response, Source
from cds.cards.suggestion import suggestions
from cds.cards.template import fill_markdown, summary
from cds.chart.model import Coverage
from cds.engine.finding import Finding, Review, Verdict
from cds.engine.needs import coverage_read
from cds.rulebook.model import INDICATORS, Evidence, ProblemOrder, Rulebook

EXTENSION = "org.cds-rules-engine.review"
"""The one key under which a card and a response carry more than the standard names."""

_NAMESPACE = UUID("6c1f4f0e-6f43-5c55-9d67-0d3b6b2f9a51")


class Drawn(msgspec.Struct, frozen=True):
    """A card to be: the finding that speaks and those that are lines of its detail."""

    finding: Finding
    lines: tuple[Finding, ...]


class Answer(msgspec.Struct, frozen=True):
    """What one review says to a client: cards, what is unknown, what was looked at."""

    review: Review
    cards: tuple[Card, ...]
    drawn: tuple[Drawn, ...]
    coverage: Mapping[str, Coverage]

    @property
    def unknown(self) -> tuple[Verdict, ...]:
        return self.review.unknown


def answer(
    review: Review, rulebook: Rulebook, coverage: Mapping[str, Coverage] | None = None
) -> Answer:
    """The cards of a review, most severe first; a function of its arguments alone.

    ``coverage`` is what was looked at, where somebody has worked it out before.
    """
    if coverage is None:
        coverage = coverage_read(review, rulebook)
    drawn = _suppressed(_folded(review.findings, rulebook), rulebook)
    cards = []
    for position, item in enumerate(drawn):
        footer = position == 0 and (review.about_drafts or not rulebook.pack.footer_for)
        checked = checked_line(review, rulebook, coverage) if footer else ""
        cards.append(_card(item, review, rulebook, checked))
    return Answer(review, tuple(cards), tuple(drawn), coverage)


def response(found: Answer, rulebook: Rulebook) -> Response:
    """The CDS Hooks response: the cards, with coverage and unknowns in its extension."""
    return Response(cards=found.cards, extension={EXTENSION: manifest(found, rulebook)})


def manifest(found: Answer, rulebook: Rulebook) -> dict[str, Any]:
    """What keeps an empty list of cards from reading as safe."""
    review = found.review
    return {
        "rulebook": rulebook.digest,
        "pack": f"{rulebook.pack.id} {rulebook.pack.version}",
        "asOf": review.clock.now.isoformat(),
        "hook": review.hook.name,
        "coverage": {kind: state.value for kind, state in found.coverage.items()},
        "unknown": [
            {"rule": verdict.rule.id, "missing": list(verdict.missing)} for verdict in found.unknown
        ],
        "unclassified": list(review.unclassified),
    }


# -- which finding speaks ------------------------------------------------------------------------


def _severity(finding: Finding) -> int:
    return INDICATORS.index(finding.indicator)


def _folded(findings: Sequence[Finding], rulebook: Rulebook) -> list[Drawn]:
    """One card for each problem and subject: its severest finding; the order decides a tie."""
    groups: dict[tuple[str, str], list[Finding]] = {}
    for finding in findings:
        groups.setdefault((finding.rule.problem, finding.subject), []).append(finding)
    drawn = []
    for (problem, _), found in groups.items():
        order = rulebook.precedence.problems[problem]
        group = _unreplaced(found, order)
        speaking = [finding for finding in group if finding.rule.id not in order.lines_only]
        if not speaking:
            continue
        winner = min(speaking, key=lambda finding: _rank(finding, order))
        others = sorted(
            (item for item in group if item is not winner), key=lambda item: _rank(item, order)
        )
        drawn.append(Drawn(winner, tuple(others)))
    problems = list(rulebook.precedence.problems)
    drawn.sort(
        key=lambda item: (
            -_severity(item.finding),
            problems.index(item.finding.rule.problem),
            item.finding.key,
        )
    )
    return drawn


def _unreplaced(group: list[Finding], order: ProblemOrder) -> list[Finding]:
    """The findings less those that another rule's finding about the same facts replaces."""
    replaced = {
        (item.replaced, *_same(finding, item.same))
        for item in order.replaces
        for finding in group
        if finding.rule.id == item.rule
    }
    return [
        finding
        for finding in group
        if not any(
            (finding.rule.id, *_same(finding, item.same)) in replaced for item in order.replaces
        )
    ]


def _same(finding: Finding, names: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(bound.fact.key for name in names for bound in finding.bound.get(name, ()))


def _rank(finding: Finding, order: ProblemOrder) -> tuple[int, int, str]:
    return -_severity(finding), order.rules.index(finding.rule.id), finding.key


def _suppressed(drawn: list[Drawn], rulebook: Rulebook) -> list[Drawn]:
    """Cards that a severer one of the same answer turns into a line of its detail."""
    silenced: dict[int, int] = {}
    for position, item in enumerate(drawn):
        speaker = next(
            (
                other
                for other in range(len(drawn))
                if other != position and _silences(drawn[other], item, rulebook)
            ),
            None,
        )
        if speaker is not None:
            silenced[position] = speaker
    kept = []
    for position, item in enumerate(drawn):
        if position in silenced:
            continue
        lines = list(item.lines)
        for quiet, speaker in silenced.items():
            if speaker == position:
                lines += [drawn[quiet].finding, *drawn[quiet].lines]
        kept.append(Drawn(item.finding, tuple(lines)))
    return kept


def _silences(speaker: Drawn, other: Drawn, rulebook: Rulebook) -> bool:
    loud, quiet = speaker.finding, other.finding
    if _severity(loud) <= _severity(quiet):
        return False
    return any(
        loud.indicator in rule.speaking
        and (not rule.of_groups or loud.rule.group in rule.of_groups)
        and quiet.indicator in rule.silences
        and (not rule.silenced_groups or quiet.rule.group in rule.silenced_groups)
        for rule in rulebook.precedence.suppressions
    )


# -- one card ------------------------------------------------------------------------------------


def _card(drawn: Drawn, review: Review, rulebook: Rulebook, checked: str) -> Card:
    finding, rule, pack = drawn.finding, drawn.finding.rule, rulebook.pack
    uuid = uuid5(
        _NAMESPACE,
        "|".join((review.chart.patient.id, finding.key, review.clock.now.date().isoformat())),
    )
    offered = suggestions(finding, review, rulebook, uuid)
    return Card(
        uuid=str(uuid),
        summary=summary(finding, rulebook),
        indicator=finding.indicator,
        detail=_detail(drawn, review, rulebook, checked),
        source=Source(
            label=pack.source_label,
            url=pack.url or None,
            topic=Coding(system=f"{pack.canonical}/rules", code=rule.id, display=rule.title),
        ),
        suggestions=offered,
        selection_behavior="at-most-one" if offered else None,
        override_reasons=tuple(
            OverrideReason(
                system=f"{pack.canonical}/override-reasons",
                code=code,
                display=rulebook.overrides[code],
            )
            for code in _overrides(drawn, rulebook)
        ),
        links=_links(finding, rulebook),
        extension={EXTENSION: _extension(finding, review, rulebook)},
    )


def _overrides(drawn: Drawn, rulebook: Rulebook) -> tuple[str, ...]:
    """The rule's reasons, then those of what is never a card of its own but context of this one."""
    order = rulebook.precedence.problems[drawn.finding.rule.problem]
    context = [line.rule for line in drawn.lines if line.rule.id in order.lines_only]
    rules = (drawn.finding.rule, *context)
    return tuple(dict.fromkeys(code for rule in rules for code in rule.card.overrides))


def _links(finding: Finding, rulebook: Rulebook) -> tuple[Link, ...]:
    """Links to evidence pages; none where the site does not publish them."""
    base = rulebook.evidence_url.rstrip("/")
    if not base:
        return ()
    return tuple(
        Link(label=link.label, url=f"{base}/{link.page}", type="absolute")
        for link in finding.rule.card.links
    )


def _extension(finding: Finding, review: Review, rulebook: Rulebook) -> dict[str, Any]:
    return {
        "rule": finding.rule.id,
        "version": finding.rule.version,
        "rulebook": rulebook.digest,
        "asOf": review.clock.now.isoformat(),
        "trace": finding.trace.as_json(),
    }


def _detail(drawn: Drawn, review: Review, rulebook: Rulebook, checked: str) -> str:
    """What a card says, from what was found and why to its sources and what was checked."""
    finding = drawn.finding
    card = finding.rule.card
    badge = f"*{rulebook.pack.badge}*" if rulebook.pack.badge_tag in finding.rule.tags else ""
    found = found_lines(finding, rulebook, review.clock.today)
    return document(
        badge,
        "**Found**\n\n" + bullets(found) if found else "",
        _block("Why it matters", card.why, finding, rulebook),
        _block("Uncertain", card.uncertain, finding, rulebook, _doubts(finding)),
        _block("What can be done", card.options, finding, rulebook),
        "**Sources**\n\n" + bullets(_source(entry, rulebook) for entry in finding.rule.evidence),
        "**Also**\n\n" + bullets(_also(item, rulebook) for item in drawn.lines)
        if drawn.lines
        else "",
        checked,
    )


def _block(
    title: str, text: str, finding: Finding, rulebook: Rulebook, more: Sequence[str] = ()
) -> str:
    words = " ".join([fill_markdown(text, finding, rulebook)] if text else [])
    parts = [part for part in (words, bullets(more)) if part]
    return f"**{title}**\n\n" + "\n\n".join(parts) if parts else ""


def _doubts(finding: Finding) -> list[str]:
    return [escape(text) for text in dict.fromkeys((*finding.missing, *finding.passed_over))]


def _also(finding: Finding, rulebook: Rulebook) -> str:
    return f"{escape(summary(finding, rulebook))} ({escape(finding.rule.id)}, {finding.indicator})"


def _source(entry: Evidence, rulebook: Rulebook) -> str:
    where = rulebook.sources[entry.source].cite + (f", {entry.section}" if entry.section else "")
    line = f"[{entry.statement}] {entry.says} *{where}.* Strength: {entry.strength}."
    if entry.beyond:
        line += " Beyond the source documents."
    return line + (
        f" Contradicted or limited by: {entry.contradicted_by}" if entry.contradicted_by else ""
    )
