"""Joins medication resources that tell of one course of a drug.

First by what they say themselves (`authorizingPrescription`, `request`, `basedOn`, …), then an
unlinked dispense, administration or statement joins the order of the same drug if there is just one
that it can belong to; without any order, entries of the same drug are one course. A statement that
the drug is not taken belongs to every order that it can be about. Drafts stand alone: they are not
yet part of anything.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

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
    found = []
    for group in groups.groups():
        if any(item in denied for item in group):
            continue
        about = [item for item, owners in denied.items() if not owners.isdisjoint(group)]
        found.append(Course(tuple(ordered[item] for item in sorted({*group, *about}))))
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
        candidates = orders.get(key, [])
        if not candidates:
            for position in positions[1:]:
                groups.join(positions[0], position)
        for position in positions:
            owners = [order for order in candidates if _may_own(ordered[order], ordered[position])]
            if len(owners) == 1:
                groups.join(position, owners[0])
            elif owners and ordered[position].status == "not-taken":
                denied[position] = set(owners)
    return denied


def _may_own(order: MedicationRecord, record: MedicationRecord) -> bool:
    """Whether the order can be the one behind a record: not written after it, nor withdrawn."""
    if order.status in ("entered-in-error", "cancelled") or order.attributes["prohibited"] == "yes":
        return False
    written = order.dates.get("authored")
    happened = _happened(record)
    if written is None or happened is None:
        return True
    return written.days.earliest <= happened.days.latest


def _happened(record: MedicationRecord) -> PartialDate | None:
    for name in ("handed-over", "prepared", "effective-end", "effective-start", "asserted"):
        if name in record.dates:
            return record.dates[name]
    return None
