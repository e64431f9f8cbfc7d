"""The command line: what each command takes and calls. The only place that exits."""

from __future__ import annotations

import gc
import os
import sys
from contextlib import suppress
from io import TextIOWrapper
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

from cds.commands import fmt, new, pack_above
from cds.options import (
    AsOf,
    AuditFormat,
    AuditHook,
    Config,
    Csv,
    Disable,
    Enable,
    EngineName,
    Every,
    Format,
    HookName,
    Inputs,
    Memory,
    On,
    Out,
    Paths,
    PatientId,
    Resume,
    Rules,
    SparkConf,
    Stop,
    Suppress,
    Workers,
    Zone,
    check_choice,
    read_engine,
    read_every,
    read_memory,
    read_rulebook,
    read_setting,
    read_site,
    read_target,
)
from cds.service import feedback, serve

if TYPE_CHECKING:
    from cds.second.opinion import Engine

DONE, FAILED, UNUSABLE = 0, 1, 2
app = typer.Typer(
    name="cds",
    help="Clinical decision support: rules over FHIR records, answered as CDS Hooks cards.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
)


@app.command()
def check(
    paths: Paths,
    rules: Rules = None,
    config: Config = None,
    enable: Enable = None,
    disable: Disable = None,
    as_of: AsOf = None,
    timezone: Zone = None,
    hook: HookName = None,
    patient: PatientId = None,
    engine: EngineName = "reference",
    format: Format = "text",  # noqa: A002 - the option's name
) -> None:
    """Judge records and print the cards.

    A Bundle, a list of resources, NDJSON or a CDS Hooks request is judged for each of its patients.
    """
    from cds.authoring.check import check_inputs

    check_choice(format, ("text", "json"), "--format")
    setting, notes = read_setting(
        rules, config, enable, disable, as_of, timezone, hook, patient, engine
    )
    raise typer.Exit(check_inputs(paths, setting, notes, as_json=format == "json"))


@app.command()
def audit(
    inputs: Inputs,
    out: Out,
    workers: Workers = None,
    rules: Rules = None,
    config: Config = None,
    enable: Enable = None,
    disable: Disable = None,
    as_of: AsOf = None,
    timezone: Zone = None,
    hook: AuditHook = None,
    every: Every = None,
    patient: PatientId = None,
    engine: EngineName = "reference",
    csv: Csv = False,
    suppress: Suppress = None,
    format: AuditFormat = "text",  # noqa: A002 - the option's name
    memory: Memory = None,
    resume: Resume = False,
    on: On = None,
    spark_conf: SparkConf = None,
) -> None:
    """Judge a population: findings, counts of fired, not fired and unknown, problems.

    \b
    Into the folder of --out go
      report.html            to look at and to print
      findings.ndjson        a line a finding
      findings.parquet       the same as a table; with --csv findings.csv too
      problems.ndjson        what could not be read, or was read with doubt
      summary.json           all counts; with --csv summary.csv too
      measure-report.json    counts, and whom the rules fired for, in FHIR
      disagreements.ndjson   with --engine both, if there are any

    With --suppress N it is counts alone, for passing on: report.html, summary.json (with --csv
    summary.csv) and a measure-report.json of totals, nothing about single patients.

    A run that ended early goes on by the same call with --resume. The files do not depend on
    --workers, --resume or --on.
    """  # noqa: D301 - a backspace keeps the lines of a list
    from cds.audit.output import AuditError, InterruptedRun
    from cds.audit.run import Options
    from cds.audit.run import audit as run_audit

    check_choice(format, ("text", "json"), "--format")
    setting, notes = read_setting(
        rules, config, enable, disable, as_of, timezone, hook or "audit", patient, engine
    )
    setting = read_every(every, hook, setting)
    site = read_site(config, enable, disable)
    if suppress is not None:
        if setting.every:
            told = "--suppress: counts of orders may hide that they are of one patient"
            raise Stop(f"{told}; accepted: an audit of patients, without --every")
        notes.append("--suppress: whatever tells of single patients is left out")
    options = Options(
        out=out,
        workers=workers or _cores(),
        supplied=frozenset(site.supplied),
        notes=tuple(notes),
        as_json=format == "json",
        resume=resume,
        now=as_of is None,
        memory=read_memory(memory),
        on=read_target(on, spark_conf, workers, rules, site),
        suppress=suppress,
        csv=csv,
    )
    try:
        raise typer.Exit(run_audit(inputs, setting, options))
    except InterruptedRun as error:
        raise Stop(str(error), 130) from None
    except AuditError as error:
        raise Stop(str(error)) from error
    except KeyboardInterrupt:
        raise Stop("interrupted: nothing was written", 130) from None


def _cores() -> int:
    """The cores that this process may use."""
    affinity = getattr(os, "sched_getaffinity", None)
    return len(affinity(0)) if affinity is not None else os.cpu_count() or 1


@app.command()
def explain(
    path: Annotated[str, typer.Argument(help="File or - for standard input.", metavar="PATH")],
    rule: Annotated[str | None, typer.Option("--rule", help="Explain only this rule.")] = None,
    rules: Rules = None,
    config: Config = None,
    enable: Enable = None,
    disable: Disable = None,
    as_of: AsOf = None,
    timezone: Zone = None,
    hook: HookName = None,
    patient: PatientId = None,
    format: Format = "text",  # noqa: A002 - the option's name
) -> None:
    """Show why each rule fired, did not fire, or could not be decided."""
    from cds.authoring.explain import explain_input

    check_choice(format, ("text", "json"), "--format")
    setting, notes = read_setting(rules, config, enable, disable, as_of, timezone, hook, patient)
    if rule is not None and setting.rulebook.rule(rule) is None:
        known = ", ".join(item.id for item in setting.rulebook.rules)
        raise Stop(f"--rule: '{rule}' is no rule that is on; accepted: {known}")
    raise typer.Exit(explain_input(path, setting, notes, rule or "", as_json=format == "json"))


@app.command()
def lint(
    path: Annotated[
        Path | None,
        typer.Argument(help="Folder of a rule pack [default: --rules or the shipped one]."),
    ] = None,
    rules: Rules = None,
    config: Config = None,
    format: Annotated[str, typer.Option("--format", help="text, json or github.")] = "text",  # noqa: A002
    schema: Annotated[
        bool, typer.Option("--schema", help="Print the JSON Schema of a rule file and exit.")
    ] = False,
    strict: Annotated[bool, typer.Option("--strict", help="Warnings fail too.")] = False,
) -> None:
    """Check a rule pack: every error at once, each with file, line and column.

    Errors fail; warnings (what nothing uses, what is still to be written) do so with --strict.
    """
    from cds.authoring.bench import lint_pack
    from cds.rulebook.pack import shipped_pack
    from cds.rulebook.schema import render_schema

    if schema:
        typer.echo(render_schema())
        raise typer.Exit(DONE)
    check_choice(format, ("text", "json", "github"), "--format")
    raise typer.Exit(
        lint_pack(
            path or rules or shipped_pack(),
            read_site(config, None, None),
            format,
            strict=strict,
        )
    )


@app.command()
def test(
    path: Annotated[
        Path | None,
        typer.Argument(help="A scenario file, a rule file or a folder [default: the whole pack]."),
    ] = None,
    rules: Rules = None,
    config: Config = None,
    enable: Enable = None,
    disable: Disable = None,
    verbose: Annotated[
        bool, typer.Option("--verbose", "-v", help="List passed scenarios too.")
    ] = False,
    engine: Annotated[
        str | None,
        typer.Option(
            "--engine",
            help="reference, durable or both [default: both where both can run].",
            metavar="ENGINE",
        ),
    ] = None,
    coverage: Annotated[
        bool,
        typer.Option("--coverage", help="List clauses never seen yes, no or unknown."),
    ] = False,
    mutate: Annotated[
        bool,
        typer.Option("--mutate", help="Change the rules in the small; list what no scenario sees."),
    ] = False,
    fail_under: Annotated[
        float | None,
        typer.Option(
            "--fail-under",
            min=0,
            max=100,
            help="With --coverage or --mutate: fail below so many percent.",
        ),
    ] = None,
    format: Annotated[str, typer.Option("--format", help="text, json, junit or github.")] = "text",  # noqa: A002
) -> None:
    """Run scenarios: every card must be listed, an unlisted one fails.

    JUnit's XML goes to standard output; GitHub's annotations stand at the scenario's line.
    """
    from cds.authoring.bench import Running, test_pack
    from cds.authoring.reporter import FORMATS
    from cds.rulebook.pack import shipped_pack

    measured = coverage or mutate
    check_choice(format, ("text", "json", "github") if measured else FORMATS, "--format")
    root = rules or (pack_above(path) if path is not None else None) or shipped_pack()
    if path is not None and not path.exists():
        raise Stop(f"{path}: there is no such file or folder")
    site = read_site(config, enable, disable)
    rulebook = read_rulebook(root, site)
    only = None if path is None or path.resolve() == root.resolve() else path
    if measured:
        from cds.authoring.measure import Measuring, measure_pack

        chosen = read_engine(engine or "reference", rulebook)
        measuring = Measuring(coverage, mutate, format, verbose, chosen, _cores(), fail_under)
        raise typer.Exit(measure_pack(root, only, site, measuring))
    chosen = read_engine(engine or _best_engine(), rulebook)
    how = Running(form=format, verbose=verbose, engine=chosen)
    raise typer.Exit(test_pack(root, only, site, how))


def _best_engine() -> Engine:
    """Both engines where both can run."""
    from cds.second.supervisor import unavailable

    return "reference" if unavailable() else "both"


app.command()(fmt)
app.command()(new)


@app.command()
def docs(
    out: Annotated[
        Path,
        typer.Option("--out", help="Folder for the pages; empty, new, or an older rule book."),
    ],
    rules: Rules = None,
    config: Config = None,
    enable: Enable = None,
    disable: Disable = None,
) -> None:
    """Write the rule book: a static site that shows each rule, its card and what it rests on.

    It needs no server and no network: open index.html.
    """
    from cds.book.write import write_docs

    site = read_site(config, enable, disable)
    raise typer.Exit(write_docs(rules, site, out))


app.command()(feedback)
app.command()(serve)


@app.callback(invoke_without_command=True)
def _version(
    version: Annotated[
        bool, typer.Option("--version", help="Show the version and exit.", is_eager=True)
    ] = False,
) -> None:
    if version:
        import cds

        typer.echo(f"cds {cds.__version__}")
        raise typer.Exit(DONE)


def _leave(code: int) -> NoReturn:
    """Ends the process, and does not try to write again what could not be written."""
    with suppress(OSError):
        sys.stderr.flush()
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    sys.exit(code)


def main() -> None:
    """Runs the command line; no traceback ever reaches a user."""
    # A command keeps most of what it makes: garbage is looked for less often than by default.
    gc.set_threshold(50_000, 20, 50)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            # What the terminal's encoding does not have is written as its number.
            stream.reconfigure(errors="backslashreplace")
    try:
        app()
    except SystemExit as end:
        # Whoever reads the results has enough of them: that is no failure of an input.
        sys.exit(DONE if isinstance(end.__context__, BrokenPipeError) else end.code)
    except Stop as stop:
        sys.stderr.write(f"cds: {stop}\n")
        sys.exit(stop.code)
    except BrokenPipeError:
        sys.stderr.close()
        sys.exit(DONE)
    except KeyboardInterrupt:
        sys.stderr.write("cds: interrupted\n")
        sys.exit(130)
    except OSError as error:
        # A full disk, as a rule: what was to be read is told where it is read.
        named = f"{error.filename}: " if error.filename else ""
        sys.stderr.write(f"cds: {named}{(error.strerror or type(error).__name__).lower()}\n")
        _leave(UNUSABLE)
    except Exception as error:  # noqa: BLE001 - the last line of defence
        sys.stderr.write(f"cds: internal error ({type(error).__name__}); please report it\n")
        sys.exit(UNUSABLE)
