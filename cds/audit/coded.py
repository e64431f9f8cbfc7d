"""Lines of an export of which their code says whether a rule asks for them: what sorting reads.

Of most lines of a population that is all that anybody ever reads, so nothing else is made of them.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any, ClassVar

import msgspec

from cds.chart.export import is_hidden, subject_element
from cds.chart.sieve import PARTS

UNLIKE = (msgspec.MsgspecError, ValueError, TypeError, RecursionError, MemoryError)
"""What reading a line raises that is not written the common way: it may still be a good one."""


class _Reference(msgspec.Struct, gc=False):
    reference: str


@cache
def reader_of_lines(kind: str) -> Callable[[bytes], Any]:
    """Reads of a line its ``kind``, ``id``, ``code``, ``owner.reference`` and ``parts``.

    ``code`` is the JSON text; ``parts``, those which may be in a value set by themselves, have each
    a ``code`` too. Raises one of ``UNLIKE`` for a line that has not all of it, or is no JSON.
    """
    inside, code = PARTS.get(kind, ("", "code"))
    absent = msgspec.field(default=msgspec.Raw(b"null"), name=code)
    part: Any = msgspec.defstruct("Part", [("code", msgspec.Raw, absent)])
    parts: Any = ("parts", ClassVar[tuple[()]], ())
    if inside:
        parts = ("parts", list[part], msgspec.field(default_factory=list, name=inside))
    fields: list[Any] = [
        ("kind", str, msgspec.field(name="resourceType")),
        ("id", str),
        ("code", msgspec.Raw),
        ("owner", _Reference, msgspec.field(name=subject_element(kind))),
        parts,
    ]
    return msgspec.json.Decoder(msgspec.defstruct(kind, fields, gc=False)).decode


def is_clear(text: bytes) -> bool:
    """Whether lines can be read so: in UTF-8, which is checked of what is read alone, unescaped.

    Unescaped: letters, digits and signs stand as a search for bytes finds them.
    """
    try:
        return (text.isascii() or bool(text.decode())) and not is_hidden(text)
    except UnicodeDecodeError:
        return False
