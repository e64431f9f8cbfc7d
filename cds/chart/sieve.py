"""Takes from a plain record only the entries that somebody asks for; counts the others.

It works on JSON objects of either reader: dicts, or simdjson's objects, of which Python objects are
made only for what is kept. What is left out has no kin among what is kept (no link, identifier or
other version): a record reads the same with it and without it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import simdjson

from cds.chart.document import decode
from cds.chart.fields import Json, as_list, as_text, objects, reference_of
from cds.chart.interest import NOT_READ, Interest, before, is_wholly_before
from cds.chart.operation import LINKS, OPERATION_TYPES, identifiers_of
from cds.chart.references import identity, relative
from cds.chart.version import Entry

# What makes a record one that has to be read in full: it is no plain list of resources.
_IRREGULAR = frozenset({"", "Bundle", "OperationOutcome"})
DRAFT_TYPES = frozenset({"MedicationRequest", "ServiceRequest"})


@dataclass(slots=True)
class Sieve:
    """The entries of one record so far: those kept, those too old to matter, counts of the rest.

    ``exact`` says that the objects carry numbers with all the digits that were written, which those
    of simdjson do not: a draft, which may have to be written back, is then refused.
    """

    interest: Interest
    exact: bool
    people: int = 0
    _kept: list[tuple[str, Mapping[str, object], str]] = field(default_factory=list)
    _old: list[tuple[str, Mapping[str, object], str]] = field(default_factory=list)
    _ignored: Counter[str] = field(default_factory=Counter)

    def add(self, resource: object, full_url: str) -> bool:
        """Takes one resource; False when the record is not plain and has to be read in full."""
        if not isinstance(resource, dict | simdjson.Object):
            return False
        kind = resource.get("resourceType")
        if kind not in self.interest.types:
            if not isinstance(kind, str) or kind in _IRREGULAR:
                return False
            self._ignored[kind] += 1
            return True
        if kind == "Patient":
            self.people += 1
        elif kind in DRAFT_TYPES and not self.exact and resource.get("status") == "draft":
            return False
        is_old = kind in self.interest.dated and is_wholly_before(resource, self.interest.since)
        (self._old if is_old else self._kept).append((kind, resource, full_url))
        return True

    def entries(self, beside: Sequence[Entry] = ()) -> list[Entry]:
        """What was kept, as Python objects, with the kin of it, and of others, among the old."""
        found = [Entry(_plain(resource), url) for _, resource, url in self._kept]
        if self._old:
            found += self._kin([*found, *beside])
        return found

    def ignored(self) -> dict[tuple[str, str], int]:
        """How many entries were not read, by type and reason; after `entries`."""
        counts = {(kind, NOT_READ): number for kind, number in self._ignored.items()}
        old = Counter(kind for kind, _, _ in self._old)
        reason = before(self.interest.since)
        return counts | {(kind, reason): number for kind, number in old.items()}

    def _kin(self, kept: list[Entry]) -> list[Entry]:
        """Old entries that are bound to one that is kept, directly or by way of another."""
        operations = {url for kind, _, url in (*self._kept, *self._old) if kind in OPERATION_TYPES}
        keys: set[str] = set()
        for entry in kept:
            if entry.resource.get("resourceType") in OPERATION_TYPES:
                keys |= _keys(entry.resource, entry.full_url)
        found: list[Entry] = []
        waiting = self._old
        while True:
            kin = [
                (kind, resource, url)
                for kind, resource, url in waiting
                if (keys and not keys.isdisjoint(_names(kind, resource, url)))
                or _explains(resource, operations)
            ]
            if not kin:
                break
            for _, resource, url in kin:
                plain = _plain(resource)
                found.append(Entry(plain, url))
                keys |= _keys(plain, url)
            waiting = [item for item in waiting if item not in kin]
        self._old = waiting
        return found


def _plain(resource: Mapping[str, object]) -> Json:
    """The resource as a dict, fractions as Decimal."""
    if isinstance(resource, dict):
        return resource
    made = decode(resource.mini)  # type: ignore[attr-defined]
    assert isinstance(made, dict)
    return made


def _names(kind: str, resource: Mapping[str, object], url: str) -> set[str]:
    """What an old entry can be referred to by."""
    found = {url, f"{kind}/{resource.get('id')}"}
    if "identifier" in resource:
        found.update(identifiers_of(_plain_part(resource["identifier"])))
    return found - {""}


def _keys(resource: Json, url: str) -> set[str]:
    """What an entry is called, refers to and is identified by."""
    found = {url, identity(resource), *identifiers_of(resource.get("identifier"))}
    for name in LINKS:
        for item in as_list(resource.get(name)):
            reference = reference_of(item)
            found |= {reference, relative(reference)}
    return found - {""}


def _explains(resource: Mapping[str, object], operations: Iterable[str]) -> bool:
    """Whether an entry gives another operation as its reason: then the two belong together."""
    if "reasonReference" not in resource:
        return False
    for item in objects(_plain_part(resource["reasonReference"])):
        reference = reference_of(item)
        if reference in operations or relative(reference).partition("/")[0] in OPERATION_TYPES:
            return True
    return False


def _plain_part(value: object) -> object:
    """A part of a resource as Python objects."""
    return decode(value.mini) if isinstance(value, simdjson.Object | simdjson.Array) else value


def sift(root: object, interest: Interest, *, exact: bool) -> Sieve | None:
    """The sieve of a plain Bundle of one patient; None for any other document.

    A Bundle is plain when each entry holds one resource of a known type, and no page is missing.
    """
    if not isinstance(root, dict | simdjson.Object):
        return None
    items = root.get("entry")
    if root.get("resourceType") != "Bundle" or "link" in root:
        return None
    if not isinstance(items, list | simdjson.Array):
        return None
    sieve = Sieve(interest, exact)
    for item in items:
        if not isinstance(item, dict | simdjson.Object):
            return None
        if not sieve.add(item.get("resource"), as_text(item.get("fullUrl"))):
            return None
    return sieve if sieve.people == 1 else None
