"""Value sets as their files have them: codes with displays where licensed, words, origin."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import msgspec

from cds.rulebook.document import read_document

_SYSTEMS = "systems"


class CodeList(msgspec.Struct, frozen=True):
    """The codes of one system: ``rows`` are code, display and how it matches."""

    system: str
    uri: str
    rows: tuple[tuple[str, str, str], ...]


class Listing(msgspec.Struct, frozen=True):
    """One value set for a reader."""

    name: str
    title: str
    kind: str
    version: str
    date: str
    licence: str
    about: str
    sources: tuple[str, ...]
    includes: tuple[str, ...]
    codes: tuple[CodeList, ...]
    words: tuple[tuple[str, tuple[str, ...]], ...]
    left_out: tuple[tuple[str, str], ...]

    @property
    def size(self) -> int:
        return sum(len(item.rows) for item in self.codes)


def read_listings(root: Path, names: Mapping[str, object]) -> dict[str, Listing]:
    """The value sets of the pack in ``root`` that its terminology has, by name."""
    folder = root / "valuesets"
    systems = _plain(folder / f"{_SYSTEMS}.yaml")
    found = {}
    for name in sorted(names):
        path = folder / f"{name}.yaml"
        found[name] = _listing(name, _plain(path), _comment(path), systems)
    return found


def _plain(path: Path) -> Mapping[str, object]:
    node = read_document(path, path.name, []) if path.is_file() else None
    plain = node.plain() if node is not None else {}
    return plain if isinstance(plain, dict) else {}


def _comment(path: Path) -> str:
    """What the file says at its top, before the first key; paragraphs stay apart."""
    said: list[str] = []
    try:
        lines = path.read_text("utf-8").splitlines()
    except OSError:
        return ""
    for line in lines:
        if not line.startswith("#"):
            break
        said.append(line.lstrip("#").strip())
    return "\n".join(said)


def _listing(
    name: str, data: Mapping[str, object], about: str, systems: Mapping[str, object]
) -> Listing:
    def text(key: str) -> str:
        value = data.get(key, "")
        return value if isinstance(value, str) else ""

    return Listing(
        name=name,
        title=text("title") or name,
        kind=text("kind"),
        version=text("version"),
        date=text("date"),
        licence=text("licence"),
        about=about,
        sources=_texts(data.get("source")),
        includes=_texts(data.get("includes")),
        codes=tuple(_codes(key, value, systems) for key, value in _items(data.get("systems"))),
        words=tuple(_words(data)),
        left_out=tuple((code, _one(why)) for code, why in _items(data.get("not-for-rule"))),
    )


def _codes(system: str, rules: object, systems: Mapping[str, object]) -> CodeList:
    rows: list[tuple[str, str, str]] = []
    data = dict(_items(rules))
    for key, how in (("codes", "exactly"), ("prefixes", "begins with")):
        listed = data.get(key)
        pairs = _items(listed) if isinstance(listed, Mapping) else [(c, "") for c in _texts(listed)]
        rows += [
            (code, display if isinstance(display, str) else "", how) for code, display in pairs
        ]
    for key, how in (("ranges", "range"), ("except", "except")):
        rows += [(item, "", how) for item in _texts(data.get(key))]
    known = _texts(systems.get(system))
    return CodeList(system, known[0] if known else "", tuple(rows))


def _words(data: Mapping[str, object]) -> list[tuple[str, tuple[str, ...]]]:
    """Names and phrases that put a text in the set."""
    found = [
        ("Ingredients", _texts(data.get("ingredients"))),
        ("All of these ingredients", _texts(data.get("all-ingredients"))),
        ("Only in these forms of release", _texts(data.get("releases"))),
        ("Not together with", _texts(data.get("unless-with"))),
        ("Its words yield to a code in", _texts(data.get("words-unless-coded"))),
    ]
    for key, title in (("phrases", "Phrases"), ("shapes", "Shapes of words (never certain)")):
        words = dict(_items(data.get(key)))
        found += [
            (title, _texts(words.get("any"))),
            (f"{title}: unless", _texts(words.get("unless"))),
        ]
    return [(title, words) for title, words in found if words]


def _items(value: object) -> list[tuple[str, object]]:
    return list(value.items()) if isinstance(value, Mapping) else []


def _texts(value: object) -> tuple[str, ...]:
    """A text or a list of them; a pair in a list is a range."""
    if isinstance(value, str):
        return (value,) if value else ()
    if isinstance(value, list):
        return tuple(_one(item) for item in value)
    return ()


def _one(item: object) -> str:
    if isinstance(item, list):
        return " to ".join(str(part) for part in item)
    if isinstance(item, Mapping):
        return ", ".join(f"{key}: {part}" for key, part in item.items())
    return str(item)
