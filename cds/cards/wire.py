"""Cards and resources as bytes of JSON, the same bytes for the same input."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from cds.cards.model import Element

# Decimals go out as numbers with all their digits: 2.50 stays 2.50, and is never "2.50".
_ENCODER = msgspec.json.Encoder(decimal_format="number")


def encode(value: object) -> bytes:
    """``value`` (JSON values, or an element of ``cds.cards.model``) as UTF-8 JSON on one line.

    Keys keep the order in which they stand, which is the order of the standard for a card.
    Half a surrogate pair, which UTF-8 does not have (a file's name may), goes out as "\ufffd".
    Raises TypeError on what JSON cannot say.
    """
    if isinstance(value, Element):
        value = value.as_json()
    try:
        return _ENCODER.encode(value)
    except UnicodeEncodeError:
        return _ENCODER.encode(_sound(value))


def _sound(value: object) -> object:
    """The value with every text as UTF-8 can say it."""
    if isinstance(value, str):
        return value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    if isinstance(value, Mapping):
        return {_sound(key): _sound(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_sound(item) for item in value]
    return value
