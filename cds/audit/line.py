"""The lines of an audit's files: one finding, one problem.

``findings.ndjson``, fields in this order, all of them on every line:

============ ===================================================================================
patient      id of the patient
input        the input as it was given (for an export its folder)
rule         id of the rule
version      the rule's version
indicator    ``info``, ``warning`` or ``critical``
card         ``true``: it speaks as a card; ``"line"``: a line in the detail of another card;
             ``false``: it neither speaks nor is told by another
problem      the problem that it is a finding of (one card per problem and subject)
subject      what it is about within the problem: a fact's resources, or the patient's id
summary      the card's summary
facts        ``[{"name", "is", "certain", "sources": ["Type/id", …]}, …]``: what the rule's names
             stand for
sources      ``["Type/id", …]``: the resources behind all of it, each once, sorted
trace        why, clause by clause, as on a card
missing      what could not be seen
order        with ``--every order``: ``Type/id`` of the order that was judged; else null
asOf         the instant judged for, with the site's offset: of such an order its own
rulebook     digest of the rulebook
============ ===================================================================================

``problems.ndjson`` has ``input, file, line, resource, patient, what, accepted, kind, severity``;
what is not known is null.
"""

from __future__ import annotations

from collections.abc import Iterator

from cds.cards.answer import Answer
from cds.cards.judge import Judged
from cds.cards.template import summary
from cds.cards.wire import encode
from cds.engine.finding import Finding
from cds.rulebook.model import Rulebook
from cds.values.problem import Problem
from cds.values.truth import Truth

FINDING_FIELDS = (
    *("patient", "input", "rule", "version", "indicator", "card", "problem", "subject", "summary"),
    *("facts", "sources", "trace", "missing", "order", "asOf", "rulebook", "line"),
)
PROBLEM_FIELDS = (
    *("input", "file", "line", "resource", "patient", "what", "accepted", "kind", "severity"),
)

Said = bool | str
"""Whether a finding speaks: True, ``"line"`` or False."""


def told_findings(answer: Answer) -> Iterator[tuple[Finding, Said]]:
    """Every finding of an answer, in the order of the rules, with whether it speaks."""
    said: dict[int, Said] = {}
    for drawn in answer.drawn:
        said.update((id(finding), "line") for finding in drawn.lines)
        said[id(drawn.finding)] = True
    for finding in answer.review.findings:
        yield finding, said.get(id(finding), False)


def finding_line(
    finding: Finding, said: Said, judged: Judged, rulebook: Rulebook, line: int = 0
) -> bytes:
    """The line of a finding, with its line end; ``line`` is where the record stands in its input.

    0 is null: the input is no file of records, a line each.
    """
    facts = [
        {
            "name": name,
            "is": bound.fact.name,
            "certain": bound.truth is Truth.YES,
            "sources": [str(source) for source in bound.fact.sources],
        }
        for name, bounds in finding.bound.items()
        for bound in bounds
    ]
    sources = {
        str(source) for item in finding.bound.values() for b in item for source in b.fact.sources
    }
    values = (
        judged.patient,
        judged.input,
        finding.rule.id,
        finding.rule.version,
        finding.indicator,
        said,
        finding.rule.problem,
        finding.subject,
        summary(finding, rulebook),
        facts,
        sorted(sources),
        finding.trace.as_json(),
        list(finding.missing),
        judged.order or None,
        judged.answer.review.clock.now.isoformat(),
        rulebook.digest,
        line or None,
    )
    return encode(dict(zip(FINDING_FIELDS, values, strict=True))) + b"\n"


def problem_line(problem: Problem, name: str, patient: str = "") -> bytes:
    """The line of a problem, with its line end; its file is the input where it names none."""
    where = problem.where
    values = (
        name,
        where.file or name,
        where.line or None,
        where.resource or None,
        patient or None,
        problem.what,
        problem.accepted or None,
        problem.kind,
        problem.severity.value,
    )
    return encode(dict(zip(PROBLEM_FIELDS, values, strict=True))) + b"\n"
