"""A JSON document of which Python objects are made only when asked for: simdjson, where it is.

It reads at a tenth of the time, but does not keep every digit of a fraction. Without it (no wheel
for a Python or a machine) the exact reader reads everything, and the answers are the same.
"""

from __future__ import annotations

from typing import Any

from cds.chart.document import decode

try:
    import simdjson
except ImportError:  # pragma: no cover - depends on the machine
    OBJECTS: tuple[type, ...] = (dict,)
    ARRAYS: tuple[type, ...] = (list,)
    LAZY: tuple[type, ...] = ()
    _parser: Any = None
else:
    OBJECTS = (simdjson.Object, dict)
    ARRAYS = (simdjson.Array, list)
    LAZY = (simdjson.Object, simdjson.Array)
    _parser = simdjson.Parser


def parse_lazily(data: bytes) -> Any:
    """The document, or None where it has to be read exactly.

    That is where it is no JSON (the exact reader says what is wrong), or holds what this one cannot
    read: a very large integer. The document holds its parser as long as it lives.
    """
    if _parser is None:
        return None
    try:
        return _parser().parse(data)
    except (ValueError, RuntimeError, MemoryError, RecursionError):
        return None


def text_of(value: Any) -> bytes | None:
    """The JSON text of an object or list that is not made yet; None of anything else."""
    if not isinstance(value, LAZY):
        return None
    text: bytes = getattr(value, "mini")  # noqa: B009 - the type is known only where it is installed
    return text


def plain(value: Any) -> Any:
    """A value of either reader as Python objects, fractions as Decimal."""
    text = text_of(value)
    return value if text is None else decode(text)
