"""What `cds feedback` prints: acceptance and override by rule, reason and week."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from datetime import datetime

from rich.console import Console
from rich.table import Table
from rich.text import Text

from cds.cards.wire import encode
from cds.store.report import LEAST_DECISIONS, REVIEW_ABOVE, RuleFeedback, feedback_by_rule
from cds.store.store import Store

_WEEKS_SHOWN = 4
_REASONS_SHOWN = 3


def print_feedback(url: str, since: datetime | None, *, as_json: bool) -> None:
    """Prints what the store holds, a line a rule. Raises StoreError."""
    store = Store(url)
    try:
        found = feedback_by_rule(store, since)
    finally:
        store.close()
    if as_json:
        for entry in found.values():
            sys.stdout.write(encode(entry.as_json()).decode() + "\n")
        return
    console = Console(highlight=False)
    if not found:
        console.print("No card was answered, and no feedback came." + _since(since))
        return
    console.print(_table(found))
    flagged = [entry.rule for entry in found.values() if entry.needs_review]
    for rule in flagged:
        console.print(Text(f"! {rule} is overridden in more than {REVIEW_ABOVE:.0%} of decisions."))
    if not flagged:
        console.print(
            f"No rule with at least {LEAST_DECISIONS} decisions is overridden in more than"
            f" {REVIEW_ABOVE:.0%} of them."
        )


def _table(found: Mapping[str, RuleFeedback]) -> Table:
    table = Table(box=None, pad_edge=False)
    table.add_column("rule", overflow="fold")
    for name in ("answered", "accepted", "overridden", "override rate"):
        table.add_column(name, justify="right")
    table.add_column("reasons", overflow="fold")
    table.add_column("latest weeks (accepted/overridden)", overflow="fold")
    for entry in found.values():
        rate = entry.override_rate
        table.add_row(
            Text(entry.rule),
            str(entry.answered),
            str(entry.accepted),
            str(entry.overridden),
            "-" if rate is None else f"{rate:.0%}" + (" !" if entry.needs_review else ""),
            Text(_reasons(entry)),
            Text(_weeks(entry)),
        )
    return table


def _reasons(entry: RuleFeedback) -> str:
    most = entry.reasons.most_common(_REASONS_SHOWN)
    rest = sum(entry.reasons.values()) - sum(number for _, number in most)
    told = [f"{reason or 'no reason given'} {number}" for reason, number in most]
    return ", ".join([*told, f"others {rest}"] if rest else told)


def _weeks(entry: RuleFeedback) -> str:
    latest = sorted(entry.weeks.items())[-_WEEKS_SHOWN:]
    return ", ".join(
        f"{week} {counts['accepted']}/{counts['overridden']}" for week, counts in latest
    )


def _since(since: datetime | None) -> str:
    return f" (since {since.isoformat()})" if since else ""
