"""What an audit prints when it is done: a short table for people, or the summary's JSON."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
from rich.console import Console
from rich.table import Table
from rich.text import Text

from cds.audit.output import SCRATCH
from cds.audit.results import REPORT

if TYPE_CHECKING:
    from cds.audit.run import Options


def print_summary(content: bytes, options: Options, seconds: float | None) -> None:
    """Results to standard output, one closing line and the notes to standard error.

    Without ``seconds`` nothing was judged: all files were there already.
    """
    summary: dict[str, Any] = msgspec.json.decode(content)
    if options.as_json:
        sys.stdout.write(content.decode())
    else:
        _print_tables(summary)
    console = Console(stderr=True, highlight=False, emoji=False, soft_wrap=True)
    for note in options.notes:
        console.print(Text(f"note: {note}"))
    done = "" if seconds is None else f"judged in {seconds:.1f} s; "
    console.print(Text(f"{done}see {options.out / REPORT}; {_others(options.out)}"))


def _others(folder: Path) -> str:
    """The other files of a folder of results."""
    names = sorted(path.name for path in folder.iterdir() if path.name not in (REPORT, SCRATCH))
    return f"beside it: {', '.join(names)}"


def _print_tables(summary: dict[str, Any]) -> None:
    console = Console(highlight=False, emoji=False, width=None if sys.stdout.isatty() else 100)
    inputs, patients = summary["inputs"], summary["patients"]
    console.print(
        f"records: {_shown(inputs['records'])}, exports: {inputs['exports']}, "
        f"inputs that could not be read: {inputs['unreadable']}\n"
        f"{_judged(patients, summary['orders'])}\n"
        f"findings: {_shown(summary['findings'])}, cards: {_total(summary['cards'].values())}, "
        f"problems: {_total(n for kind in summary['problems'].values() for n in kind.values())}, "
        f"medications that could not be classified: "
        f"{_shown(summary['unclassified']['medications'])}"
    )
    rules = [rule for rule in summary["rules"] if (rule["fired"], rule["unknown"]) != (0, 0)]
    table = Table(box=None, pad_edge=False, header_style="bold")
    of_orders = summary["orders"] is not None
    table.add_column("rule, by orders" if of_orders else "rule", overflow="fold")
    for title in ("fired", "not fired", "unknown"):
        table.add_column(title, justify="right")
    for rule in sorted(rules, key=_rank):
        counts = (rule["fired"], rule["not_fired"], rule["unknown"])
        table.add_row(rule["rule"], *map(_shown, counts))
    if rules:
        console.print(table)
    quiet = len(summary["rules"]) - len(rules)
    if quiet:
        whom = "no order" if of_orders else "nobody"
        console.print(f"other rules, which fired for {whom} and are unknown for {whom}: {quiet}")
    if summary["suppressed"] is not None:
        console.print(f"{_shown(None)} {summary['suppressed']['note']}")


def _judged(patients: dict[str, Any], orders: dict[str, Any] | None) -> str:
    """What was judged, and what was not: patients, or orders with whose they are."""
    judged, dead = (_shown(patients[name]) for name in ("judged", "deceased_not_judged"))
    if orders is None:
        return f"patients judged: {judged}, deceased and not judged: {dead}"
    reasons = ", ".join(f"{count} {reason}" for reason, count in orders["not_judged"].items())
    return (
        f"orders judged, each at its own date: {orders['judged']}, patient deceased by then: "
        f"{orders['deceased_not_judged']}, not judged: {reasons or 'none'}\n"
        f"patients with a judged order: {judged}, with one after they had died: {dead}"
    )


def _rank(rule: dict[str, Any]) -> tuple[int, int, str]:
    """Rules that fired for most come first; what is suppressed counts as nothing."""
    return -(rule["fired"] or 0), -(rule["unknown"] or 0), rule["rule"]


def _total(counts: Iterable[int | None]) -> str:
    """The sum, unless a part of it is suppressed."""
    found = list(counts)
    return _shown(None if None in found else sum(count or 0 for count in found))


def _shown(count: int | None) -> str:
    return "–" if count is None else str(count)
