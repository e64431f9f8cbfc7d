"""Bytes into JSON documents: `.gz` by its magic number, JSON or NDJSON by its shape.

Numbers with a fraction become Decimal: 0.1 mg must stay 0.1 mg.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from decimal import Decimal, InvalidOperation

import msgspec

from cds.chart.fields import Json
from cds.values.problem import Place, Problem, Problems

# What one compressed input may unfold to; a bomb is refused, a year of one patient's notes is not.
MAX_BYTES = 512 * 1024 * 1024


def exact(digits: str) -> Decimal | str:
    """A number with a fraction or an exponent; as written where the exponent is beyond Decimal.

    Such a number is no amount of anything, and no reason to lose the record that it stands in.
    """
    try:
        return Decimal(digits)
    except InvalidOperation:
        return digits


decode = msgspec.json.Decoder(float_hook=exact).decode
"""JSON bytes as Python objects, every digit kept. Raises what `UNREADABLE` lists."""

encode_exactly = msgspec.json.Encoder(decimal_format="number").encode
"""Python objects as JSON bytes, which `decode` turns into the same objects."""

UNREADABLE = (
    msgspec.DecodeError, UnicodeDecodeError, RecursionError, TypeError, ValueError, ArithmeticError,
)  # fmt: skip


class Documents(msgspec.Struct):
    """The JSON values of one input with the line each began in, and what could not be read."""

    values: list[tuple[object, Place]] = msgspec.field(default_factory=list)
    problems: Problems = msgspec.field(default_factory=Problems)
    ndjson: bool = False


def unpack(data: bytes, max_bytes: int = MAX_BYTES) -> bytes:
    """The text of an input: unpacked while it is gzip, without a byte order mark.

    Raises ValueError, with what is wrong, when it is damaged, too large or empty.
    """
    text = _unzip(data, max_bytes).removeprefix(b"\xef\xbb\xbf")
    if text.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise ValueError("the text is UTF-16 or UTF-32; JSON is UTF-8")
    if not text.strip():
        raise ValueError("the input is empty")
    return text


def read_documents(data: bytes, name: str, max_bytes: int = MAX_BYTES) -> Documents:
    """The documents in ``data``; never raises. ``name`` is the input as the user named it."""
    try:
        return read_text(unpack(data, max_bytes), name)
    except ValueError as error:
        return Documents(problems=Problems([unusable(error, name)]))


def unusable(error: ValueError, name: str) -> Problem:
    """The problem of an input that `unpack` refused."""
    accepted = _ACCEPTED if "empty" in str(error) else "gzip or plain JSON"
    return Problem(Place(name), str(error), accepted, "file")


def read_text(data: bytes, name: str) -> Documents:
    """The documents in the text of an input; never raises."""
    found = Documents()
    try:
        found.values.append((decode(data), Place(name)))
    except UNREADABLE as error:
        _read_lines(data, name, found, error)
    return found


_PIECE = 64 * 1024
_ACCEPTED = "a Bundle, a JSON array of resources, NDJSON, or a CDS Hooks request"


def _read_lines(data: bytes, name: str, found: Documents, whole: Exception) -> None:
    lines = [(number, line) for number, line in enumerate(data.split(b"\n"), 1) if line.strip()]
    good = 0
    bad = Problems()
    for number, line in lines:
        place = Place(name, number)
        try:
            found.values.append((decode(line), place))
            good += 1
        except UNREADABLE as error:
            bad.append(
                Problem(
                    place, f"this line is not JSON: {_reason(error)}", "one resource a line", "json"
                )
            )
    objects = sum(isinstance(value, dict) for value, _ in found.values)
    if objects == 0 or len(lines) == 1:
        found.values.clear()
        found.problems.append(
            Problem(Place(name), f"not JSON: {_reason(whole)}", _ACCEPTED, "json")
        )
        return
    found.ndjson = True
    found.problems.merge(bad)


def _reason(error: Exception) -> str:
    if isinstance(error, RecursionError):
        return "nested too deeply"
    if isinstance(error, UnicodeDecodeError):
        byte = error.object[error.start]
        return f"not UTF-8: byte 0x{byte:02x} at {error.start} ({error.reason})"
    return str(error)


def _unzip(data: bytes, max_bytes: int) -> bytes:
    """The data, unpacked while it is gzip; raises ValueError when damaged or too large."""
    if not data.startswith(b"\x1f\x8b"):
        return data
    parts: list[bytes] = []
    room = max_bytes
    try:
        for part in _unzipped(data):
            parts.append(part)
            room -= len(part)
            if room < 0:
                raise ValueError(f"unpacks to more than {max_bytes // (1024 * 1024)} MiB")
    except zlib.error as error:
        raise ValueError(f"damaged gzip data: {error}") from error
    return b"".join(parts)


def _unzipped(data: bytes) -> Iterator[bytes]:
    """What gzip members unfold to, in pieces, so that neither a bomb nor many members cost much."""
    unpacker = zlib.decompressobj(zlib.MAX_WBITS | 16)
    for start in range(0, len(data), _PIECE):
        piece = data[start : start + _PIECE]
        while piece:
            if unpacker.eof:
                piece = piece.lstrip(b"\0")
                if not piece:
                    break
                unpacker = zlib.decompressobj(zlib.MAX_WBITS | 16)
            yield unpacker.decompress(piece, _PIECE * 16)
            piece = unpacker.unconsumed_tail or unpacker.unused_data
    if not unpacker.eof:
        raise ValueError("damaged gzip data: it ends too early")


def flatten(value: object) -> Iterator[Json]:
    """The objects of a document: itself, or those of an array."""
    if isinstance(value, dict):
        yield value
    elif isinstance(value, list):
        yield from (item for item in value if isinstance(item, dict))
