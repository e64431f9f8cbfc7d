"""Damaged documents: seeded changes of good ones, in their bytes and in their JSON."""

from __future__ import annotations

import copy
import gzip
import json
import random
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

from tests.records import ROOT

Path_ = tuple[Any, ...]

ODD: tuple[Any, ...] = (
    None, True, False, 0, -1, 1.5, 10**30, -(10**19), [], {}, [[]], [None], [{}], {"a": {"b": [1]}},
    "", " ", "0", "-", "NaN", "1e999999", "\ud800", "\x00", "\x1b[31mred\x1b[0m", "\x9b2J", "\u202e10",
    "<script>alert(1)</script>", "[x](http://evil.example)", "`|*_#", "a" * 300, "\r\n# x", "é\u0301ß",
    "0000-00-00", "9999-12-31T23:59:60Z", "10000-01-01", "2026-03-08T02:30:00", "2026-02-30", "2026",
    "2026-11-01T01:30:00-04:00", "0001-01-01T00:00:00+14:00", "-0001-01-01", "24:00", "Patient/p1",
    "#", "#x", "urn:uuid:1", "MedicationRequest/", "http://[::1", "?", "draft", "active", "unknown",
    "entered-in-error", "Bundle", "Patient", "Medication", "OperationOutcome", "MedicationRequest",
    {"reference": "#self"}, {"reference": "Medication/m1"}, [{"reference": "MedicationRequest/1"}] * 3,
    {"resourceType": "Bundle", "entry": [{"resource": {"resourceType": "Patient", "id": "p9"}}]},
    {"resourceType": "OperationOutcome", "issue": [{"code": "forbidden", "severity": "error"}]},
    {"coding": [{"system": None, "code": 5, "display": ["x"]}], "text": {"a": 1}},
    {"start": "2026-12-31", "end": "2025-01-01"}, {"value": "12", "unit": 5}, {"value": -0.0, "code": "mg"},
    {"value": 1e308, "unit": "mg"}, {"numerator": {"value": 0}, "denominator": {"value": 0}},
)  # fmt: skip


def places(node: Any, path: Path_ = ()) -> Iterator[Path_]:
    """Every place in a document, as the keys that lead to it; not the whole."""
    items = (
        node.items()
        if isinstance(node, dict)
        else enumerate(node)
        if isinstance(node, list)
        else ()
    )
    for key, inner in items:
        yield (*path, key)
        yield from places(inner, (*path, key))


def at(document: Any, path: Path_) -> Any:
    for key in path:
        document = document[key]
    return document


def mutated(document: Any, chance: random.Random) -> Any:
    """A copy with one to four changes."""
    found = copy.deepcopy(document)
    for _ in range(chance.choice((1, 1, 2, 4))):
        spots = list(places(found))
        if spots:
            spot = chance.choice(spots)
            chance.choice(CHANGES)(found, at(found, spot[:-1]), spot[-1], chance)
    return found


def _put(_: Any, holder: Any, key: Any, chance: random.Random) -> None:
    holder[key] = copy.deepcopy(chance.choice(ODD))


def _remove(_: Any, holder: Any, key: Any, chance: random.Random) -> None:
    del holder[key]


def _copy(document: Any, holder: Any, key: Any, chance: random.Random) -> None:
    """What stands elsewhere in the document: a resource in itself, a reference to its holder."""
    holder[key] = copy.deepcopy(at(document, chance.choice(list(places(document)))))


def _wrap(_: Any, holder: Any, key: Any, chance: random.Random) -> None:
    for _ in range(chance.choice((1, 2, 50))):
        holder[key] = [holder[key]] if chance.random() < 0.5 else {"value": holder[key]}


def _repeat(_: Any, holder: Any, key: Any, chance: random.Random) -> None:
    if isinstance(holder, list):
        holder += [copy.deepcopy(holder[key]) for _ in range(chance.choice((1, 3, 20)))]
    elif isinstance(holder[key], str):
        holder[key] = holder[key] * chance.choice((2, 40))


def _spell(_: Any, holder: Any, key: Any, chance: random.Random) -> None:
    if isinstance(holder[key], str):
        letters = list(holder[key])
        for _ in range(chance.randint(1, 4)):
            letters.insert(
                chance.randint(0, len(letters)), chance.choice("\0\t\n 0-/:.,x<[*\x1b\u200b\u0301")
            )
        holder[key] = "".join(letters)
    elif isinstance(holder[key], int | float):
        holder[key] = str(holder[key])


Change = Callable[[Any, Any, Any, random.Random], None]
CHANGES: tuple[Change, ...] = (_put, _put, _put, _remove, _copy, _wrap, _repeat, _spell)


def broken(data: bytes, chance: random.Random) -> bytes:
    """The bytes with one damage."""
    start = chance.randrange(len(data))
    end = min(len(data), start + chance.choice((1, 2, 10, 400)))
    return chance.choice((
        lambda: data[:start],
        lambda: data[:start] + data[end:],
        lambda: data[:start] + data[start:end] * 3 + data[end:],
        lambda: data[:start] + chance.randbytes(3) + data[start:],
        lambda: data[:start] + bytes([data[start] ^ 1 << chance.randrange(8)]) + data[start + 1 :],
        lambda: data[:start] + chance.choice(TOKENS) + data[start:],
        lambda: data.decode().encode(chance.choice(("utf-16", "utf-16-le", "utf-32", "utf-8-sig"))),
        lambda: data.replace(b" ", b"\xe9", 3),
        lambda: data.replace(b"\n", b"\r\n") if b"\n" in data else data.replace(b",", b",\r\n"),
        lambda: gzip.compress(data)[: chance.choice((None, 5, 30, -4, -9))],
        lambda: gzip.compress(gzip.compress(data)),
        lambda: b"\xef\xbb\xbf" + data + data[:start],
    ))()  # fmt: skip


TOKENS = (
    b"NaN", b"-Infinity", b"1e9999999999999999999999", b"9" * 400, b"\\ud800", b"\0", b'"id":"x",',
    b"{", b"}", b"[", b"]", b",", b"null", b"[" * 2000, b'{"a":' * 990, b"\x1b[2J", b"//", b"'",
)  # fmt: skip


@cache
def seeds() -> tuple[bytes, ...]:
    """Good documents: the examples, and small whole records where there is a corpus beside them."""
    found = [_unpacked(path) for path in sorted((ROOT / "fhir_examples").glob("*/[rbe]*.*json*"))]
    corpus = sorted((ROOT.parent / "shared" / "corpus" / "synthea-bundles").glob("*.json.gz"))
    for path in sorted(corpus, key=lambda path: path.stat().st_size)[:2]:
        whole = json.loads(_unpacked(path))
        found.append(json.dumps({**whole, "entry": whole["entry"][:40]}).encode())
    return tuple(found)


def _unpacked(path: Path) -> bytes:
    data = path.read_bytes()
    return gzip.decompress(data) if path.suffix == ".gz" else data


def mutant(number: int) -> bytes:
    """One damaged document, the same for the same number."""
    chance = random.Random(number)
    data = chance.choice(seeds())
    if chance.random() < 0.75:
        try:
            data = json.dumps(mutated(json.loads(data), chance)).encode()
        except json.JSONDecodeError:  # NDJSON
            lines = [
                json.dumps(mutated(json.loads(line), chance)) for line in data.splitlines() if line
            ]
            data = "\n".join(lines).encode()
    return broken(data, chance) if chance.random() < 0.4 else data
