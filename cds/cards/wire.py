"""Cards and resources as bytes of JSON, the same bytes for the same input."""

from __future__ import annotations

import msgspec

from cds.cards.model import Element


def _plain(value: object) -> object:
    if isinstance(value, Element):
        return value.as_json()
    raise TypeError(f"{type(value).__name__} cannot be written as JSON")


# Decimals go out as numbers with all their digits: 2.50 stays 2.50, and is never "2.50".
_ENCODER = msgspec.json.Encoder(enc_hook=_plain, decimal_format="number")


def encode(value: object) -> bytes:
    """``value`` (JSON values, or anything from ``cds.cards.model``) as UTF-8 JSON on one line.

    Keys keep the order in which they stand, which is the order of the standard for a card.
    Raises TypeError on what JSON cannot say.
    """
    return _ENCODER.encode(value)
