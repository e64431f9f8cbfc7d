"""An audit from its inputs to its files: what is given to workers, in which order it comes out.

The files hold the same bytes whatever the number of workers: chunks follow from the inputs alone,
and their results are written in the order of the inputs; patients of an export in the order of a
digest of their ids (``cds.audit.spill.rank``), whatever the order and number of its files.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from functools import partial
from itertools import groupby
from pathlib import Path
from typing import Any

import msgspec

from cds.audit.derived import Wanted, derive
from cds.audit.export import Sorting, missing_files, needed, parts_of, read_size, states_of
from cds.audit.inputs import Export, Gathered, Record, gather
from cds.audit.journal import Journal, read_outcomes
from cds.audit.outcome import Outcome
from cds.audit.output import AuditError, Output, check_folder
from cds.audit.pool import Job, JobError, Lost, Pool
from cds.audit.progress import Bar
from cds.audit.report import print_summary
from cds.audit.results import write_lines, write_summary
from cds.audit.spill import partitions
from cds.audit.work import (
    Part,
    Patients,
    halve_patients,
    halve_records,
    judge_patients,
    judge_records,
    lost_patients,
    lost_records,
    shelf_path,
    sort_part,
    spill_path,
)
from cds.cards.judge import Setting, read_input
from cds.engine.needs import resource_types
from cds.engine.review import evaluator
from cds.values.problem import Severity

DONE, FAILED = 0, 1
_CHUNK_BYTES, _CHUNK_RECORDS = 1024 * 1024, 16


class Options(msgspec.Struct, frozen=True):
    """How to run, beside what to judge by. ``supplied``: types that exports here always hold."""

    out: Path
    workers: int = 1
    supplied: frozenset[str] = frozenset()
    notes: tuple[str, ...] = ()
    as_json: bool = False


def audit(paths: list[str], setting: Setting, options: Options) -> int:
    """Judges everything that the paths name and writes the files; the exit code.

    Raises ``AuditError`` when there is nothing to judge or the files cannot be written.
    """
    started = time.monotonic()
    check_folder(options.out)
    gathered = gather(paths)
    if not gathered.items:
        told = "; ".join(problem.render() for _, problem in gathered.problems)
        raise AuditError(f"no input found: {told or 'accepted: files, folders, globs or -'}")
    # Compiled before the workers are forked, so that they have it.
    evaluator(setting.rulebook)
    read_input(b"", "", setting)
    jobs: dict[str, Job] = {
        "records": partial(judge_records, setting),
        "sort": partial(sort_part, setting),
        "patients": partial(judge_patients, setting),
    }
    try:
        with Output(options.out) as output:
            journal = output.scratch / "journal"
            with Journal(journal) as written, Pool(jobs, options.workers) as pool:
                _Run(setting, options, output.scratch, written, pool).all(gathered)
            tally = write_lines(read_outcomes(journal), output.results)
            inputs = _counts(gathered, frozenset(resource_types(setting.rulebook, setting.hook)))
            summary, text = write_summary(tally, setting, inputs, output.results)
            derive(output.results, summary, Wanted(setting))
            output.finish()
    except (JobError, OSError) as error:
        raise AuditError(f"the audit cannot go on: {error}") from error
    print_summary(text, options, time.monotonic() - started)
    return FAILED if tally.unreadable or tally.undecided_by_engines else DONE


def _counts(gathered: Gathered, wanted: frozenset[str]) -> dict[str, int]:
    """What the summary tells of the inputs beside the records."""
    exports = [item for item in gathered.items if isinstance(item, Export)]
    files = sum(len(export.files) for export in exports)
    return {
        "exports": len(exports),
        "export_files": files,
        "export_files_not_needed": files - sum(len(needed(item, wanted)) for item in exports),
    }


class _Run(msgspec.Struct):
    """One audit while it runs."""

    setting: Setting
    options: Options
    scratch: Path
    journal: Journal
    pool: Pool
    wanted: frozenset[str] = frozenset()

    def all(self, gathered: Gathered) -> None:
        """Judges everything; what came of it stands in the journal."""
        self.wanted = frozenset(resource_types(self.setting.rulebook, self.setting.hook))
        self._tell_gathered(gathered)
        with Bar(sum(self._size(item) for item in gathered.items)) as bar:
            for is_export, items in groupby(gathered.items, lambda item: isinstance(item, Export)):
                if is_export:
                    for item in items:
                        assert isinstance(item, Export)
                        self._export(item, bar)
                else:
                    self._records((item for item in items if isinstance(item, Record)), bar)

    def _size(self, item: Record | Export) -> int:
        if isinstance(item, Record):
            return item.size
        # Once for sorting, once for judging.
        return 2 * read_size(needed(item, self.wanted))

    def _tell_gathered(self, gathered: Gathered) -> None:
        outcome = Outcome()
        for name, problem in gathered.problems:
            outcome.tell(problem, name)
            if problem.severity is Severity.ERROR:
                outcome.tally.inputs += 1
                outcome.tally.unreadable += 1
        self.journal.append(outcome)

    # -- records ----------------------------------------------------------------------------------

    def _records(self, records: Iterable[Record], bar: Bar) -> None:
        sizes: list[int] = []
        chunks = _chunks(records, sizes)
        for number, results in enumerate(self.pool.run("records", chunks, halve_records)):
            chunk = Outcome()
            for result in results:
                chunk.merge(lost_records(result.item) if isinstance(result, Lost) else result)
            self.journal.append(chunk)
            bar.advance(sizes[number], chunk.tally.judged)

    # -- an export --------------------------------------------------------------------------------

    def _export(self, export: Export, bar: Bar) -> None:
        sorting = self._sorted(export, bar)
        states = states_of(export, self.wanted, sorting.failed, self.options.supplied)
        self.journal.append(sorting.outcome)
        spilled = [(spill_path(item.part), item.runs) for item in sorting.found]
        shelves = tuple(path for item in sorting.found if (path := shelf_path(item.part)).exists())
        parts = partitions(spilled)
        share = self._size(export) // 2 // max(1, len(parts))
        work = (Patients(export.name, part, states, shelves) for part in parts)
        for results in self.pool.run("patients", work, halve_patients):
            chunk = Outcome()
            for result in results:
                chunk.merge(lost_patients(result.item) if isinstance(result, Lost) else result)
            self.journal.append(chunk)
            bar.advance(share, chunk.tally.judged)
        for item in sorting.found:
            for path in (spill_path(item.part), shelf_path(item.part)):
                path.unlink(missing_ok=True)

    def _sorted(self, export: Export, bar: Bar) -> Sorting:
        """The export's lines by patient, on disk."""
        sorting = Sorting(export)
        if export.manifest is not None:
            for problem in export.manifest.problems():
                sorting.outcome.tell(problem, export.name)
        for kind, problem in missing_files(export, self.wanted):
            sorting.miss(kind, problem)
        files = needed(export, self.wanted)
        patient = self.setting.patient.removeprefix("Patient/")
        parts = list(parts_of(files, self.scratch, self.wanted, patient))
        share = self._size(export) // 2 // max(1, len(parts))
        results: dict[str, list[Any]] = {}
        for part, found in zip(parts, self.pool.run("sort", parts, _whole), strict=True):
            results.setdefault(part.name, []).extend(found)
            bar.advance(share)
        for file in files:
            sorting.add(file, results.get(file.name, []))
        return sorting


def _whole(_: Part) -> list[Part]:
    """A part is not halved: what its reader died of is one line, and no one knows which."""
    return []


def _chunks(records: Iterable[Record], sizes: list[int]) -> Iterator[tuple[Record, ...]]:
    """Records together that make about a MiB; the size of each chunk is added to ``sizes``."""
    chunk: list[Record] = []
    size = 0
    for record in records:
        chunk.append(record)
        size += record.size * (8 if record.name.endswith(".gz") else 1)
        if size >= _CHUNK_BYTES or len(chunk) >= _CHUNK_RECORDS:
            sizes.append(sum(item.size for item in chunk))
            yield tuple(chunk)
            chunk, size = [], 0
    if chunk:
        sizes.append(sum(item.size for item in chunk))
        yield tuple(chunk)
