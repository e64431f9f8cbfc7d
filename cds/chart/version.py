"""One entry per resource: which version of a resource stands, and conflicts between copies."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC
from typing import NamedTuple
from unicodedata import decimal
from zoneinfo import ZoneInfo

import msgspec

from cds.chart.fields import Json, as_object, as_text, date_of
from cds.chart.references import identity
from cds.chart.release import type_of
from cds.values.problem import Place, Problem

# An instant carries its own offset; the zone matters for one that lost it only.
_ANY_ZONE = ZoneInfo("UTC")
_canonical = msgspec.json.Encoder(order="deterministic", decimal_format="string").encode


class Entry(NamedTuple):
    """One resource of an input, with its fullUrl and whether it is a draft."""

    resource: Json
    full_url: str = ""
    drafted: bool = False

    @property
    def kind(self) -> str:
        """The resource's type, by its name in FHIR R4."""
        return type_of(self.resource)

    def as_draft(self) -> Entry:
        return self._replace(drafted=True)


def newest(entries: Iterable[Entry], name: str) -> tuple[list[Entry], list[Problem]]:
    """The entries, one per type and id, sorted; copies that contradict each other both stay.

    Highest numeric `meta.versionId`, else latest `lastUpdated`, else identical content.
    """
    copies: dict[str, list[Entry]] = {}
    for entry in entries:
        key = identity(entry.resource) or f"{as_text(entry.resource.get('resourceType'))}/"
        copies.setdefault(key, []).append(entry)
    kept: list[Entry] = []
    problems: list[Problem] = []
    for key in sorted(copies):
        stay = _distinct(copies[key]) if key.endswith("/") else _latest(copies[key])
        if len(stay) > 1 and not key.endswith("/"):
            what = (
                f"stands {len(stay)} times with different content and no version to choose by;"
                " all are read"
            )
            problems.append(Problem(Place(name, resource=key), what, "one version", "duplicate"))
        kept += stay
    return kept, problems


def _latest(copies: list[Entry]) -> list[Entry]:
    if len(copies) == 1:
        return copies
    versions = [as_text(_meta(entry).get("versionId")) for entry in copies]
    if all(version.isdecimal() for version in versions):
        # By length, then digits: a number of any length, of which Python makes no integer.
        numbers = [(len(digits), digits) for digits in map(_digits, versions)]
        best = max(numbers)
        copies = [entry for entry, number in zip(copies, numbers, strict=True) if number == best]
    else:
        stamps = [date_of(_meta(entry).get("lastUpdated"), _ANY_ZONE) for entry in copies]
        known = [stamp.last.astimezone(UTC) for stamp in stamps if stamp is not None]
        if len(known) == len(copies):
            copies = [
                entry for entry, stamp in zip(copies, known, strict=True) if stamp == max(known)
            ]
    return _distinct(copies)


def _digits(version: str) -> str:
    """A decimal number in ASCII digits without leading zeros."""
    return "".join(str(decimal(digit)) for digit in version).lstrip("0")


def _meta(entry: Entry) -> Json:
    return as_object(entry.resource.get("meta"))


def _distinct(copies: list[Entry]) -> list[Entry]:
    """Copies with different content, in an order that depends on the content alone."""
    by_content = {_canonical(entry.resource): entry for entry in copies}
    return [by_content[content] for content in sorted(by_content)]
