"""Judges calls: bytes of a request in, bytes of an answer out. No HTTP here."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from zoneinfo import ZoneInfo

from msgspec.structs import replace

from cds.cards.answer import EXTENSION, response
from cds.cards.judge import Judged, Setting, judge, read_request
from cds.cards.wire import encode
from cds.chart.fields import Json
from cds.engine.finding import Review
from cds.hooks.discovery import Service
from cds.hooks.feedback import read_feedback
from cds.hooks.keeper import Keeper
from cds.hooks.outcome import Outcome, Refused, outcomes
from cds.hooks.request import check_request, patient_of, read_body, too_deep
from cds.rulebook.model import Rulebook
from cds.store.store import StoreError
from cds.values.problem import Problem

Clock = Callable[[], datetime]
"""Gives an aware instant; called once a call, so that one answer is about one moment."""


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer to one call: its status, its body, and what may be logged of it."""

    status: int
    body: bytes
    rules: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Desk:
    """Answers calls by one rulebook. ``judging`` is off only to measure what judging costs;
    ``aside`` is shown each review that was answered, and must not wait; ``keeper`` remembers cards.
    """

    rulebook: Rulebook
    zone: ZoneInfo
    clock: Clock
    max_bytes: int
    judging: bool = True
    aside: Callable[[Review], None] | None = None
    keeper: Keeper | None = None

    def reply(self, service: Service, body: bytes, encoding: str) -> Reply:
        """The reply to a call; a refusal is a reply too. Raises only what is our own mistake."""
        try:
            request = read_body(body, encoding, self.max_bytes)
            return self._judged(service, request) if self.judging else _NOTHING
        except Refused as refused:
            return refusal(refused.outcome)
        except RecursionError:
            return refusal(too_deep().outcome)

    def take_feedback(self, service: Service, body: bytes, encoding: str) -> Reply:
        """Stores what clinicians did with cards: 200 once it is stored, 503 if it cannot be."""
        try:
            entries, refused = read_feedback(read_body(body, encoding, self.max_bytes), service.id)
            if self.keeper is None:
                what = "this service has no store, so feedback is not accepted"
                return refusal(Outcome(501, "not-supported", what))
            self.keeper.add_feedback(entries)
        except Refused as error:
            return refusal(error.outcome)
        except RecursionError:
            return refusal(too_deep().outcome)
        except StoreError:
            what = "feedback cannot be stored at the moment, and nothing of it was"
            return refusal(Outcome(503, "transient", what, "the same call a little later"))
        return Reply(200, outcomes(refused) if refused else b"{}")

    def _judged(self, service: Service, request: Json) -> Reply:
        check_request(request, service.hook)
        now = self.clock()
        setting = Setting(self.rulebook, now, self.zone, service.hook)
        if self.keeper is not None:
            patient = patient_of(request)
            setting = replace(setting, shown=self.keeper.shown(patient, service.hook, now))
        charts = read_request(request, service.id, setting)
        found = next(judge(charts, service.id, setting), None)
        if found is None:
            # Not what is wrong with the record: that would quote it.
            raise Refused(Outcome(400, "invalid", "nobody to judge", "a hook request"))
        if self.aside is not None:
            self.aside(found.answer.review)
        if self.keeper is not None:
            self.keeper.keep(found, now)
        rules = tuple(item.finding.rule.id for item in found.answer.drawn)
        return Reply(200, encode(self._wire(found)), rules)

    def _wire(self, found: Judged) -> dict[str, object]:
        """The response, with the problems of the record beside what was looked at."""
        wire = response(found.answer, self.rulebook).as_json()
        if found.problems:
            wire["extension"][EXTENSION]["problems"] = [_told(item) for item in found.problems]
        return wire


_NOTHING = Reply(200, b'{"cards":[]}')


def refusal(outcome: Outcome) -> Reply:
    """The reply that carries an outcome."""
    return Reply(outcome.status, outcome.body())


def _told(problem: Problem) -> dict[str, str]:
    """A problem for the client: which resource, what is wrong, what would be accepted."""
    told = {
        "resource": problem.where.resource,
        "what": problem.what,
        "accepted": problem.accepted,
        "severity": problem.severity.value,
    }
    return {name: text for name, text in told.items() if text}
