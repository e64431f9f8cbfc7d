"""Whether a changed definition answers otherwise than the one that a sheet was judged by.

What is judged asks definitions for their answers and for nothing else. So if a changed term gives
every answer that was asked for as it was given, nothing comes out differently, and no rule needs to
be judged again to know that.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from contextlib import contextmanager

from cds.engine.fact import Fact
from cds.engine.meaning import Meanings
from cds.engine.observation import Part
from cds.engine.sheet import Sheet
from cds.rulebook.model import Rulebook
from cds.values.truth import Truth


def answers_alike(part: Part, sheet: Sheet, meanings: Meanings) -> bool:
    """Whether a part of the changed rulebook answers on the sheet as it was answered there.

    False also where that is not looked into, or where reasons are told beside an answer.
    ``meanings`` are those of the changed rulebook; the sheet is left as it was.
    """
    if part[0] not in ("term", "label", "unseen"):
        return False
    with shadow_of(sheet, meanings.rulebook) as shadow:
        if part[0] == "unseen":
            told = sheet.told_unseen(part[1])
            return told is None or told is meanings.unseen(shadow, part[1]) is Truth.NO
        alike = _same_term if part[0] == "term" else _same_label
        return all(alike(part[2], fact, shadow, meanings) for fact in sheet.facts(part[1]))


@contextmanager
def shadow_of(sheet: Sheet, changed: Rulebook) -> Iterator[Sheet]:
    """The sheet with the numbers of another rulebook; afterwards its facts know what they knew."""
    shadow = copy.copy(sheet)
    shadow.rulebook, shadow.bound, shadow.passed = changed, dict(sheet.bound), dict(sheet.passed)
    shadow.doubts = {}
    facts = [fact for kind in sheet.kinds() for fact in sheet.facts(kind)]
    before = [(fact, dict(fact.terms), fact.told()) for fact in facts]
    try:
        yield shadow
    finally:
        for fact, terms, told in before:
            fact.forget(terms, told)


def _same_term(word: str, fact: Fact, sheet: Sheet, meanings: Meanings) -> bool:
    told = fact.terms.get(word)
    if told is None:
        return True
    term = sheet.rulebook.definitions[fact.kind].terms.get(word)
    if term is None or told is Truth.UNKNOWN:
        return False
    return meanings.term(term, sheet, fact) is told


def _same_label(label: str, fact: Fact, sheet: Sheet, meanings: Meanings) -> bool:
    told = fact.told().get(label)
    return told is None or meanings.label(sheet, fact, label) == told
