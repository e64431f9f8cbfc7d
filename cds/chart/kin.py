"""Which entries of a record belong together: by link, by identifier, as versions of one resource.

What a sieve leaves out it may leave out only with all of its kin: an operation's date stands on its
booking, a drug's end on its order, and an older version gives way to a newer one.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import NamedTuple

from cds.chart.fields import Json, as_list, as_text, reference_of
from cds.chart.lazy import plain
from cds.chart.medication import MEDICATION_LINKS, MEDICATION_TYPES
from cds.chart.operation import LINKS, OPERATION_TYPES, identifiers_of
from cds.chart.reason import diagnoses_of
from cds.chart.references import identity, relative
from cds.chart.release import type_of
from cds.chart.version import Entry

_LINKS: Mapping[str, tuple[str, ...]] = {
    **dict.fromkeys(OPERATION_TYPES, LINKS),
    **dict.fromkeys(MEDICATION_TYPES, MEDICATION_LINKS),
}
_GROUPS: Mapping[str, str] = {
    **dict.fromkeys(OPERATION_TYPES, "operation"),
    **dict.fromkeys(MEDICATION_TYPES, "medication"),
}


# What an order was for is kin of the order, though the order is none of the diagnosis.
_DIAGNOSIS = "Condition"


Holder = str | Mapping[str, object]
"""Where an entry's fullUrl is: itself, or the entry of a Bundle, looked up when asked for."""


class Left(NamedTuple):
    """An entry left out, a JSON object of either reader; ``links`` names its elements that link."""

    kind: str
    resource: Mapping[str, object]
    holder: Holder
    reason: str
    links: frozenset[str] = frozenset()

    @property
    def url(self) -> str:
        """Its fullUrl; "" where it has none."""
        return url_of(self.holder)


def url_of(holder: Holder) -> str:
    """An entry's fullUrl; "" where it has none."""
    return holder if isinstance(holder, str) else as_text(holder.get("fullUrl"))


def plain_entry(resource: Mapping[str, object], url: str) -> Entry:
    """The entry of a resource of either reader."""
    made = plain(resource)
    assert isinstance(made, dict)
    return Entry(made, url)


def has_version(
    kind: str, items: Iterable[tuple[Mapping[str, object], Holder]], names: Collection[str]
) -> bool:
    """Whether one of these entries of a type without links answers to one of the names.

    Such entries are kin only as versions of one resource: seldom is there any.
    """
    own = f"{kind}/"
    ids = {name.removeprefix(own) for name in names if name.startswith(own)}
    for resource, holder in items:
        try:
            if resource["id"] in ids or (
                (holder if isinstance(holder, str) else holder["fullUrl"]) in names
            ):
                return True
        except (KeyError, TypeError):
            if url_of(holder) in names or f"{own}{resource.get('id')}" in names:
                return True
    return False


def divided(keys: Mapping[str, set[str]], left: list[Left]) -> tuple[list[Entry], list[Left]]:
    """Those left out that are kin of something kept, as entries to keep; and those that stay out.

    ``keys`` are of what is kept (`grouped_keys`). Kin of kin is kin.
    """
    called: dict[tuple[str, str], list[int]] = {}
    for place, item in enumerate(left):
        group = _group_of(item.kind)
        if group in keys:
            for name in _names(item):
                called.setdefault((group, name), []).append(place)
    wanted = [(group, key) for group, names in keys.items() for key in names]
    chosen: set[int] = set()
    found: list[Entry] = []
    while wanted:
        # A name is looked up once: whoever answers to it has been found.
        for place in called.pop(wanted.pop(), ()):
            if place not in chosen:
                chosen.add(place)
                item = left[place]
                entry = plain_entry(item.resource, item.url)
                found.append(entry)
                wanted += [(_group_of(item.kind), key) for key in _keys(entry.resource, item.url)]
    return found, [item for place, item in enumerate(left) if place not in chosen]


def grouped_keys(kept: Iterable[Entry]) -> dict[str, set[str]]:
    """By group, what the entries are called, refer to and are identified by."""
    keys: dict[str, set[str]] = {}
    for entry in kept:
        keys.setdefault(_group_of(entry.kind), set()).update(_keys(entry.resource, entry.full_url))
        if entry.kind in MEDICATION_TYPES and (named := diagnoses_of(entry.resource)):
            keys.setdefault(_DIAGNOSIS, set()).update(named)
    return keys


def _group_of(kind: str) -> str:
    """What an entry can be kin of: entries of the same group, and of no other."""
    return _GROUPS.get(kind, kind)


def _keys(resource: Json, url: str) -> set[str]:
    """What a kept entry is called, refers to and is identified by."""
    kind = type_of(resource)
    found = {url, identity(resource), *_identified(kind, resource.get("identifier"))}
    for name in _LINKS.get(kind, ()):
        found |= _references(resource.get(name))
    return found - {""}


def _names(item: Left) -> set[str]:
    """What an entry left out can be referred to by, and what it refers to itself."""
    found = {item.url, f"{item.kind}/{item.resource.get('id')}"}
    if item.kind in OPERATION_TYPES:
        found |= _identified(item.kind, plain(item.resource.get("identifier")))
    if item.kind in MEDICATION_TYPES:
        for name in item.links:
            found |= _references(plain(item.resource.get(name)))
    return found - {""}


def _identified(kind: str, value: object) -> set[str]:
    """The identifiers by which two entries can be told to be one: only operations are joined so."""
    return set(identifiers_of(value)) if kind in OPERATION_TYPES else set()


def _references(value: object) -> set[str]:
    found = {reference_of(item) for item in as_list(value)}
    return found | {relative(reference) for reference in found}
