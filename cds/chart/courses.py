"""Joins medication resources that tell of one course of a drug.

First by what they say themselves (`authorizingPrescription`, `request`, `basedOn`, …), then an
unlinked dispense, administration or statement joins the order of the same drug if there is just one
that it can belong to; without any order, entries of the same drug are one course. A statement that
the drug is not taken belongs to every order that it can be about. Drafts stand alone: they are not
yet part of anything.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from datetime import date

from cds.chart.model import Course, MedicationRecord
from cds.values.moment import PartialDate


class Groups:
    """Union-find over positions."""

    def __init__(self, size: int) -> None:
        self._parent = list(range(size))

    def find(self, item: int) -> int:
        while self._parent[item] != item:
            self._parent[item] = self._parent[self._parent[item]]
            item = self._parent[item]
        return item

    def join(self, left: int, right: int) -> None:
        first, second = sorted((self.find(left), self.find(right)))
        self._parent[second] = first

    def groups(self) -> list[list[int]]:
        found: dict[int, list[int]] = {}
        for item in range(len(self._parent)):
            found.setdefault(self.find(item), []).append(item)
        return list(found.values())


def join_courses(records: Iterable[MedicationRecord]) -> tuple[Course, ...]:
    """The courses, in a stable order that does not depend on the order of the records."""
    ordered = sorted(records, key=lambda record: record.source)
    groups = Groups(len(ordered))
    by_source = {str(record.source): position for position, record in enumerate(ordered)}
    for position, record in enumerate(ordered):
        for link in record.links:
            target = by_source.get(link)
            if target is not None and not record.drafted and not ordered[target].drafted:
                groups.join(position, target)
    denied = _join_by_drug(ordered, groups, by_source)
    about: dict[int, list[int]] = {}
    for item, owners in denied.items():
        for owner in owners:
            about.setdefault(owner, []).append(item)
    found = []
    for group in groups.groups():
        if any(item in denied for item in group):
            continue
        denials = (item for owner in group for item in about.get(owner, ()))
        found.append(Course(tuple(ordered[item] for item in sorted({*group, *denials}))))
    return tuple(found)


def _join_by_drug(
    ordered: Sequence[MedicationRecord], groups: Groups, by_source: dict[str, int]
) -> dict[int, set[int]]:
    """Joins what belongs to one order; the denials that are about several, each with its orders."""
    denied: dict[int, set[int]] = {}
    orders: dict[str, list[int]] = {}
    loose: dict[str, list[int]] = {}
    for position, record in enumerate(ordered):
        if not record.key or record.drafted or not record.classification.matches:
            continue
        linked = any(link in by_source for link in record.links)
        if record.source.type == "MedicationRequest":
            orders.setdefault(record.key, []).append(position)
        elif not linked:
            loose.setdefault(record.key, []).append(position)
    for key, positions in loose.items():
        if key not in orders:
            for position in positions[1:]:
                groups.join(positions[0], position)
            continue
        candidates = _Orders(ordered, orders[key])
        for position in positions:
            count = candidates.count(ordered[position])
            if count == 1:
                groups.join(position, candidates.places[0])
            elif count and ordered[position].status == "not-taken":
                denied[position] = set(candidates.places[:count])
    return denied


class _Orders:
    """The orders of one drug that were not withdrawn, by the first day that each was written on."""

    def __init__(self, ordered: Sequence[MedicationRecord], places: Iterable[int]) -> None:
        found = sorted(
            (_written(ordered[place]), place) for place in places if _stands(ordered[place])
        )
        self.places = [place for _, place in found]
        self._days = [day for day, _ in found]

    def count(self, record: MedicationRecord) -> int:
        """How many, from the first on, can be the one behind a record: not written after it."""
        happened = _happened(record)
        if happened is None:
            return len(self.places)
        return bisect_right(self._days, happened.days.latest)


def _stands(order: MedicationRecord) -> bool:
    return (
        order.status not in ("entered-in-error", "cancelled")
        and order.attributes["prohibited"] != "yes"
    )


def _written(order: MedicationRecord) -> date:
    """The first day on which it can have been written; the first there is when that is not said."""
    written = order.dates.get("authored")
    return date.min if written is None else written.days.earliest


def _happened(record: MedicationRecord) -> PartialDate | None:
    for name in ("handed-over", "prepared", "effective-end", "effective-start", "asserted"):
        if name in record.dates:
            return record.dates[name]
    return None
