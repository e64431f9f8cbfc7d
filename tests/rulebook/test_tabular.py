"""Every ICD-10-CM code and beginning of the pack stands in the published tabular.

The list comes from a package of the `test` extra (MIT; it ships NCHS's files, which are in the public
domain). The package itself is not imported: that would build a tree of 200 MB for a list of codes.
"""

from __future__ import annotations

import shutil
from bisect import bisect_left
from collections.abc import Iterator
from functools import cache
from importlib.util import find_spec
from pathlib import Path

import pytest

from cds.rulebook.document import Node, read_document
from cds.rulebook.pack import shipped_pack
from cds.terminology.system import Systems
from cds.terminology.valueset import fold_code
from cds.values.problem import Place, Problem

URI = "http://hl7.org/fhir/sid/icd-10-cm"
HERE = "valuesets/fibromyalgia.yaml"


@cache
def tabular() -> list[str]:
    """The codes and categories of the tabular, folded and sorted; blocks such as A00-A09 left out."""
    spec = find_spec("simple_icd_10_cm")
    if spec is None or not spec.submodule_search_locations:
        pytest.skip("simple-icd-10-cm is not installed (extra `test`)")
    folder = Path(spec.submodule_search_locations[0]) / "data"
    (path,) = folder.glob("code-list*.txt")
    lines = path.read_text("utf-8").split()
    return sorted(fold_code(line) for line in lines if line[0].isalpha() and "-" not in line)


def is_published(code: str, *, beginning: bool) -> bool:
    codes, folded = tabular(), fold_code(code)
    at = bisect_left(codes, folded)
    if at == len(codes):
        return False
    return codes[at].startswith(folded) if beginning else codes[at] == folded


def unpublished(root: Path) -> list[str]:
    """What a pack has and the tabular lacks, each with file and line; successors of retired too."""
    found = []
    for path in sorted((root / "valuesets").glob("*.yaml")):
        problems: list[Problem] = []
        node = read_document(path, f"valuesets/{path.name}", problems)
        assert node is not None
        assert problems == []
        for code, place, beginning in codes_of(node, short(root), retired=path.stem == "retired"):
            if not is_published(code, beginning=beginning):
                found.append(f"{place.render()}: {code}")
    return found


@cache
def short(root: Path) -> str:
    node = read_document(root / "valuesets" / "systems.yaml", "systems.yaml", [])
    assert node is not None
    return Systems.from_data({name: item.plain() for name, item in node.mapping.items()}).short(URI)


def codes_of(node: Node, system: str, *, retired: bool) -> Iterator[tuple[str, Place, bool]]:
    if retired:
        for code, entry in (node.get(system) or Node({}, node.place)).mapping.items():
            yield code, entry.place, True
            by = entry.get("by")
            yield from ((item.text, item.place, True) for item in (by.items if by else []))
        return
    systems = node.get("systems")
    rules = systems.get(system) if systems is not None else None
    for key in ("codes", "prefixes"):
        found = rules.get(key) if rules is not None else None
        if found is not None and found.mapping:
            yield from ((code, place, key == "prefixes") for code, place in found.keys.items())
        elif found is not None:
            yield from ((item.text, item.place, key == "prefixes") for item in found.items)


def test_the_tabular_is_there() -> None:
    assert len(tabular()) > 90_000
    assert is_published("M79.7", beginning=False)
    assert is_published("M79", beginning=True)
    assert not is_published("M79.70", beginning=True)


def test_every_code_of_the_pack_is_published() -> None:
    assert unpublished(shipped_pack()) == []


@pytest.mark.parametrize("written", ["M79.70", "U99.9", "ZZ"])
def test_a_code_that_is_not_published_is_told_with_its_line(tmp_path: Path, written: str) -> None:
    pack = Path(shutil.copytree(shipped_pack(), tmp_path / "pack"))
    path = pack / HERE
    before = path.read_text("utf-8")
    assert before.count('"M79.7": "Fibromyalgia"') == 1
    path.write_text(before.replace('"M79.7": "Fibromyalgia"', f'"{written}": "x"'), "utf-8")
    line = next(
        n for n, text in enumerate(path.read_text("utf-8").splitlines(), 1) if written in text
    )
    assert unpublished(pack) == [f"{HERE}:{line}:7: {written}"]
