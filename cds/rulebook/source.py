"""What a statement rests on: the entries of a pack's bibliography."""

from __future__ import annotations

import msgspec

from cds.values.problem import Place

CONFIDENCE = ("good", "fair", "low")
READ = ("full", "excerpts", "abstract", "title", "second hand")


class Work(msgspec.Struct, frozen=True):
    """One publication; what the documents do not give is ""."""

    title: str
    authors: str = ""
    published_in: str = ""
    year: str = ""
    doi: str = ""
    pubmed: str = ""
    pmc: str = ""
    trial: str = ""


class Source(msgspec.Struct, frozen=True):
    """One entry: ``cite`` is the short citation that cards carry.

    ``kind`` says what sort of document it is, ``confidence`` is one of CONFIDENCE and ``read`` one
    of READ. An entry that is a line of text has no more than its citation.
    """

    id: str
    cite: str
    kind: str = ""
    confidence: str = ""
    read: str = ""
    works: tuple[Work, ...] = ()
    note: str = ""
    place: Place = msgspec.field(default_factory=Place)
