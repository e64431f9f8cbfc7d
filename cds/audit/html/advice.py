"""What a reader of the report does next, in order."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

from cds.audit.html.content import Ruled, added, say, unseen_types
from cds.audit.html.wording import Wording, wording
from cds.audit.outcome import NOT_JUDGED

_MOST_TYPES = 3


class Advice(msgspec.Struct, frozen=True):
    """Something to do; ``href`` where in the report."""

    text: str
    href: str


def advice(summary: Mapping[str, Any], rules: list[Ruled], unclear: list[Ruled]) -> list[Advice]:
    """What a reader should do; ``unclear`` are the rules that are undecided for somebody."""
    of = wording(summary)
    found = [
        *_about_inputs(summary, of),
        *_about_cards(summary),
        *_about_silence(summary, unclear, of),
    ]
    known = any(
        item.found and item.rule is not None and item.rule.false_positives for item in rules
    )
    if known:
        told = "Before a finding is counted as harm, read what its rule is known to get wrong:"
        found.append(Advice(told + " it stands with its evidence.", "#rules"))
    return found


def _about_inputs(summary: Mapping[str, Any], of: Wording) -> Iterator[Advice]:
    unreadable = summary["inputs"]["unreadable"]
    if unreadable != 0:
        told = f"Inputs or files that could not be read whole: {say(unreadable)}. What stands in"
        told += " them was not judged. Repair or export them again."
        yield Advice(f"{told}{_listed(summary)}", "#audited")
    errors = [summary["problems"].get(kind, {}).get("error", 0) for kind in NOT_JUDGED]
    if any(count != 0 for count in errors):
        told = f"Not judged for want of memory, or by a fault of this product: {say(added(errors))}"
        yield Advice(f"{told}. No number below speaks of them.{_listed(summary)}", "#completeness")
    if summary["problems"].get("disagreement"):
        told = f"The two engines disagree about {of.somebody}: report it, with the file of"
        yield Advice(f"{told} disagreements.", "#completeness")


def _about_cards(summary: Mapping[str, Any]) -> Iterator[Advice]:
    critical, warning = summary["cards"]["critical"], summary["cards"]["warning"]
    against = "the full record"
    if summary["orders"] is not None:
        against += ", as it was when the order was signed and as it went on,"
    if critical != 0:
        told = f"Begin with the critical cards ({say(critical)}): hold each against {against}"
        yield Advice(f"{told} and act by local protocol. They stand first.", "#patients")
    if warning != 0:
        told = f"Then review the warnings ({say(warning)}); the days that a rule asks about are"
        yield Advice(told + " shaded in the pictures.", "#patients")


def _about_silence(
    summary: Mapping[str, Any], unclear: list[Ruled], of: Wording
) -> Iterator[Advice]:
    if unclear:
        told = (
            f"Rules that could not be decided for {of.somebody}: {len(unclear)}. Their silence does"
        )
        told += " not mean that nothing is wrong."
        types = [f"{kind} ({say(count)})" for kind, count in unseen_types(summary)[:_MOST_TYPES]]
        if types:
            told += f" Not seen, with for how many {of.many}: {', '.join(types)}. Ask for an"
            told += " export that has them."
        yield Advice(told, "#completeness")
    medications = summary["unclassified"]["medications"]
    if medications != 0:
        told = (
            f"Medications that could not be classified: {say(medications)}. Give them a code or a"
        )
        yield Advice(f"{told} name.{_listed(summary)}", "#completeness")


def _listed(summary: Mapping[str, Any]) -> str:
    """Where they are told one by one; nowhere where small numbers are suppressed."""
    return "" if summary.get("suppressed") is not None else " problems.ndjson lists them."
