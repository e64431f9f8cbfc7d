"""The items of a scenario: fixtures looked up, overrides laid over them, resources built."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping

import msgspec
from msgspec.structs import replace

from cds.authoring.fields import Fields, Json, Setting, ShorthandError
from cds.authoring.kinds import KINDS, Place, build_literal, build_resource

_MAX_DEPTH = 10
_LITERALS: Mapping[str, Place] = {"raw": "record", "raw-draft": "drafts"}
_OTHER = "other-patient"
ITEM_KINDS = frozenset({*KINDS, *_LITERALS, _OTHER})
"""The names of items that are no fixture."""


class Entry(msgspec.Struct, frozen=True):
    """One resource of the scenario: where a request carries it, and the fixture it came from."""

    resource: Json
    place: Place
    fixture: str | None = None

    @property
    def resource_type(self) -> str:
        return str(self.resource["resourceType"])

    @property
    def reference(self) -> str:
        return f"{self.resource_type}/{self.resource.get('id')}"


class _Item(msgspec.Struct, frozen=True):
    """One item of a known kind, its overrides laid over it, before it becomes a resource."""

    kind: str
    values: object
    path: str
    fixture: str | None = None


class Builder(msgspec.Struct, frozen=True):
    """Builds entries from items; numbers the ids that authors left out, by kind, from 1."""

    fixtures: Mapping[str, object]
    setting: Setting
    numbers: Counter[str] = msgspec.field(default_factory=Counter)

    def entries(self, items: object, path: str) -> Iterator[Entry]:
        """The resources of a list of items, in their order."""
        listed = items if isinstance(items, list) else [items]
        for place, item in enumerate(listed):
            for found in self._resolve(item, f"{path}[{place}]", None, 0):
                yield from self._build(found)

    def _build(self, item: _Item) -> Iterator[Entry]:
        if item.kind == _OTHER:
            yield from self._other_patient(item)
        elif item.kind in _LITERALS:
            yield Entry(build_literal(item.values, item.path), _LITERALS[item.kind], item.fixture)
        else:
            yield Entry(self._resource(item), KINDS[item.kind].place, item.fixture)

    def _resource(self, item: _Item) -> Json:
        kind = KINDS[item.kind]
        fields = Fields(_mapping(item.values, item.path), kind.keys, item.path, self.setting)
        if item.kind == "patient":
            return build_resource(kind, fields, self.setting.patient)
        self.numbers[item.kind] += 1
        return build_resource(kind, fields, f"{item.kind}-{self.numbers[item.kind]}")

    def _other_patient(self, item: _Item) -> Iterator[Entry]:
        fields = Fields(_mapping(item.values, item.path), ("id", "given"), item.path, self.setting)
        setting = replace(self.setting, patient=fields.text("id", "p2") or "p2")
        other = Builder(self.fixtures, setting, self.numbers)
        yield from other.entries(fields.get("given") or [], f"{item.path}.given")

    def _resolve(self, item: object, path: str, fixture: str | None, depth: int) -> Iterator[_Item]:
        """The items of known kinds that ``item`` stands for; overrides laid over the fixture's."""
        if depth > _MAX_DEPTH:
            raise ShorthandError(path, f"fixture {fixture!r} refers to itself")
        if isinstance(item, str):
            yield from self._fixture(item, path, depth)
            return
        if not isinstance(item, Mapping) or len(item) != 1:
            raise ShorthandError(path, "must be one item", "a fixture's name, or {KIND: {…}}")
        [(name, values)] = item.items()
        if name in ITEM_KINDS:
            yield _Item(name, values, f"{path}.{name}", fixture)
            return
        found = list(self._fixture(str(name), path, depth))
        yield from _overridden(found, _mapping(values, f"{path}.{name}"), f"{path}.{name}")

    def _fixture(self, name: str, path: str, depth: int) -> Iterator[_Item]:
        if name in ITEM_KINDS:
            raise ShorthandError(
                path, f"{name!r} is a kind and needs its fields", f"{{{name}: {{…}}}}"
            )
        if name not in self.fixtures:
            accepted = f"fixtures ({', '.join(sorted(self.fixtures))}) or kinds "
            raise ShorthandError(
                path, f"unknown fixture {name!r}", accepted + f"({', '.join(sorted(ITEM_KINDS))})"
            )
        items = self.fixtures[name]
        for item in items if isinstance(items, list) else [items]:
            yield from self._resolve(item, f"{path}<{name}>", name, depth + 1)


def _overridden(items: list[_Item], overrides: Mapping[str, object], path: str) -> Iterator[_Item]:
    """``items`` overridden: what stands under a kind's name in that kind, the rest in the first."""
    kinds = {item.kind for item in items}
    own = {key: value for key, value in overrides.items() if key not in kinds}
    for place, item in enumerate(items):
        changes = own if place == 0 else {}
        if item.kind in overrides:
            changes = {**changes, **_mapping(overrides[item.kind], f"{path}.{item.kind}")}
        if not changes:
            yield item
            continue
        values = {**_mapping(item.values, item.path), **changes}
        yield replace(item, values=values, path=path)


def _mapping(values: object, path: str) -> Mapping[str, object]:
    if values in ("", None):
        return {}
    if isinstance(values, Mapping):
        return values
    raise ShorthandError(path, "must hold keys and values", "a mapping")
