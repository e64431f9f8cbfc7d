"""Code systems: a short name for every URI, alias and OID that stands for one."""

from __future__ import annotations

from collections.abc import Mapping

from cds.terminology.concept import Coding
from cds.terminology.text import strings

# Codes that say why there is no code (FHIR R4 section 2.1.28.0.1 and HL7 v3 NullFlavor).
_NO_CODES = ("data-absent-reason", "v3-nullflavor", "2.16.840.1.113883.5.1008")
_SPELLINGS = {"rxnorm": "RxNorm"}


class Systems:
    """The code systems of a pack."""

    __slots__ = ("_short",)

    def __init__(self, uris: Mapping[str, tuple[str, ...]]) -> None:
        self._short = {
            _fold(uri): short for short, found in uris.items() for uri in (short, *found)
        }

    @classmethod
    def from_data(cls, table: Mapping[str, object]) -> Systems:
        """The systems of a table: short name to a list of URIs."""
        return cls({short: strings(uris) for short, uris in table.items()})

    def short(self, uri: str) -> str:
        """The short name, or "" for a system that the pack does not know.

        Case, a trailing slash and a version ("|2024", "/version/2024") make no difference.
        """
        found = self._short.get(uri)
        return found if found is not None else self._short.get(_fold(uri), "")

    def label(self, coding: Coding) -> str:
        """The code for people: "RxNorm 1234", "1234 of http://local"."""
        short = self.short(coding.system)
        if short:
            return f"{_SPELLINGS.get(short, short.upper())} {coding.code}"
        return f"{coding.code} of {coding.system}" if coding.system else f"code {coding.code}"


def is_no_code(coding: Coding) -> bool:
    """Whether the coding has no code, or one that only says that there is none."""
    return not coding.code or coding.system.lower().endswith(_NO_CODES)


def _fold(uri: str) -> str:
    return uri.partition("|")[0].partition("/version/")[0].rstrip("/").lower()
