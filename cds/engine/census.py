"""Counts a pack asks for over many charts: who has a fact of a class, and in which state."""

from __future__ import annotations

from datetime import datetime

from cds.chart.model import Chart
from cds.engine.binding import Scope
from cds.engine.frame import Clock, Hook
from cds.engine.review import evaluator
from cds.engine.sheet import Sheet
from cds.rulebook.model import FactClause, Rulebook
from cds.values.truth import Truth


def census(chart: Chart, rulebook: Rulebook, clause: FactClause, as_of: datetime) -> frozenset[str]:
    """Those of the clause's words that hold for some fact of the chart."""
    meanings = evaluator(rulebook).meanings
    sheet = Sheet(chart, rulebook, Hook("audit"), Clock(as_of), meanings)
    scope = Scope(sheet)
    facts = [
        fact
        for fact in sheet.facts(clause.kind)
        if any(fact.in_concept(concept) is not Truth.NO for concept in clause.concepts)
    ]
    return frozenset(
        word
        for word in clause.terms
        if any(meanings.is_word(scope, fact, word) is Truth.YES for fact in facts)
    )
