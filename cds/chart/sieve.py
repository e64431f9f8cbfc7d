"""Takes from a plain record only the entries that somebody asks for; counts the others.

It works on JSON objects of either reader: dicts, or simdjson's objects, of which Python objects are
made only for what is kept. What is left out has no kin among what is kept (no link, identifier or
other version): a record reads the same with it and without it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

import simdjson

from cds.chart.document import decode
from cds.chart.fields import Json, as_list, as_text, objects, reference_of
from cds.chart.finding import CLASSIFIED_AS
from cds.chart.interest import NOT_READ, UNCLASSIFIED, Interest, before, is_wholly_before, telling
from cds.chart.operation import LINKS, OPERATION_TYPES, identifiers_of
from cds.chart.references import identity, relative
from cds.chart.version import Entry
from cds.terminology.concept import read_concept
from cds.terminology.terminology import Terminology

# What makes a record one that has to be read in full: it is no plain list of resources.
_IRREGULAR = frozenset({"", "Bundle", "OperationOutcome"})
_OBJECTS = (simdjson.Object, dict)
_ARRAYS = (simdjson.Array, list)
_MOST_KNOWN = 50_000
DRAFT_TYPES = frozenset({"MedicationRequest", "ServiceRequest"})


class Asked:
    """Tells the entries that some value set has from those that none has, by their code alone."""

    def __init__(self, terminology: Terminology) -> None:
        self._terminology = terminology
        self._known: dict[tuple[str, object], bool] = {}

    def is_asked(self, kind: str, resource: Mapping[str, object]) -> bool:
        """Whether an entry is in a value set; one whose code is not plain to see may be."""
        code = resource.get("code")
        if not isinstance(code, simdjson.Object):
            return self._classified(kind, code)
        key = kind, code.mini
        found = self._known.get(key)
        if found is None:
            found = self._classified(kind, _plain_part(code))
            if len(self._known) < _MOST_KNOWN:
                self._known[key] = found
        return found

    def _classified(self, kind: str, code: object) -> bool:
        return bool(self._terminology.classify(read_concept(code), CLASSIFIED_AS[kind]).matches)


_Found = tuple[str, Mapping[str, object], str]


@dataclass(slots=True)
class Sieve:
    """The entries of one record so far: those kept, those too old to matter, counts of the rest.

    ``exact`` says that the objects carry numbers with all the digits that were written, which those
    of simdjson do not: a draft, which may have to be written back, is then refused.
    """

    interest: Interest
    exact: bool
    asked: Asked
    people: int = 0
    _kept: list[_Found] = field(default_factory=list)
    _old: list[_Found] = field(default_factory=list)
    _reasoned: list[_Found] = field(default_factory=list)
    _ignored: Counter[str] = field(default_factory=Counter)
    _unasked: Counter[str] = field(default_factory=Counter)

    def add(self, kind: str, resource: Mapping[str, object], full_url: str) -> bool:
        """Takes a resource of a type that is read; False when it has to be read in full."""
        if kind == "Patient":
            self.people += 1
        elif kind in DRAFT_TYPES and not self.exact and resource.get("status") == "draft":
            return False
        item = kind, resource, full_url
        if kind in self.interest.dated:
            told = telling(resource)
            if is_wholly_before(resource, told, self.interest.since):
                self._old.append(item)
                if "reasonReference" in told:
                    self._reasoned.append(item)
                return True
        elif kind in self.interest.classified and not self.asked.is_asked(kind, resource):
            self._unasked[kind] += 1
            return True
        self._kept.append(item)
        return True

    def count(self, kind: str) -> None:
        """Counts a resource of a type that no rule reads."""
        self._ignored[kind] += 1

    @property
    def plain(self) -> bool:
        """Whether all that was counted are resources of a known type, and no lists or outcomes."""
        return self._ignored.keys().isdisjoint(_IRREGULAR) and all(
            isinstance(kind, str) for kind in self._ignored
        )

    def entries(self, beside: Sequence[Entry] = ()) -> list[Entry]:
        """What was kept, as Python objects, with the kin of it, and of others, among the old."""
        found = [Entry(_plain(resource), url) for _, resource, url in self._kept]
        if self._old:
            found += self._kin([*found, *beside])
        return found

    def ignored(self) -> dict[tuple[str, str], int]:
        """How many entries were not read, by type and reason; after `entries`."""
        counts = {(kind, NOT_READ): number for kind, number in self._ignored.items()}
        counts |= {(kind, UNCLASSIFIED): number for kind, number in self._unasked.items()}
        old = Counter(kind for kind, _, _ in self._old)
        reason = before(self.interest.since)
        return counts | {(kind, reason): number for kind, number in old.items()}

    def _kin(self, kept: list[Entry]) -> list[Entry]:
        """Old entries that are bound to one that is kept, directly or by way of another."""
        keys: set[str] = set()
        for entry in kept:
            if entry.kind in OPERATION_TYPES:
                keys |= _keys(entry.resource, entry.full_url)
        found: list[Entry] = []
        kin = self._explained()
        while True:
            if keys:
                kin += [item for item in self._old if not keys.isdisjoint(_names(*item))]
            if not kin:
                return found
            for _, resource, url in kin:
                plain = _plain(resource)
                found.append(Entry(plain, url))
                keys |= _keys(plain, url)
            chosen = {id(item) for item in kin}
            self._old = [item for item in self._old if id(item) not in chosen]
            kin = []

    def _explained(self) -> list[_Found]:
        """Old entries that give another operation as their reason: the two belong together."""
        if not self._reasoned:
            return []
        everything = (*self._kept, *self._old)
        operations = {url for kind, _, url in everything if kind in OPERATION_TYPES}
        return [item for item in self._reasoned if _explains(item[1], operations)]


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
    found.update(identifiers_of(_plain_part(resource.get("identifier"))))
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
    for item in objects(_plain_part(resource["reasonReference"])):
        reference = reference_of(item)
        if reference in operations or relative(reference).partition("/")[0] in OPERATION_TYPES:
            return True
    return False


def _plain_part(value: object) -> object:
    """A part of a resource as Python objects."""
    return decode(value.mini) if isinstance(value, (simdjson.Object, simdjson.Array)) else value


def sift(root: Any, interest: Interest, asked: Asked, *, exact: bool) -> Sieve | None:
    """The sieve of a plain Bundle of one patient; None for any other document.

    A Bundle is plain when each entry holds one resource of a known type, and no page is missing.
    """
    if not isinstance(root, _OBJECTS):
        return None
    items = cast(Any, root.get("entry"))
    if root.get("resourceType") != "Bundle" or "link" in root or not isinstance(items, _ARRAYS):
        return None
    sieve = Sieve(interest, exact, asked)
    types = frozenset(interest.types)
    try:
        for item in cast(Iterable[Any], items):
            resource = item["resource"]
            kind = resource["resourceType"]
            if kind not in types:
                sieve.count(kind)
            elif not sieve.add(kind, resource, as_text(item.get("fullUrl"))):
                return None
    except (KeyError, TypeError, IndexError, AttributeError):
        # Something else than a resource stands where one belongs.
        return None
    return sieve if sieve.people == 1 and sieve.plain else None
