"""The keys of one item of shorthand, read with checks, and the error that names what is wrong."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from difflib import get_close_matches
from typing import TypeAlias, TypeVar
from zoneinfo import ZoneInfo

import msgspec

Json: TypeAlias = dict[str, object]
T = TypeVar("T")

ABSENT = "absent"
"""What an author writes to leave out a value that the shorthand or a fixture would supply."""

_YES = {"yes": True, "true": True, "no": False, "false": False}
_MOMENT = re.compile(
    r"\d{4}(-\d\d(-\d\d(T\d\d:\d\d(?P<seconds>:\d\d(\.\d+)?)?(?P<zone>Z|[+-]\d\d:\d\d)?)?)?)?\Z"
)
_ID = re.compile(r"[A-Za-z0-9.-]{1,64}\Z")


class ShorthandError(ValueError):
    """A scenario that cannot be expanded: where, what is wrong, what would be accepted."""

    def __init__(self, path: str, problem: str, accepted: str | Iterable[str] = "") -> None:
        self.path = path
        self.problem = problem
        self.accepted = accepted if isinstance(accepted, str) else ", ".join(sorted(accepted))
        tail = f"; accepted: {self.accepted}" if self.accepted else ""
        super().__init__(f"{path}: {problem}{tail}")


class Setting(msgspec.Struct, frozen=True):
    """Where an item stands: its patient's id, the site's time zone, the codes of drug names.

    ``links`` is filled while items are built: each reference to another item, and its place.
    """

    patient: str = "p1"
    zone: ZoneInfo | None = None
    drugs: Mapping[str, object] = msgspec.field(default_factory=dict)
    links: list[tuple[str, str]] = msgspec.field(default_factory=list)


class Fields:
    """One item's values by key; every value is a str, a list or a mapping.

    A key outside ``accepted`` is an error at once. A value of ``absent`` reads as not there, and
    then no default takes its place.
    """

    __slots__ = ("accepted", "path", "setting", "values")

    def __init__(
        self, values: Mapping[str, object], accepted: Iterable[str], path: str, setting: Setting
    ) -> None:
        self.values = values
        self.accepted = frozenset(accepted)
        self.path = path
        self.setting = setting
        unknown = set(values) - self.accepted
        if unknown:
            raise ShorthandError(path, f"unknown key {named(unknown, accepted)}", accepted)

    def error(self, key: str, problem: str, accepted: str | Iterable[str] = "") -> ShorthandError:
        return ShorthandError(f"{self.path}.{key}", problem, accepted)

    def has(self, key: str) -> bool:
        """Whether the author gave ``key`` a value (``absent`` is none)."""
        return self.get(key) is not None

    def get(self, key: str) -> object:
        """The value as written, or None when it is not there."""
        if key not in self.accepted:
            raise LookupError(f"{key!r} is missing from the accepted keys of {self.path}")
        value = self.values.get(key)
        return None if value == ABSENT else value

    def text(self, key: str, default: str | None = None) -> str | None:
        """The text under ``key``; ``default`` where the author wrote nothing."""
        if key not in self.values and key in self.accepted:
            return default
        value = self.get(key)
        if value is None or isinstance(value, str):
            return value
        raise self.error(key, "must be one text, not a list or mapping", "a text")

    def texts(self, key: str) -> list[str]:
        """The texts under ``key``: one, or a list of them; empty when there is none."""
        value = self.get(key)
        items = value if isinstance(value, list) else [] if value is None else [value]
        texts = [item for item in items if isinstance(item, str)]
        if len(texts) != len(items):
            raise self.error(key, "must be a text or a list of texts", "a text, or a list of texts")
        return texts

    def items(self, key: str) -> list[object]:
        """What stands under ``key`` as a list; one thing counts as a list of one."""
        value = self.get(key)
        return value if isinstance(value, list) else [] if value is None else [value]

    def flag(self, key: str) -> bool | None:
        """True for yes, False for no, None when not there."""
        return self._read(key, lambda text: _YES[text.lower()], "yes or no")

    def count(self, key: str) -> int | None:
        """A whole number, or None."""
        return self._read(key, int, "a whole number")

    def moment(self, key: str) -> str | None:
        """A FHIR date or dateTime of any precision; a time without offset is the site's."""
        return self._read(key, self.to_moment, "2026-06, 2026-06-10, 2026-06-10T08:00[-04:00]")

    def parse(self, key: str, reader: Callable[[str], Json], accepted: str) -> Json | None:
        """What ``reader`` makes of the text; its ValueError becomes an error of the author."""
        return self._read(key, reader, accepted)

    def reference(self, key: str, resource_type: str) -> Json | None:
        """A reference: ``Type/id`` as written, or the bare id of another item."""
        text = self.text(key)
        return None if text is None else self.to_reference(key, text, resource_type)

    def references(self, key: str, resource_type: str) -> list[Json]:
        return [self.to_reference(key, text, resource_type) for text in self.texts(key)]

    def to_reference(self, key: str, text: str, resource_type: str) -> Json:
        if "/" in text or text.startswith(("#", "urn:")):
            return {"reference": text}
        reference = f"{resource_type}/{text}"
        self.setting.links.append((reference, f"{self.path}.{key}"))
        return {"reference": reference}

    def subject(self, key: str = "subject") -> Json | None:
        """The patient the item is about: the scenario's, unless the author names another."""
        text = self.text(key, f"Patient/{self.setting.patient}")
        return None if text is None else {"reference": text}

    def to_moment(self, text: str) -> str:
        match = _MOMENT.match(text)
        if match is None:
            raise ValueError(text)
        if "T" not in text or (match["seconds"] and match["zone"]):
            return text
        bare = text.removesuffix(match["zone"] or "")
        bare = bare if match["seconds"] else f"{bare}:00"
        return bare + (match["zone"] or self._offset(bare))

    def _offset(self, local: str) -> str:
        if self.setting.zone is None:
            raise ValueError("a time without an offset needs the scenario's timezone")
        offset = datetime.fromisoformat(local).replace(tzinfo=self.setting.zone).strftime("%z")
        return f"{offset[:3]}:{offset[3:]}"

    def _read(self, key: str, reader: Callable[[str], T], accepted: str) -> T | None:
        text = self.text(key)
        if text is None:
            return None
        try:
            return reader(text)
        except (ValueError, KeyError):
            raise self.error(key, f"cannot read {text!r}", accepted) from None


def filled(values: Mapping[str, object]) -> Json:
    """``values`` without those that are None, empty texts, lists or mappings."""
    return {key: value for key, value in values.items() if value not in (None, "", [], {})}


def named(unknown: Iterable[str], accepted: Iterable[str]) -> str:
    """The unknown keys in words, each with the accepted key that it may have meant."""
    known = sorted(accepted)
    words = []
    for key in sorted(unknown):
        meant = get_close_matches(key, known, 1)
        words.append(f"{key!r}" + (f" (did you mean {meant[0]!r}?)" if meant else ""))
    return ", ".join(words)


def valid_id(text: str) -> bool:
    """Whether ``text`` is a FHIR id (R4, 2.24.0.1)."""
    return _ID.match(text) is not None
