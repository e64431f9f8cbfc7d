"""Takes from a plain record only the entries that somebody asks for; counts the others.

It works on JSON objects of either reader: dicts, or simdjson's objects, of which Python objects are
made only for what is kept. What is left out has no kin among what is kept (``cds.chart.kin``): a
record reads the same with it and without it.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

from cds.chart.fields import objects, reference_of
from cds.chart.finding import CLASSIFIED_AS
from cds.chart.interest import (
    NOT_READ,
    UNCLASSIFIED,
    Interest,
    before,
    is_recorded_before,
    is_wholly_before,
    telling,
    telling_of_drug,
)
from cds.chart.kin import Holder, Left, divided, grouped_keys, has_version, plain_entry, url_of
from cds.chart.lazy import ARRAYS, LAZY, OBJECTS, plain, text_of
from cds.chart.medication import MEDICATION_TYPES
from cds.chart.operation import OPERATION_TYPES
from cds.chart.references import relative
from cds.chart.release import RENAMED
from cds.chart.version import Entry
from cds.terminology.concept import CodeableConcept, read_concept
from cds.terminology.terminology import Terminology

# What makes a record one that has to be read in full: it is no plain list of resources.
_IRREGULAR = frozenset({"", "Bundle", "OperationOutcome"})
_MOST_KNOWN = 50_000
_LONGEST_KNOWN = 4_000
_NONE: frozenset[str] = frozenset()
_REASONS = frozenset({"reasonReference"})
# What of an entry may be in a value set by itself, and the name of its code.
PARTS: Mapping[str, tuple[str, str]] = {
    "Observation": ("component", "code"),
    "AllergyIntolerance": ("reaction", "substance"),
}
DRAFT_TYPES = frozenset({"MedicationRequest", "ServiceRequest"})


class Asked:
    """Tells the entries that some value set has from those that none has, by their code alone."""

    def __init__(self, terminology: Terminology) -> None:
        self._terminology = terminology
        self._known: dict[str, dict[object, bool]] = {}

    def is_asked(self, kind: str, code: object) -> bool:
        """Whether an entry with this code is in a value set that its type is classified by."""
        return self._told(kind, code, self._is_classified)

    def known(self, kind: str) -> Mapping[object, bool]:
        """What is remembered of a type, by what codes consist of, or are written like."""
        return self._known.setdefault(kind, {})

    def is_drug_asked(self, code: object) -> bool:
        """Whether a medication is in a value set, speaks of a whole list, or is not readable."""
        return self._told("", code, self._is_drug)

    def _told(self, kind: str, code: object, tell: Callable[[str, CodeableConcept], bool]) -> bool:
        """The answer, remembered by what the code consists of where that is plain to see."""
        known = self._known.setdefault(kind, {})
        key = text_of(code) or _parts(code)
        try:
            found = known.get(key)
        except TypeError:  # something else than a text stands in it
            return tell(kind, read_concept(code))
        if found is None:
            found = tell(kind, read_concept(plain(code)))
            if len(known) < _MOST_KNOWN and key is not None and len(str(key)) <= _LONGEST_KNOWN:
                known[key] = found
        return found

    def _is_classified(self, kind: str, concept: CodeableConcept) -> bool:
        return bool(self._terminology.classify(concept, CLASSIFIED_AS[kind]).matches)

    def _is_drug(self, _: str, concept: CodeableConcept) -> bool:
        drug = self._terminology.classify(concept, "medication")
        listed = self._terminology.classify(concept, "statement")
        return bool(drug.matches) or not drug.readable or bool(listed.matches)


def _parts(code: object) -> tuple[object, ...] | None:
    """All that a CodeableConcept of R4 can say, if it says it the plain way."""
    if not isinstance(code, dict) or "concept" in code or "code" in code or "display" in code:
        return None
    codings = code.get("coding", [])
    if not isinstance(codings, list):
        return None
    found = [code.get("text")]
    for one in codings:
        if not isinstance(one, dict):
            return None
        found += [one.get("system"), one.get("code"), one.get("display")]
    return tuple(found)


@dataclass(slots=True)
class Sieve:
    """The entries of one record so far: those kept, those left out and why, counts of the rest.

    ``exact`` says that the objects carry numbers with all the digits that were written, which those
    of simdjson do not: a draft, which may have to be written back, is then refused.
    """

    interest: Interest
    exact: bool
    asked: Asked
    people: int = 0
    _kept: list[tuple[Mapping[str, object], str]] = field(default_factory=list)
    _left: list[Left] = field(default_factory=list)
    # Of the types that are asked for by value set alone what is in none.
    _coded: defaultdict[str, list[tuple[Mapping[str, object], Holder]]] = field(
        default_factory=lambda: defaultdict(list)
    )
    _ignored: Counter[str] = field(default_factory=Counter)
    old: str = field(init=False)

    def __post_init__(self) -> None:
        self.old = before(self.interest.since)

    def add(self, kind: str, resource: Mapping[str, object], holder: Holder) -> bool:
        """Takes a resource of a type that is read; False when it has to be read in full."""
        if kind in self.interest.classified:
            self.add_classified(kind, resource, holder)
            return True
        if kind == "Patient":
            self.people += 1
        elif kind in DRAFT_TYPES and not self.exact and resource.get("status") == "draft":
            return False
        left = self.left_out(kind, resource, holder)
        if left is not None:
            self._left.append(left)
        else:
            self._kept.append((resource, url_of(holder)))
        return True

    def add_classified(self, kind: str, resource: Mapping[str, object], holder: Holder) -> None:
        """Takes a resource of a type that is asked for by value set alone."""
        if self._is_asked(kind, resource):
            self._kept.append((resource, url_of(holder)))
        else:
            self._coded[kind].append((resource, holder))

    def add_lazily(self, kind: str, resource: Any, holder: Any) -> None:
        """The same of an object of simdjson: of most of them the code alone is looked at."""
        try:
            told = self.asked.known(kind).get(resource["code"].mini)
            # The keys: to look up one that is not there takes simdjson ten times as long.
            if told is False and (kind not in PARTS or PARTS[kind][0] not in resource.keys()):  # noqa: SIM118
                self._coded[kind].append((resource, holder))
                return
        except (KeyError, AttributeError):
            pass
        self.add_classified(kind, resource, holder)

    def left_out(self, kind: str, resource: Mapping[str, object], holder: Holder) -> Left | None:
        """The entry as one that nobody asks for, unless kin of it is kept; None if it is asked.

        Of a type that is asked for by value set alone see `add_classified`.
        """
        interest = self.interest
        if kind in interest.dated:
            told = telling(resource)
            if is_wholly_before(resource, told, interest.since):
                return Left(
                    kind,
                    resource,
                    holder,
                    self.old,
                    _REASONS if "reasonReference" in told else _NONE,
                )
        elif interest.bystanders and kind in MEDICATION_TYPES:
            drug = telling_of_drug(resource)
            if (
                drug is not None
                and is_recorded_before(kind, resource, interest.bystanders)
                and resource.get("status") != "draft"
                and not self.asked.is_drug_asked(resource["medicationCodeableConcept"])
            ):
                return Left(kind, resource, holder, UNCLASSIFIED, drug)
        return None

    def _is_asked(self, kind: str, resource: Mapping[str, object]) -> bool:
        """Whether the entry, or a part of it with a code of its own, is in some value set."""
        asked = self.asked.is_asked
        code = resource.get("code")
        if asked(kind, code):
            return True
        # DSTU2 has no code.
        if code is None and kind in PARTS and asked(kind, resource.get("substance")):
            return True
        part = PARTS.get(kind)
        # The keys first: to look up one that is not there takes simdjson ten times as long.
        if part is None or part[0] not in resource.keys():  # noqa: SIM118
            return False
        name, inner = part
        parts: Any = resource[name]
        try:
            return any(asked(kind, item.get(inner)) for item in parts)
        except (AttributeError, TypeError):
            return True  # of a wrong shape: the reader finds out what it is

    def count(self, kinds: Iterable[str]) -> None:
        """Counts resources of types that no rule reads."""
        self._ignored.update(kinds)

    @property
    def plain(self) -> bool:
        """Whether all that was counted are resources of a known type, and no lists or outcomes."""
        return self._ignored.keys().isdisjoint(_IRREGULAR) and all(
            str(kind).isalpha() for kind in self._ignored
        )

    def entries(self, beside: Sequence[Entry] = ()) -> list[Entry]:
        """What was kept, as Python objects, with the kin of it, and of others, of what was not.

        Of the medications that are in no value set one stays for each patient whom they name: that
        something could be read counts, and what is another's is found out later.
        """
        found = [plain_entry(resource, url) for resource, url in self._kept]
        if not self._left and not self._coded:
            return found
        if any(item.links is _REASONS for item in self._left):
            explains = _explains(self._left, self._kept)
            self._left, explained = _split(
                self._left, lambda item: item.links is _REASONS and explains(item)
            )
            found += [plain_entry(item.resource, item.url) for item in explained]
        keys = grouped_keys([*found, *beside])
        for kind in [kind for kind in self._coded if kind in keys]:
            items = self._coded[kind]
            if has_version(kind, items, keys[kind]):
                self._left += [Left(kind, *item, UNCLASSIFIED) for item in items]
                del self._coded[kind]
        kin, self._left = divided(keys, self._left)
        found += kin
        self._left, drugs = _one_for_each(self._left)
        return found + [plain_entry(item.resource, item.url) for item in drugs]

    def ignored(self) -> dict[tuple[str, str], int]:
        """How many entries were not read, by type and reason; after `entries`."""
        counts = Counter({(kind, NOT_READ): number for kind, number in self._ignored.items()})
        counts |= {(kind, UNCLASSIFIED): len(items) for kind, items in self._coded.items()}
        return counts + Counter((item.kind, item.reason) for item in self._left)


def _one_for_each(left: list[Left]) -> tuple[list[Left], list[Left]]:
    """What is left but for one medication of each subject, and these."""
    first: dict[str, Left] = {}
    for item in left:
        if item.kind in MEDICATION_TYPES:
            subject = reference_of(plain(item.resource.get("subject")))
            least = first.get(subject)
            if least is None or _name(item) < _name(least):
                first[subject] = item
    if not first:
        return left, []
    chosen = {id(item) for item in first.values()}
    return _split(left, lambda item: id(item) in chosen)


def _name(item: Left) -> tuple[str, str]:
    return item.kind, str(item.resource.get("id"))


def _split(items: list[Left], chosen: Callable[[Left], bool]) -> tuple[list[Left], list[Left]]:
    """The items that are not chosen, and those that are."""
    stay: list[Left] = []
    taken: list[Left] = []
    for item in items:
        (taken if chosen(item) else stay).append(item)
    return stay, taken


def _explains(
    left: list[Left], kept: list[tuple[Mapping[str, object], str]]
) -> Callable[[Left], bool]:
    """Whether an entry gives another operation as its reason: then the two belong together."""
    operations = {item.url for item in left if item.kind in OPERATION_TYPES}
    operations |= {url for resource, url in kept if resource["resourceType"] in OPERATION_TYPES}

    def explains(item: Left) -> bool:
        references = [
            reference_of(each) for each in objects(plain(item.resource["reasonReference"]))
        ]
        return any(
            reference in operations or relative(reference).partition("/")[0] in OPERATION_TYPES
            for reference in references
        )

    return explains


def sift(root: Any, interest: Interest, asked: Asked, *, exact: bool) -> Sieve | None:
    """The sieve of a plain Bundle of one patient; None for any other document.

    A Bundle is plain when each entry holds one resource of a known type, and no page is missing.
    """
    if not isinstance(root, OBJECTS):
        return None
    root = cast(Any, root)
    items = root.get("entry")
    if root.get("resourceType") != "Bundle" or "link" in root or not isinstance(items, ARRAYS):
        return None
    sieve = Sieve(interest, exact, asked)
    types, classified = frozenset(interest.types), interest.classified
    add_coded = sieve.add_lazily if isinstance(root, LAZY) else sieve.add_classified
    others: list[str] = []
    try:
        for item in cast(Iterable[Any], items):
            resource = item["resource"]
            kind = resource["resourceType"]
            if kind in classified:
                add_coded(kind, resource, item)
            elif kind not in types:
                if kind in RENAMED:
                    return None
                others.append(kind)
            elif not sieve.add(kind, resource, item):
                return None
    except (KeyError, TypeError, IndexError, AttributeError):
        # Something else than a resource stands where one belongs.
        return None
    sieve.count(others)
    return sieve if sieve.people == 1 and sieve.plain else None
