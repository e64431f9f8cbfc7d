"""The patients, or orders, that a report shows: the severest first, so many at most."""

from __future__ import annotations

import heapq
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import msgspec

from cds.audit.results import FINDINGS, PATIENTS


class Line(msgspec.Struct, frozen=True):
    """A line of ``patients.ndjson`` (see ``cds.audit.timeline``)."""

    rank: tuple[int, int, int]
    findings: int
    bytes: int
    patient: str
    order: str
    input: str
    asOf: str  # noqa: N815 - the key's name
    sex: str
    age: tuple[int, int] | None
    details: tuple[str, ...]
    lanes: tuple[tuple[str, str, tuple[str, ...], tuple[Any, ...], tuple[Any, ...]], ...]
    more: int
    windows: tuple[tuple[str, int, int, str, tuple[str, ...]], ...]
    unshown: int


class Found(msgspec.Struct, frozen=True):
    """What the report uses of a line of ``findings.ndjson``."""

    rule: str
    indicator: str
    card: bool | str
    summary: str
    trace: dict[str, Any]
    missing: tuple[str, ...]


class _Rank(msgspec.Struct):
    rank: tuple[int, int, int]
    findings: int
    bytes: int
    patient: str
    input: str


class Place(msgspec.Struct, frozen=True, order=True):
    """Where a patient stands: sorted, the severest come first, then in the order of the files."""

    rank: tuple[int, int, int]
    at: int
    length: int
    findings_at: int
    findings_length: int
    findings: int


class Chosen(msgspec.Struct, frozen=True):
    """The patients, or orders, to show, in their order, of how many; findings likewise.

    ``people``: how many patients they are of.
    """

    places: Sequence[Place]
    total: int
    people: int
    findings: int
    shown_findings: int


class _Totals(msgspec.Struct):
    total: int = 0
    people: int = 0
    findings: int = 0
    last: tuple[str, str] | None = None

    def add(self, rank: _Rank) -> None:
        """Counts a line; those of one patient follow on each other."""
        self.total += 1
        self.people += (rank.input, rank.patient) != self.last
        self.findings += rank.findings
        self.last = rank.input, rank.patient


def choose(folder: Path, most: int, most_bytes: int) -> Chosen:
    """At most ``most`` patients, whose lines have ``most_bytes`` at most. Raises OSError."""
    totals = _Totals()
    places = heapq.nsmallest(most, _places(folder / PATIENTS, totals))
    room = most_bytes
    for number, place in enumerate(places):
        room -= place.length + place.findings_length
        if room < 0 and number:
            places = places[:number]
            break
    shown = sum(place.findings for place in places)
    return Chosen(places, totals.total, totals.people, totals.findings, shown)


def _places(path: Path, totals: _Totals) -> Iterator[Place]:
    decode = msgspec.json.Decoder(_Rank).decode
    at = findings_at = 0
    with path.open("rb") as file:
        for line in file:
            rank = decode(line)
            totals.add(rank)
            critical, warning, info = rank.rank
            order = (-critical, -warning, -info)
            yield Place(order, at, len(line), findings_at, rank.bytes, rank.findings)
            at += len(line)
            findings_at += rank.bytes


def read(folder: Path, places: Sequence[Place]) -> Iterator[tuple[Line, list[Found]]]:
    """The patients at these places with their findings, one at a time. Raises OSError."""
    patient, finding = msgspec.json.Decoder(Line).decode, msgspec.json.Decoder(Found).decode
    with (folder / PATIENTS).open("rb") as people, (folder / FINDINGS).open("rb") as findings:
        for place in places:
            people.seek(place.at)
            findings.seek(place.findings_at)
            lines = findings.read(place.findings_length).splitlines()
            yield patient(people.read(place.length)), [finding(line) for line in lines]
