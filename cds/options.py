"""Options that commands share, and what they mean. The only place that reads a clock."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from zoneinfo import ZoneInfo

    from cds.audit.spark.session import Target
    from cds.cards.judge import Setting
    from cds.rulebook.model import Rulebook
    from cds.rulebook.site import Site
    from cds.second.opinion import Engine
    from cds.values.problem import Problem

UNUSABLE = 2
_EVERY_ORDER_ON = "order-sign"
# Years of whose days there are some before and some after.
_FIRST_YEAR, _LAST_YEAR = 1900, 2200

Paths = Annotated[
    list[str],
    typer.Argument(
        help="File, folder, glob or - for standard input; .gz is read.", metavar="PATH…"
    ),
]
Rules = Annotated[
    Path | None, typer.Option("--rules", help="Folder of the rule pack [default: the shipped one].")
]
Config = Annotated[
    Path | None, typer.Option("--config", help="Site configuration: time zone, parameters, groups.")
]
Enable = Annotated[
    list[str] | None, typer.Option(help="Rule id, group or tag to switch on; may repeat.")
]
Disable = Annotated[
    list[str] | None, typer.Option(help="Rule id, group or tag to switch off; may repeat.")
]
AsOf = Annotated[
    str | None,
    typer.Option("--as-of", help="Judge as of this instant, ISO 8601 with offset [default: now]."),
]
Zone = Annotated[
    str | None,
    typer.Option(
        "--timezone",
        help="Site time zone, such as Europe/Vienna [default: the configuration's, else UTC].",
    ),
]
HookName = Annotated[
    str | None,
    typer.Option(
        "--hook",
        help="Hook to judge for"
        " [default: the request's; order-sign with drafts; else patient-view].",
    ),
]
PatientId = Annotated[str | None, typer.Option("--patient", help="Judge only this patient id.")]
EngineName = Annotated[
    str,
    typer.Option(
        "--engine", help="reference, durable, or both: judge by both and compare.", metavar="ENGINE"
    ),
]
Format = Annotated[str, typer.Option("--format", help="text or json (one line per patient).")]

# -- of an audit -----------------------------------------------------------------------------------

Inputs = Annotated[
    list[str],
    typer.Argument(
        help="Bundles, arrays or NDJSON of records, or the folder of a Bulk Data export;"
        " file, folder, glob or -; .gz is read.",
        metavar="INPUT…",
    ),
]
Out = Annotated[
    Path,
    typer.Option("--out", help="Folder for the files; empty or new, or with --resume as it is."),
]
Workers = Annotated[
    int | None,
    typer.Option(
        "--workers", min=1, help="Processes of this machine [default: one a core]; not with --on."
    ),
]
AuditHook = Annotated[
    str | None,
    typer.Option(
        "--hook",
        help="Hook to judge for [default: audit; order-sign with --every order].",
        show_default=False,
    ),
]
Every = Annotated[
    str | None,
    typer.Option(
        "--every",
        help="order: judge each order as a draft at its own date, with what was known then;"
        " counts are of orders then.",
        metavar="KIND",
    ),
]
Csv = Annotated[bool, typer.Option("--csv", help="Write findings.csv and summary.csv too.")]
Suppress = Annotated[
    int | None,
    typer.Option(
        "--suppress",
        min=2,
        metavar="N",
        help="For passing on: counts below N are left out, with those they would follow from,"
        " and so is every file about single patients; not with --every.",
    ),
]
AuditFormat = Annotated[
    str, typer.Option("--format", help="text, or json (the content of summary.json).")
]
Memory = Annotated[
    str | None,
    typer.Option(
        "--memory",
        help="Memory to keep within, such as 2G [default: half of what there is].",
        metavar="SIZE",
    ),
]
Resume = Annotated[
    bool, typer.Option("--resume", help="Go on with an audit into --out that ended early.")
]
On = Annotated[
    str | None,
    typer.Option(
        "--on",
        help="Cluster of Spark to judge on, with the same files out: spark://HOST:PORT, yarn,"
        " k8s://URL, local[N].",
        metavar="MASTER",
    ),
]
SparkConf = Annotated[
    list[str] | None,
    typer.Option(
        "--spark-conf", help="Setting of Spark, with --on; may repeat.", metavar="NAME=VALUE"
    ),
]


class Stop(Exception):
    """Ends the command with a message and an exit code; raised nowhere but here."""

    def __init__(self, message: str, code: int = UNUSABLE) -> None:
        super().__init__(message)
        self.code = code


def now() -> datetime:
    """The moment, in UTC."""
    return datetime.now(UTC)


def read_site(config: Path | None, enable: list[str] | None, disable: list[str] | None) -> Site:
    """The site's configuration with what the command line switches; raises Stop."""
    from dataclasses import replace

    from cds.rulebook.pack import load_site
    from cds.rulebook.site import Site

    problems: list[Problem] = []
    site = load_site(config, problems) if config is not None else Site()
    if problems:
        raise Stop("\n".join(problem.render() for problem in sorted(problems)))
    return replace(
        site, enable=(*site.enable, *(enable or ())), disable=(*site.disable, *(disable or ()))
    )


def read_rulebook(rules: Path | None, site: Site) -> Rulebook:
    """The rulebook of the pack, bound to the site; raises Stop with every error of the author's."""
    from cds.rulebook.pack import RulebookError, load_rulebook, shipped_pack

    try:
        return load_rulebook(rules or shipped_pack(), site)
    except RulebookError as error:
        lines = [problem.render() for problem in error.problems]
        raise Stop("\n".join([*lines, f"the rules cannot be used: {error}"])) from error


def _zone(name: str | None, site: Site) -> ZoneInfo:
    from cds.values.moment import zone

    try:
        return zone(name or site.timezone or "UTC")
    except ValueError as error:
        raise Stop(f"--timezone: {error}") from error


def read_moment(text: str, site_zone: ZoneInfo, option: str) -> datetime:
    """The instant that an option names; raises Stop."""
    from cds.values.moment import read_instant

    try:
        moment = read_instant(text, site_zone)
    except ValueError as error:
        raise Stop(f"{option}: {error}") from error
    if not _FIRST_YEAR <= moment.year <= _LAST_YEAR:
        raise Stop(f"{option}: '{text}' is no year to judge in; accepted: 1900 to 2200")
    return moment


def read_setting(
    rules: Path | None,
    config: Path | None,
    enable: list[str] | None,
    disable: list[str] | None,
    as_of: str | None,
    timezone: str | None,
    hook: str | None,
    patient: str | None,
    engine: str = "reference",
) -> tuple[Setting, list[str]]:
    """What to judge by, and notes for people (a zone that was assumed)."""
    from cds.cards.judge import Setting
    from cds.rulebook.rules import HOOKS

    site = read_site(config, enable, disable)
    if hook is not None and hook not in HOOKS:
        raise Stop(f"--hook: '{hook}' is no hook; accepted: {', '.join(HOOKS)}")
    site_zone = _zone(timezone, site)
    assumed = timezone is None and not site.timezone
    notes = ["no time zone is configured: days are counted in UTC"] if assumed else []
    moment = (
        now().astimezone(site_zone) if as_of is None else read_moment(as_of, site_zone, "--as-of")
    )
    rulebook = read_rulebook(rules, site)
    chosen = read_engine(engine, rulebook)
    return Setting(rulebook, moment, site_zone, hook or "", patient or "", chosen), notes


def read_every(name: str | None, hook: str | None, setting: Setting) -> Setting:
    """The setting of an audit that judges everything of a kind by itself; raises Stop."""
    from msgspec.structs import replace

    from cds.cards.judge import EVERY

    if name is None:
        return setting
    every = next((each for each in EVERY if each == name), None)
    if every is None:
        raise Stop(f"--every: '{name}' is not accepted; accepted: {', '.join(EVERY)}")
    if hook not in (None, _EVERY_ORDER_ON):
        raise Stop(
            f"--hook: with --every order each is judged as when it was signed, not on {hook};"
            f" accepted: {_EVERY_ORDER_ON}"
        )
    return replace(setting, every=every, hook=_EVERY_ORDER_ON)


def read_memory(text: str | None) -> int:
    """The bytes that an option names, 0 for none; raises Stop."""
    from cds.audit.memory import read_size

    try:
        return read_size(text) if text is not None else 0
    except ValueError as error:
        raise Stop(f"--memory: {error}") from error


def read_target(
    on: str | None, conf: list[str] | None, workers: int | None, rules: Path | None, site: Site
) -> Target | None:
    """The cluster that an audit runs on, if one is named; raises Stop for what cannot be one."""
    if on is None:
        if conf:
            raise Stop("--spark-conf: there is no cluster to set it for; accepted: with --on")
        return None
    from cds.audit.output import AuditError
    from cds.audit.spark.session import Target, check_target
    from cds.rulebook.pack import shipped_pack

    if workers is not None:
        raise Stop("--workers: are processes of this machine; accepted: without --on")
    target = Target(on, rules or shipped_pack(), site, tuple(conf or ()))
    try:
        check_target(target)
    except AuditError as error:
        raise Stop(str(error)) from error
    return target


def read_engine(name: str, rulebook: Rulebook) -> Engine:
    """The engine of that name, if it can judge the rulebook."""
    from cds.second.opinion import ENGINES, durable
    from cds.second.problem import EngineError

    found = next((engine for engine in ENGINES if engine == name), None)
    if found is None:
        raise Stop(f"--engine: '{name}' is not accepted; accepted: {', '.join(ENGINES)}")
    if found != "reference":
        try:
            durable(rulebook)
        except EngineError as error:
            raise Stop(str(error)) from error
    return found


def check_choice(value: str, allowed: tuple[str, ...], option: str) -> None:
    """Raises Stop, with what is accepted, for a value that is not."""
    if value not in allowed:
        raise Stop(f"{option}: '{value}' is not accepted; accepted: {', '.join(allowed)}")
