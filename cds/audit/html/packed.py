"""Patients as the page's script reads them: short arrays, each text once.

A text is its place in a list of texts. The script (``assets/report.js``) knows the same order:

- patient: id, input, as of, sex, age, today, ticks, windows, lanes, more, findings, order, unshown
- window: kind, name, words, [rule], x, width, open
- lane: kind, name, words, [resource], [bar], [mark]
- finding: rule, level, said, summary, [[sort, [text]]], trace, [missing]
- clause: truth, words, [resource], [value], [missing], [clause]
"""

from __future__ import annotations

from typing import Any

import msgspec

from cds.audit.html.person import Finding, Lane, Person, Shown, Step


class Texts(msgspec.Struct):
    """Texts by their place."""

    places: dict[str, int] = msgspec.field(default_factory=dict)

    def place(self, text: str) -> int:
        return self.places.setdefault(text, len(self.places))

    def all(self, texts: tuple[str, ...]) -> list[int]:
        return [self.place(text) for text in texts]


def packed(person: Person, texts: Texts) -> list[Any]:
    """The patient as arrays."""
    return [
        person.id,
        *texts.all((person.input, person.as_of, person.sex, person.age)),
        person.today,
        [[x, texts.place(words)] for x, words in person.ticks],
        [_window(window, texts) for window in person.windows],
        [_lane(lane, texts) for lane in person.lanes],
        person.more,
        [_finding(finding, texts) for finding in person.findings],
        person.order,
        person.unshown,
    ]


def _window(window: Shown, texts: Texts) -> list[Any]:
    names = texts.all((window.kind, window.name, window.words))
    return [*names, texts.all(window.rules), window.x, window.width, window.open]


def _lane(lane: Lane, texts: Texts) -> list[Any]:
    names = texts.all((lane.kind, lane.name, lane.words))
    return [*names, list(lane.sources), lane.bars, lane.marks]


def _finding(finding: Finding, texts: Texts) -> list[Any]:
    names = texts.all((finding.rule, finding.level, finding.said, finding.summary))
    blocks = [[sort, texts.all(items)] for sort, items in finding.blocks]
    return [*names, blocks, _step(finding.trace, texts), texts.all(finding.missing)]


def _step(step: Step, texts: Texts) -> list[Any]:
    truth, words, sources, values, missing, below = step
    names = texts.all((truth, words))
    inside = [_step(clause, texts) for clause in below]
    return [*names, list(sources), texts.all(values), texts.all(missing), inside]
