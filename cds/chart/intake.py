"""What an input sorts into: one submission per patient, with whose it is, drafts and coverage.

What an input means differs (a Bundle is the whole record: ``cds.chart.record``; a hook request says
what it asked for: ``cds.chart.request``); after this everything is judged alike.
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec
from msgspec.structs import replace

from cds.chart.fields import Json, as_list, as_object, as_text, code_of, objects
from cds.chart.finding import subject_of
from cds.chart.interest import NOT_READ
from cds.chart.kinds import ALL_TYPES
from cds.chart.model import Coverage
from cds.chart.references import Index, identity
from cds.chart.version import Entry, newest
from cds.values.problem import Place, Problem, Problems, Severity

# A Medication is resolved by reference, a Patient is the person: neither is an entry of the record.
READ_TYPES = tuple(kind for kind in ALL_TYPES if kind not in ("Patient", "Medication"))
# Types that are nobody's record.
SHARED_TYPES = frozenset(
    {"Medication", "Organization", "Practitioner", "PractitionerRole", "Location"}
)


class Call(msgspec.Struct, frozen=True):
    """What a CDS Hooks request asks: the hook and, for order-select, what is selected."""

    hook: str
    patient: str
    selections: tuple[str, ...] | None = None


class Submission(msgspec.Struct):
    """The resources of one patient in one input, still as JSON, each with whether it is a draft."""

    patient: str
    person: Json | None
    entries: list[Entry] = msgspec.field(default_factory=list)
    coverage: dict[str, Coverage] = msgspec.field(default_factory=dict)
    problems: Problems = msgspec.field(default_factory=Problems)
    ignored: dict[str, int] = msgspec.field(default_factory=dict)

    def ignore(self, kind: str, reason: str = NOT_READ, count: int = 1) -> None:
        """Counts entries of a type that are not read, and why."""
        key = f"{kind}: {reason}"
        self.ignored[key] = self.ignored.get(key, 0) + count

    def put(self, entry: Entry) -> None:
        """Takes an entry into the record, or counts it when no rule can read its type."""
        kind = entry.kind
        if kind in READ_TYPES:
            self.entries.append(entry)
        else:
            self.ignore(kind)

    def settled(self, name: str) -> Submission:
        """The submission with one entry per type and id, the same whatever the input's order."""
        self.entries, problems = newest(self.entries, name)
        self.problems.extend(problems)
        return self


class Intake(msgspec.Struct):
    """Everything of one input: its patients, the references among its resources, the problems."""

    submissions: list[Submission] = msgspec.field(default_factory=list)
    index: Index = msgspec.field(default_factory=Index)
    call: Call | None = None
    problems: Problems = msgspec.field(default_factory=Problems)


def owners_of(resource: Json, index: Index) -> list[str]:
    """Whose record an entry is; of an appointment's participants only those who are patients."""
    owners = [index.key(item) for item in subject_of(resource)]
    if "participant" in resource and "subject" not in resource:
        owners = [owner for owner in owners if owner.startswith(("Patient/", "urn:"))]
    return list(dict.fromkeys(owner for owner in owners if owner))


def foreign(resource: Json, owner: str, name: str) -> Problem:
    """The problem of an entry that is about somebody else."""
    place = Place(name, resource=identity(resource) or as_text(resource.get("resourceType")))
    what = f"belongs to {owner}, who is not the patient here: not judged"
    return Problem(place, what, "", "subject", Severity.WARNING)


def read_entries(root: Json, name: str, problems: Problems) -> list[Entry]:
    """The entries of a resource: itself, or those of a Bundle, whatever is nested in it."""
    kind = root.get("resourceType")
    if kind != "Bundle":
        return _read_entry(root, "", name, problems)
    found = []
    for position, item in enumerate(as_list(root.get("entry"))):
        holder: Json = item if isinstance(item, dict) else as_object(item)
        resource = holder.get("resource")
        if isinstance(resource, dict):
            url = as_text(holder["fullUrl"]) if "fullUrl" in holder else ""
            kind = resource.get("resourceType")
            if isinstance(kind, str) and kind.isalpha() and kind not in _SPECIAL:
                found.append(Entry(resource, url))
            else:
                found += _read_entry(resource, url, name, problems)
        elif not isinstance(item, dict) or "resource" in item:
            what = f"Bundle.entry[{position}] holds no resource"
            problems.append(Problem(Place(name), what, "an object with a resourceType", "input"))
    return found


_SPECIAL = frozenset({"Bundle", "OperationOutcome"})


def _read_entry(resource: Json, full_url: str, name: str, problems: Problems) -> list[Entry]:
    kind = as_text(resource.get("resourceType"))
    if not kind:
        what = f"a resource without a resourceType (id {as_text(resource.get('id')) or 'absent'})"
        problems.append(Problem(Place(name), what, "a FHIR resource", "input"))
        return []
    if kind == "Bundle":
        return read_entries(resource, name, problems)
    if kind == "OperationOutcome":
        what = "the input holds an OperationOutcome: something could not be retrieved"
        problems.append(Problem(Place(name), what, "resources", "input", Severity.WARNING))
        return []
    return [Entry(resource, full_url)]


def standing(
    entries: list[Entry], name: str, intake: Intake, drafts: Iterable[Entry] = ()
) -> list[Entry]:
    """The entries without superseded Patients and Medications, which are in no patient's record.

    References find the version that stands, of all types. Of copies that contradict each other one
    is read, the same whatever their order, and a problem tells. A draft stands before all of them.
    """
    copies: dict[str, list[Entry]] = {}
    for entry in entries:
        copies.setdefault(identity(entry.resource), []).append(entry)
    gone: set[int] = set()
    intake.index = Index()
    for entry in drafts:
        intake.index.add(entry.resource, entry.full_url)
    for key, same in copies.items():
        if not key or len(same) == 1:
            continue
        (first, *rest), problems = newest(same, name)
        for entry in same:
            intake.index.add(first.resource, entry.full_url)
        if first.kind in ("Patient", "Medication"):
            gone.update(
                id(entry.resource) for entry in same if entry.resource is not first.resource
            )
            what = f"stands {len(rest) + 1} times with different content and no version to choose"
            what += " by; one is read"
            intake.problems.extend(replace(problem, what=what) for problem in problems)
    for entry in entries:
        intake.index.add(entry.resource, entry.full_url)
    return [entry for entry in entries if id(entry.resource) not in gone]


def has_next(bundle: Json) -> bool:
    """Whether a page of a search says that there is another."""
    return any(code_of(link.get("relation")) == "next" for link in objects(bundle.get("link")))
