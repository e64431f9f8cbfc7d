"""An audit from its inputs to its files: begun, resumed, finished.

The files hold the same bytes whatever the number of workers, and however often the run was killed
and resumed: chunks follow from the inputs alone (``cds.audit.course``), what comes of each goes to
a journal in their order, and the files are made of that.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
from msgspec.structs import replace

from cds.audit.course import Course
from cds.audit.derived import Wanted, derive
from cds.audit.export import needed
from cds.audit.grouping import Export
from cds.audit.hands import Hands, local_hands
from cds.audit.inputs import Gathered, gather
from cds.audit.journal import Journal
from cds.audit.memory import memory_of
from cds.audit.outcome import NOT_JUDGED, Outcome
from cds.audit.output import AuditError, InterruptedRun, Output, check_folder, finished_summary
from cds.audit.plan import differences, plan_of, read_plan, sources, write_plan
from cds.audit.pool import JobError
from cds.audit.progress import Bar
from cds.audit.report import print_summary
from cds.audit.results import write_lines, write_summary
from cds.cards.judge import Setting
from cds.engine.needs import resource_types

if TYPE_CHECKING:
    from cds.audit.spark.session import Target

DONE, FAILED = 0, 1
_FAILURES = (*NOT_JUDGED, "disagreement")
"""Kinds of problem that make an audit fail, beside inputs that could not be read."""


class Options(msgspec.Struct, frozen=True):
    """How to run, beside what to judge by. ``supplied``: types that exports here always hold.

    ``resume`` goes on with a run that ended early; ``now`` says that nobody asked for the instant
    judged for, so that a resumed run keeps its own. ``memory`` is in bytes, 0 for what is usual.
    ``on``: a cluster of Spark does the work.
    ``suppress`` is the smallest count that is told, with nothing of single patients; ``csv`` asks
    for tables.
    """

    out: Path
    workers: int = 1
    supplied: frozenset[str] = frozenset()
    notes: tuple[str, ...] = ()
    as_json: bool = False
    resume: bool = False
    now: bool = False
    memory: int = 0
    on: Target | None = None
    suppress: int | None = None
    csv: bool = False


_OF_THE_RUN_ALONE = frozenset(
    {"out", "workers", "notes", "as_json", "resume", "now", "memory", "on"}
)
"""Options that change no result: a run may be resumed with others."""


def audit(paths: list[str], setting: Setting, options: Options) -> int:
    """Judges everything that the paths name and writes the files; the exit code.

    Raises ``AuditError`` when there is nothing to judge or the files cannot be written, and
    ``InterruptedRun`` after Ctrl-C.
    """
    started = time.monotonic()
    if options.resume and (whole := finished_summary(options.out)) is not None:
        return _tell_whole(whole, setting, options)
    check_folder(options.out)
    with Output(options.out) as output:
        try:
            text = _audit(paths, setting, options, output)
        except KeyboardInterrupt:
            raise InterruptedRun(f"interrupted: {_kept(output)}") from None
        except (JobError, OSError) as error:
            raise AuditError(f"the audit cannot go on: {error}; {_kept(output)}") from error
    print_summary(text, options, time.monotonic() - started)
    return _exit_code(text)


def _kept(output: Output) -> str:
    if not output.keep:
        return "nothing was written"
    return f"what was judged is kept in {output.folder}, and the same call with --resume goes on"


def _audit(paths: list[str], setting: Setting, options: Options, output: Output) -> bytes:
    """The content of ``summary.json``, when all files have their place."""
    there = read_plan(output.scratch)
    if there is None:
        output.clear()
        if output.holds_more():
            accepted = "accepted: a folder that is empty or not there yet"
            raise AuditError(f"--out: {output.folder} is not empty; {accepted}")
    else:
        output.keep = True
        if not options.resume:
            raise AuditError(
                f"--out: {output.folder} holds an audit that was interrupted; accepted: the same"
                " call with --resume, which goes on with it, or another folder"
            )
        if options.now:
            setting = replace(setting, as_of=there.as_of.astimezone(setting.zone))
    gathered = gather(paths, output.scratch)
    if not gathered.items:
        told = "; ".join(problem.render() for _, problem in gathered.problems)
        raise AuditError(f"no input found: {told or 'accepted: files, folders, globs or -'}")
    changing = [
        (f"--{name}", getattr(options, name))
        for name in options.__struct_fields__
        if name not in _OF_THE_RUN_ALONE
    ]
    # Its partitions are others, so that one cannot go on where the other was.
    changing.append(("--on", "a cluster" if options.on else "this machine"))
    plan = plan_of(setting, changing)
    if there is None:
        write_plan(output.scratch, plan, sources(gathered))
    elif found := differences(output.scratch, there, plan, sources(gathered)):
        raise AuditError(
            f"--resume: the audit in {output.folder} was about something else: {'; '.join(found)};"
            " accepted: the same call on the same inputs, or another folder"
        )
    units = "orders" if setting.every else "patients"
    with Bar(units) as bar, Journal(output.scratch / "journal", Outcome) as journal:
        _judge(gathered, setting, options, output, journal, bar)
        bar.begin("writing", journal.size)
        return _write_files(gathered, setting, options, output, _watched(journal, bar))


def _judge(
    gathered: Gathered,
    setting: Setting,
    options: Options,
    output: Output,
    journal: Journal[Outcome],
    bar: Bar,
) -> None:
    """Everything that is not in the journal yet."""
    with _hands(setting, options) as hands:
        Course(setting, options.supplied, output, journal, hands, bar).run(gathered)


def _hands(setting: Setting, options: Options) -> AbstractContextManager[Hands]:
    """Who does the work. Raises ``AuditError`` when entered, where a cluster is not to be had."""
    if options.on is None:
        return local_hands(setting, memory_of(options.workers, options.memory))
    from cds.audit.spark.session import spark_hands

    return spark_hands(setting, options.on, options.memory)


def _watched(journal: Journal[Outcome], bar: Bar) -> Iterator[Outcome]:
    share = journal.size // max(1, journal.count)
    for outcome in journal.read():
        yield outcome
        bar.advance(share)


def _write_files(
    gathered: Gathered,
    setting: Setting,
    options: Options,
    output: Output,
    outcomes: Iterator[Outcome],
) -> bytes:
    output.clear_results()
    tally = write_lines(outcomes, output.results)
    inputs = _counts(gathered, frozenset(resource_types(setting.rulebook, setting.hook)))
    summary, text = write_summary(tally, setting, inputs, output.results, options.suppress)
    derive(output.results, summary, Wanted(setting, csv=options.csv))
    output.finish()
    return text


def _counts(gathered: Gathered, wanted: frozenset[str]) -> dict[str, int]:
    """What the summary tells of the inputs beside the records."""
    exports = [item for item in gathered.items if isinstance(item, Export) and not item.whole]
    files = sum(len(export.files) for export in exports)
    return {
        "exports": len(exports),
        "export_files": files,
        "export_files_not_needed": files - sum(len(needed(item, wanted)) for item in exports),
    }


class _Counts(msgspec.Struct):
    """What of a summary says how a run ended, and what it was about."""

    rulebook: str
    hook: str
    asOf: str  # noqa: N815 - the name in the file
    timezone: str
    inputs: dict[str, int | None]
    problems: dict[str, dict[str, int | None]]
    every: str | None = None
    suppressed: _Suppressed | None = None


class _Suppressed(msgspec.Struct):
    below: int


def _exit_code(summary: bytes) -> int:
    """1 where an input could not be read, somebody was not judged, or two engines disagree."""
    found = msgspec.json.decode(summary, type=_Counts)
    # A null is a small number, never zero.
    failed = any(found.problems.get(kind, {}).get("error", 0) != 0 for kind in _FAILURES)
    return FAILED if found.inputs["unreadable"] != 0 or failed else DONE


def _tell_whole(summary: bytes, setting: Setting, options: Options) -> int:
    """The exit code of an audit that is whole already: its summary is told again."""
    try:
        there = msgspec.json.decode(summary, type=_Counts)
    except msgspec.MsgspecError as error:
        what = f"--out: {options.out} holds a summary.json that no audit of this version wrote"
        raise AuditError(what) from error
    moment = setting.as_of.astimezone(setting.zone).isoformat()
    pairs = {
        "rulebook": (there.rulebook, setting.rulebook.digest),
        "--hook": (there.hook, setting.hook),
        "--every": (there.every or "", setting.every),
        "--timezone": (there.timezone, setting.zone.key),
        "--as-of": (there.asOf, there.asOf if options.now else moment),
        "--suppress": (there.suppressed and there.suppressed.below, options.suppress),
    }
    told = [f"{name} was '{a}' and is '{b}'" for name, (a, b) in pairs.items() if a != b]
    if told:
        raise AuditError(
            f"--resume: the audit in {options.out} is whole, and was about something else:"
            f" {'; '.join(told)}; accepted: another folder"
        )
    note = f"the audit in {options.out} was whole already: nothing was judged again"
    print_summary(summary, replace(options, notes=(*options.notes, note)), None)
    return _exit_code(summary)
