"""The child process that owns durable-rules: rows in, conclusions out, over a pipe.

The one module that imports the library. It holds one fixed session, one patient at a time, and
deletes the session after each. Facts are added one by one, never as a batch (which loses matches);
each has a small whole number as its id, since the library compares ids by a 32-bit hash.
"""

from __future__ import annotations

import os
import sys
from typing import Any

import msgspec
from durable.engine import MessageNotHandledException, Ruleset

from cds.second.frame import read_frame, write_frame
from cds.second.wiring import Job, Reply, Rule, Wiring

_SESSION = 1
_OPENING = 0
"""The table of the first fact of every session; the network's own begin with 1."""

Row = tuple[int, tuple[int, ...]]


class Owner:
    """The rulesets of one rulebook, ready for patients."""

    def __init__(self, wiring: Wiring) -> None:
        self._routes = wiring.routes
        self._outputs = frozenset(wiring.outputs)
        self._found: dict[Row, None] = {}
        self._open: list[Row] = []
        self._errors: list[str] = []
        self._next = 0
        # Without the library's Host: its timer threads would share the rulesets with this one.
        self._rulesets = [
            Ruleset(f"s{number}", None, {**self._opening(), **self._all(rules)})
            for number, rules in enumerate(wiring.rulesets)
        ]

    def _all(self, rules: dict[str, Rule]) -> dict[str, Any]:
        return {name: self._defined(rule) for name, rule in rules.items()}

    def _opening(self) -> dict[str, Any]:
        """A rule that fires for the first fact of every session.

        To delete a session in which no rule has fired ends the process (a segmentation fault).
        """
        return {"open": {"all": [{"m0": {"n": _OPENING}}], "run": lambda _: None}}

    def _defined(self, rule: Rule) -> dict[str, Any]:
        found: dict[str, Any] = {"all": rule.conditions, "run": self._action(rule)}
        return {**found, "count": rule.count} if rule.count > 1 else found

    def _action(self, rule: Rule) -> Any:
        table, arguments = rule.table, rule.arguments

        def conclude(match: Any) -> None:
            # A rule fires once for each way in which it matches: what follows is one row.
            try:
                row = table, tuple(getattr(match, pattern)[name] for pattern, name in arguments)
            except Exception as error:  # noqa: BLE001 - the library would swallow it
                self._errors.append(type(error).__name__)
                return
            if row not in self._found:
                self._found[row] = None
                self._open.append(row)

        return conclude

    def judge(self, job: Job) -> Reply:
        """What follows from the rows of one patient."""
        self._found.clear()
        self._open.clear()
        self._errors.clear()
        self._next = 0
        touched: set[int] = set()
        try:
            for table, facts, columns in job.rows:
                self._add(table, facts, columns, touched)
                while self._open:
                    self._add(*self._open.pop(), (), touched)
        finally:
            for number in touched:
                self._rulesets[number].delete_state(_SESSION)
        if self._errors:
            return Reply([], ", ".join(sorted(set(self._errors))))
        told = [row for row in self._found if job.traced or row[0] in self._outputs]
        return Reply(told)

    def _add(
        self, table: int, facts: tuple[int, ...], columns: tuple[int, ...], touched: set[int]
    ) -> None:
        heard = self._routes.get(table)
        if heard is None:
            return
        fact = {"n": table, **dict(zip("abcd", facts, strict=False))}
        fact |= {f"p{number}": value for number, value in enumerate(columns)}
        for number in heard:
            if number not in touched:
                touched.add(number)
                self._assert(number, {"n": _OPENING})
            self._assert(number, fact)

    def _assert(self, number: int, fact: dict[str, int]) -> None:
        self._next += 1
        ruleset = self._rulesets[number]
        try:
            state = ruleset.assert_fact({"sid": _SESSION, "id": self._next, **fact})
        except MessageNotHandledException:
            return  # no rule of the set can ever match it: normal, and it is not kept
        ruleset.do_actions(state, self._done)

    def _done(self, error: Any, _state: Any) -> None:
        if error:
            self._errors.append(type(error).__name__)


def main() -> None:
    """Serves until the pipe is closed. The first frame is the wiring, each other one a patient."""
    source, sink = sys.stdin.buffer, os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # whatever the library prints is no part of an answer
    first = read_frame(source)
    if first is None:
        return
    owner = Owner(msgspec.msgpack.decode(first, type=Wiring))
    write_frame(sink, msgspec.msgpack.encode(Reply()))
    jobs = msgspec.msgpack.Decoder(Job)
    while (frame := read_frame(source)) is not None:
        try:
            reply = owner.judge(jobs.decode(frame))
        except Exception as error:  # noqa: BLE001 - the parent is told, and starts another child
            reply = Reply([], type(error).__name__)
        write_frame(sink, msgspec.msgpack.encode(reply))


if __name__ == "__main__":
    main()
