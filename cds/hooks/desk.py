"""Judges calls: bytes of a request in, bytes of an answer out. No HTTP here."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from zoneinfo import ZoneInfo

from msgspec.structs import replace

from cds.cards.answer import EXTENSION, response
from cds.cards.judge import Judged, Setting, judge, read_request
from cds.cards.wire import encode
from cds.chart.fields import Json
from cds.chart.request import patient_of
from cds.engine.finding import Review
from cds.engine.review import NOT_IN_TIME, evaluator
from cds.hooks.deadline import Deadline
from cds.hooks.discovery import Service
from cds.hooks.feedback import read_feedback
from cds.hooks.gaps import Gaps, find_gaps
from cds.hooks.keeper import Keeper
from cds.hooks.outcome import Outcome, Refused, outcomes
from cds.hooks.request import (
    check_patient,
    check_request,
    drafts_of,
    read_body,
    too_deep,
)
from cds.rulebook.model import Rulebook
from cds.store.store import StoreError
from cds.values.problem import Place, Problem, Severity

Clock = Callable[[], datetime]
"""Gives an aware instant; called once a call, so that one answer is about one moment."""


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer to one call: its status, its body, and what may be logged and counted of it.

    ``cards`` are rule and indicator of each; ``unknown`` each rule that was not decided, and why.
    ``late`` says that its time was over before everything was checked.
    """

    status: int
    body: bytes
    cards: tuple[tuple[str, str], ...] = ()
    unknown: tuple[tuple[str, tuple[str, ...]], ...] = ()
    late: bool = False


@dataclass(frozen=True, slots=True)
class Read:
    """A call that was read and checked, and waits to be judged; ``problems`` are told with it.

    ``fetching`` says how it went to ask for the Patient ("" where nobody did).
    """

    request: Json
    problems: tuple[Problem, ...] = ()
    fetching: str = ""


@dataclass(frozen=True, slots=True)
class Desk:
    """Answers calls by one rulebook. ``judging`` is off only to measure what judging costs;
    ``aside`` is shown each review that was answered, and must not wait; ``keeper`` remembers cards;
    ``allows`` says which FHIR servers may be asked for what did not come (None: none at all).
    """

    rulebook: Rulebook
    zone: ZoneInfo
    clock: Clock
    max_bytes: int
    judging: bool = True
    aside: Callable[[Review], None] | None = None
    keeper: Keeper | None = None
    allows: Callable[[str], bool] | None = None

    def reply(
        self,
        service: Service,
        body: bytes,
        encoding: str,
        deadline: Deadline,
        most_drafts: int | None = None,
    ) -> Reply | Gaps | Read:
        """The reply to a call; a refusal is a reply too. Raises only what is our own mistake.

        A call that something is missing for which can be asked for is given back with its gaps;
        one with more drafts than ``most_drafts`` is given back to be judged elsewhere.
        """
        try:
            request = read_body(body, encoding, self.max_bytes)
            if not self.judging:
                return _NOTHING
            check_request(request, service.hook)
            gaps = find_gaps(service, request, self.allows) if self.allows else None
            if gaps is not None and not gaps.refused:
                return gaps
            read = Read(request, _not_asked(gaps))
            if most_drafts is not None and drafts_of(request) > most_drafts:
                return read
            check_patient(request)
            return self._judged(service, read, deadline)
        except Refused as refused:
            return refusal(refused.outcome)
        except RecursionError:
            return refusal(too_deep().outcome)

    def reply_read(self, service: Service, read: Read, deadline: Deadline) -> Reply:
        """The reply to a call that was given back: its gaps are filled as far as they could be."""
        try:
            check_patient(read.request, read.fetching)
            return self._judged(service, read, deadline)
        except Refused as refused:
            return refusal(refused.outcome)
        except RecursionError:
            return refusal(too_deep().outcome)

    def reply_late(self, service: Service) -> Reply:
        """The reply to a call that nobody had the time to look at: no card, everything unknown."""
        kinds = [kind for kind in service.prefetch if kind != "patient"]
        verdicts = evaluator(self.rulebook).agendas(service.hook)
        told = {
            "rulebook": self.rulebook.digest,
            "pack": f"{self.rulebook.pack.id} {self.rulebook.pack.version}",
            "asOf": self.clock().astimezone(self.zone).isoformat(),
            "hook": service.hook,
            "coverage": dict.fromkeys(kinds, "unread"),
            "unknown": [{"rule": each.rule.id, "missing": [NOT_IN_TIME]} for each in verdicts],
            "problems": [{"what": "nothing was checked in time", "severity": "warning"}],
        }
        return Reply(200, encode({"cards": [], "extension": {EXTENSION: told}}), late=True)

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

    def _judged(self, service: Service, read: Read, deadline: Deadline) -> Reply:
        request, now = read.request, self.clock()
        setting = Setting(self.rulebook, now, self.zone, service.hook, stop=deadline.passed)
        if self.keeper is not None:
            patient = patient_of(request)
            setting = replace(setting, shown=self.keeper.shown(patient, service.hook, now))
        charts = read_request(request, service.id, setting)
        found = next(judge(charts, service.id, setting), None)
        if found is None:
            # Not what is wrong with the record: that would quote it.
            raise Refused(Outcome(400, "invalid", "nobody to judge", "a hook request"))
        late = any(problem.kind == "deadline" for problem in found.answer.review.problems)
        drawn = (item.finding for item in found.answer.drawn)
        reply = Reply(
            200,
            encode(self._wire(found, read.problems)),
            tuple((finding.rule.id, finding.indicator) for finding in drawn),
            tuple((verdict.rule.id, verdict.missing) for verdict in found.answer.unknown),
            late,
        )
        # What follows is for answers that are given: one that nobody waits for any more is none.
        if deadline.claim():
            if self.aside is not None and not late:
                self.aside(found.answer.review)
            if self.keeper is not None:
                self.keeper.keep(found, now)
        return reply

    def _wire(self, found: Judged, problems: Sequence[Problem]) -> dict[str, object]:
        """The response, with the problems of the record beside what was looked at."""
        wire = response(found.answer, self.rulebook).as_json()
        told = (*problems, *found.problems)
        if told:
            wire["extension"][EXTENSION]["problems"] = [_told(item) for item in told]
        return wire


_NOTHING = Reply(200, b'{"cards":[]}')


def refusal(outcome: Outcome) -> Reply:
    """The reply that carries an outcome."""
    return Reply(outcome.status, outcome.body())


def _not_asked(gaps: Gaps | None) -> tuple[Problem, ...]:
    if gaps is None:
        return ()
    return (Problem(Place(), gaps.refused, "", "fetch", Severity.WARNING),)


def _told(problem: Problem) -> dict[str, str]:
    """A problem for the client: which resource, what is wrong, what would be accepted."""
    told = {
        "resource": problem.where.resource,
        "what": problem.what,
        "accepted": problem.accepted,
        "severity": problem.severity.value,
    }
    return {name: text for name, text in told.items() if text}
