"""An evaluator that is watched: what each clause of a rulebook was, on the charts that it judged.

The compiled sentences are wrapped, and what the definitions decide is noted beside them. The plain
evaluator knows nothing of it, so watching costs nothing where nobody watches.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Container
from datetime import datetime

import msgspec

from cds.chart.model import Chart
from cds.engine.agenda import Agenda
from cds.engine.binding import Scope
from cds.engine.evidence import cap_attributes, row_matches
from cds.engine.explanation import Explanation
from cds.engine.expression import Expression, Judged
from cds.engine.fact import Fact
from cds.engine.finding import Review, Verdict
from cds.engine.frame import Hook
from cds.engine.meaning import Meanings
from cds.engine.reading import Reading
from cds.engine.review import Evaluator
from cds.engine.sheet import Sheet
from cds.engine.value import Missing, Value, Words
from cds.rulebook.model import EvidenceRow, FactClause, KindDefinition, Profile, Rulebook, Term
from cds.terminology.concept import Classification, CodeableConcept
from cds.terminology.terminology import Terminology
from cds.values.truth import Truth

Part = tuple[str, ...]
"""A part of a definition: ``("term", kind, name)``, ``("row", kind, list, number)``, …"""


class Log(msgspec.Struct):
    """What was seen: truths of nodes by their identity, and which parts took part in judging.

    A node is a test, a clause or a line of a table of the rulebook that is watched; it must outlive
    the log, or another could come to have its identity.
    """

    truths: defaultdict[int, set[Truth]] = msgspec.field(default_factory=lambda: defaultdict(set))
    parts: set[Part] = msgspec.field(default_factory=set)

    def saw(self, node: object, truth: Truth) -> None:
        self.truths[id(node)].add(truth)

    def of(self, node: object) -> frozenset[Truth]:
        """Every truth that was seen of a node."""
        return frozenset(self.truths.get(id(node), ()))

    def taken(self) -> frozenset[Part]:
        """The parts that took part since this was last asked."""
        found = frozenset(self.parts)
        self.parts.clear()
        return found


class _Expression(Expression):
    """Sentences whose every test notes what it was."""

    def __init__(self, meanings: Meanings, log: Log) -> None:
        super().__init__(meanings.is_word)
        self._log = log

    def test(self, test: object) -> Judged:
        if id(test) not in self._tests:
            judge, saw = super().test(test), self._log.saw

            def watched(scope: Scope) -> Truth:
                truth = judge(scope)
                saw(test, truth)
                return truth

            self._tests[id(test)] = test, watched
        return self._tests[id(test)][1]


class _Meanings(Meanings):
    """Words whose every use is noted."""

    def __init__(self, rulebook: Rulebook, log: Log) -> None:
        super().__init__(rulebook)
        self._log = log
        self.expression = _Expression(self, log)
        self.explanation = Explanation(self.expression, self.passed_over)
        self.explain = self.explanation.explain

    def term(self, term: Term, sheet: Sheet, fact: Fact) -> Truth:
        truth = super().term(term, sheet, fact)
        self._log.saw(term, truth)
        self._log.parts.add(("term", fact.kind, term.name))
        return truth

    def label(self, sheet: Sheet, fact: Fact, label: str) -> Value:
        found = super().label(sheet, fact, label)
        self._log.parts.add(("label", fact.kind, label))
        choices = self.rulebook.definitions[fact.kind].labels[label].choices
        for word, sentence in choices:
            chosen = isinstance(found, Words) and word in found.words
            if chosen:
                self._log.saw(sentence, Truth.YES)
                break
            self._log.saw(sentence, Truth.UNKNOWN if isinstance(found, Missing) else Truth.NO)
        return found

    def profile(self, sheet: Sheet, fact: Fact, *, alone: bool) -> Profile | None:
        chosen = super().profile(sheet, fact, alone=alone)
        own = self._profiles_of(fact)
        for number, profile in enumerate(self.rulebook.definitions[fact.kind].profiles):
            if any(profile is item for item in own):
                word = "profile" if profile is chosen else "passed-profile"
                self._log.parts.add((word, fact.kind, str(number)))
                self._log.saw(profile, Truth.YES if profile is chosen else Truth.NO)
            if profile is chosen:
                break
        return chosen

    def unseen(self, sheet: Sheet, kind: str) -> Truth:
        truth = super().unseen(sheet, kind)
        self._log.parts.add(("unseen", kind))
        return truth

    def bind(self, clause: FactClause, scope: Scope) -> None:
        super().bind(clause, scope)
        self._log.saw(clause, scope.exists(clause.name))
        for bound in scope.sets[clause.name]:
            self._log.saw(clause, bound.truth)


class ObservedEvaluator(Evaluator):
    """An evaluator that writes down in ``log`` what it sees of its rulebook."""

    def __init__(self, rulebook: Rulebook, log: Log) -> None:
        super().__init__(rulebook)
        self.meanings: Meanings = _Meanings(rulebook, log)
        self._log = log

    def watched(self, chart: Chart, hook: Hook, as_of: datetime) -> tuple[Review, Sheet | None]:
        """The review of one chart, with everything noted that took part in it.

        With the sheet that it was made on: None where nobody was judged.
        """
        sheets: list[Sheet] = []

        def judge(
            agendas: tuple[Agenda, ...], sheet: Sheet, shown: Container[str]
        ) -> tuple[Verdict, ...]:
            sheets.append(sheet)
            return self.judge_all(agendas, sheet, shown)

        review = self.review(chart, hook, as_of, judge=judge)
        for sheet in sheets:
            self._note_rows(sheet)
            self._note_sources(sheet)
        return review, sheets[0] if sheets else None

    def _note_sources(self, sheet: Sheet) -> None:
        """Notes of which kinds of fact the sources were not answered, whether or not one asked."""
        for kind in self.rulebook.definitions:
            if sheet.unseen(kind)[0] is not Truth.NO:
                self._log.parts.add(("unanswered", kind))

    def _note_rows(self, sheet: Sheet) -> None:
        """Notes which lines of the pack's tables the chart's entries fell under."""
        for kind in sheet.kinds():
            for fact in sheet.facts(kind):
                self._log.parts.add(("kind", kind))
                self._note_fact(fact, sheet.definition(kind))

    def _note_fact(self, fact: Fact, definition: KindDefinition) -> None:
        readings = fact.exposure.readings if fact.exposure is not None else ()
        for reading in readings:
            self._note_row(reading.row, reading.record.source.type, definition)
            if reading.status != reading.record.status:
                self._log.parts.add(("hindsight", definition.kind, reading.record.source.type))
            self._note_caps(reading, definition)
        for entry in fact.plan.entries if fact.plan is not None else ():
            self._note_row(entry.row, entry.record.source.type, definition)

    def _note_row(self, row: EvidenceRow | None, kind: str, definition: KindDefinition) -> None:
        """An entry's line was seen yes, those before it no."""
        for other in definition.evidence_for(kind):
            found = other is row
            self._log.saw(other, Truth.YES if found else Truth.NO)
            number = next(i for i, item in enumerate(definition.evidence) if item is other)
            self._log.parts.add((_word(found), definition.kind, "evidence", str(number)))
            if found:
                break

    def _note_caps(self, reading: Reading, definition: KindDefinition) -> None:
        attributes = cap_attributes(reading.record)
        for number, cap in enumerate(definition.caps):
            found = row_matches(cap, attributes, reading.record)
            self._log.saw(cap, Truth.YES if found else Truth.NO)
            self._log.parts.add((_word(found), definition.kind, "caps", str(number)))


def _word(found: bool) -> str:
    return "row" if found else "passed-row"


class ObservedTerminology(Terminology):
    """A terminology that notes which value sets it found something in."""

    def __init__(self, terminology: Terminology, log: Log) -> None:
        _, parts = terminology.__reduce__()
        super().__init__(*parts)  # type: ignore[arg-type]
        self._log = log

    def classify(self, concept: CodeableConcept, kind: str) -> Classification:
        found = super().classify(concept, kind)
        self._log.parts.update(("set", match.valueset) for match in found.matches)
        return found
