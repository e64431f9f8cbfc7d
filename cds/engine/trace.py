"""Why a rule fired, did not, or is unknown: a tree of what was judged."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from cds.values.truth import Truth


class Step(msgspec.Struct, frozen=True):
    """One clause: its words, its truth, the resources and values behind it, what is missing."""

    text: str
    truth: Truth
    steps: tuple[Step, ...] = ()
    sources: tuple[str, ...] = ()
    values: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()

    def walk(self) -> Iterator[Step]:
        yield self
        for step in self.steps:
            yield from step.walk()

    def reasons(self) -> tuple[str, ...]:
        """Everything that is missing anywhere below, each once."""
        return tuple(dict.fromkeys(reason for step in self.walk() for reason in step.missing))

    def why_unknown(self) -> tuple[str, ...]:
        """What is missing; where nobody can say, the clauses themselves that are open."""
        open_ones = (step.text for step in self.walk() if _is_open_end(step))
        return self.reasons() or tuple(
            f"cannot be told: {text}" for text in dict.fromkeys(open_ones)
        )

    def as_json(self) -> dict[str, object]:
        """The tree as plain data; what is empty is left out."""
        found: dict[str, object] = {"clause": self.text, "truth": self.truth.label}
        if self.sources:
            found["resources"] = list(self.sources)
        if self.values:
            found["values"] = list(self.values)
        if self.missing:
            found["missing"] = list(self.missing)
        if self.steps:
            found["clauses"] = [step.as_json() for step in self.steps]
        return found


def _is_open_end(step: Step) -> bool:
    return step.truth is Truth.UNKNOWN and all(
        inner.truth is not Truth.UNKNOWN for inner in step.steps
    )
