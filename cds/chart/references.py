"""Resolves FHIR references within one input: absolute, relative, `urn:uuid` and contained.

FHIR R4 §2.3 (References) and bundle.html#references.
"""

from __future__ import annotations

from collections.abc import Iterable

from cds.chart.fields import Json, as_text, objects, reference_of


def identity(resource: Json) -> str:
    """``Type/id``, or "" when either is missing."""
    kind, name = as_text(resource.get("resourceType")), as_text(resource.get("id"))
    return f"{kind}/{name}" if kind and name else ""


def relative(reference: str) -> str:
    """The last ``Type/id`` of a literal reference; a urn or contained reference as it is."""
    if not reference or reference.startswith(("urn:", "#")) or "?" in reference:
        return reference
    parts = reference.rstrip("/").split("/")
    return "/".join(parts[-2:])


class Index:
    """Where each resource of an input can be found by whatever reference names it."""

    def __init__(self) -> None:
        self._by_reference: dict[str, Json] = {}
        self._keys: dict[str, str] = {}
        self._inside: tuple[Json | None, dict[str, Json]] = None, {}

    def add(self, resource: Json, full_url: str = "") -> bool:
        """Whether its type and id were there already: the first one stays what they name."""
        name = identity(resource)
        self._keys.clear()
        repeated = name in self._by_reference
        for key in (full_url, name):
            if key:
                self._by_reference.setdefault(key, resource)
        return repeated

    def add_all(self, resources: Iterable[Json]) -> None:
        for resource in resources:
            self.add(resource)

    def resolve(self, value: object, holder: Json | None = None) -> Json | None:
        """The resource that a Reference names, or None when it is not in this input."""
        reference = reference_of(value)
        if not reference:
            return None
        if reference.startswith("#"):
            return self._contained(reference[1:], holder)
        found = self._by_reference.get(reference)
        return found if found is not None else self._by_reference.get(relative(reference))

    def key(self, value: object) -> str:
        """One name for whatever the reference points to, the same for every way to write it."""
        reference = reference_of(value)
        found = self._keys.get(reference)
        if found is None:
            target = self.resolve(value)
            found = (identity(target) if target is not None else "") or relative(reference)
            self._keys[reference] = found
        return found

    def _contained(self, name: str, holder: Json | None) -> Json | None:
        """What the holder contains by that name; remembered, since one holder asks repeatedly."""
        if holder is None or not name:
            return None
        if self._inside[0] is not holder:
            found: dict[str, Json] = {}
            for item in objects(holder.get("contained")):
                found.setdefault(as_text(item.get("id")), item)
            self._inside = holder, found
        return self._inside[1].get(name)
