"""One export as work: which files are read, in which parts, and what holds of types without any."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

from msgspec.structs import replace

from cds.audit.grouping import Export, ExportFile
from cds.audit.outcome import Outcome
from cds.audit.sorting import MAX_TOLD_LINES, Part, Sorted
from cds.audit.spill import BUDGET, bits_for
from cds.chart.model import Coverage
from cds.values.problem import Place, Problem, Severity

_GROWS = 10
"""What gzip makes of NDJSON, about; a guess for the number of partitions, nothing else."""
_LEAST_PART, _LARGEST_PART = 4 * 1024 * 1024, 256 * 1024 * 1024


def needed(export: Export, wanted: frozenset[str]) -> list[ExportFile]:
    """The files that are read: those of types that rules read, or of several."""
    return [file for file in export.files if file.kind in wanted or file.mixed or export.whole]


def read_size(files: Iterable[ExportFile]) -> int:
    """Bytes of the files when unpacked, about."""
    return sum(file.size * _GROWS if file.packed else file.size for file in files)


def parts_of(
    files: list[ExportFile],
    folder: Path,
    wanted: frozenset[str],
    patient: str = "",
    most: int = BUDGET,
) -> Iterator[Part]:
    """The parts that can be sorted by themselves: a gzip file whole, a plain one in pieces.

    They follow from the files alone; ``most`` is what each may hold in memory.
    """
    size = read_size(files)
    budget = min(most, max(BUDGET, size // 512))
    piece = min(_LARGEST_PART, max(_LEAST_PART, size // 64))
    number = 0
    for file in files:
        part = Part(file, number, folder, bits_for(size), wanted, 0, None, patient, budget)
        starts = range(0, file.size, piece) if not file.packed else range(1)
        for start in starts or range(1):
            last = file.packed or start + piece >= file.size
            end = None if last else start + piece
            yield replace(part, number=number, start=start, end=end)
            number += 1


def missing_files(export: Export, wanted: frozenset[str]) -> list[tuple[str, Problem]]:
    """Files that the manifest names and that are not there, by type.

    They are found by name; where a server's names are not those of the files, by their number.
    """
    manifest = export.manifest
    if manifest is None:
        return []
    there = {file.title.removesuffix(".gz") for file in export.files}
    found = []
    for kind in manifest.types():
        names = manifest.names(kind)
        lost = [name for name in names if name.removesuffix(".gz") not in there]
        if sum(file.kind == kind for file in export.files) >= len(names):
            continue
        severity = Severity.ERROR if kind in wanted else Severity.WARNING
        for name in lost:
            what = f"names {name} ({kind}), which is not there"
            place = Place(manifest.path)
            found.append((kind, Problem(place, what, "every file of the export", "file", severity)))
    return found


def states_of(
    export: Export, wanted: frozenset[str], failed: set[str], supplied: frozenset[str]
) -> dict[str, Coverage]:
    """What holds of each type for a patient who has none of it, or for everybody."""
    manifest = export.manifest
    kinds = {file.kind for file in export.files} | supplied
    partial: frozenset[str] = frozenset()
    if manifest is not None:
        kinds |= manifest.asked
        partial = manifest.partial
    found = {}
    if export.whole:
        state = Coverage.FAILED if failed else Coverage.EMPTY
        return dict.fromkeys(sorted(wanted), state)
    for kind in sorted(wanted):
        state = Coverage.EMPTY if kind in kinds else Coverage.ABSENT
        if "*" in partial or kind in partial:
            state = Coverage.TRUNCATED
        found[kind] = Coverage.FAILED if kind in failed else state
    return found


class Sorting:
    """What sorting the parts of each file gave, with lines counted from the file's first."""

    def __init__(self, export: Export) -> None:
        self.export = export
        self.failed: set[str] = set()
        self.outcome = Outcome()
        self.outcome.tally.inputs += export.whole

    def add(self, file: ExportFile, results: list[Sorted]) -> None:
        """The results of a file's parts, in their order."""
        base = good = told = untold = 0
        damage: Problem | None = None
        for result in results:
            if result.lost:
                what = "the process that read it died, and died again when it was tried once more"
                damage = Problem(Place(file.name), what, "a file of NDJSON", "worker")
                continue
            for line, problem in result.bad:
                told += 1
                if told <= MAX_TOLD_LINES:
                    self._tell(replace(problem, where=problem.where.on(base + line)))
            base += result.lines
            good += result.good
            untold += result.untold
            damage = damage or result.damage
            self.outcome.tally.ignored.update(result.ignored)
        untold += max(0, told - MAX_TOLD_LINES)
        if untold:
            what = f"{untold} more lines like these"
            self._tell(Problem(Place(file.name), what, "one FHIR resource a line", "json"))
        if damage is not None:
            self._tell(damage)
        if damage is not None or (told and not good):
            self.failed.add(file.kind)
            self.outcome.tally.unreadable += 1

    def miss(self, kind: str, problem: Problem) -> None:
        """A file that is not there."""
        self._tell(problem)
        if problem.severity is Severity.ERROR:
            self.failed.add(kind)
            self.outcome.tally.unreadable += 1

    def _tell(self, problem: Problem) -> None:
        self.outcome.tell(problem, self.export.name)
