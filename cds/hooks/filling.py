"""One gap as it is filled: pages that came, how it went, and the prefetch value that it gives."""

from __future__ import annotations

from typing import Literal

import httpx

from cds.chart.fields import Json, as_object, as_text, code_of, objects
from cds.chart.intake import SHARED_TYPES, owners_of
from cds.chart.references import Index
from cds.hooks.gaps import Gap, is_refusal
from cds.values.problem import Place, Problem, Severity

FetchOutcome = Literal["fetched", "forbidden", "failed", "truncated", "late", "not-allowed"]
FETCH_OUTCOMES: tuple[FetchOutcome, ...] = (
    "fetched", "forbidden", "failed", "truncated", "late", "not-allowed",
)  # fmt: skip

# FHIR R4, IssueType: how what could not be had is told to the reader of prefetch values.
_ISSUES = {"forbidden": "forbidden", "late": "timeout"}
_NEXT = [{"relation": "next", "url": "not fetched"}]


class Filling:
    """What came for one gap so far. ``outcome`` is "" as long as it is not over."""

    def __init__(self, gap: Gap, patient: str, base: str) -> None:
        self.gap, self.outcome, self.why, self.seconds = gap, "", "", 0.0
        self._patient, self._base = patient, httpx.URL(base)
        self._entries: list[Json] = []
        self._index = Index()
        self._strangers = self._lied = False
        self._found: Json | None = None

    def start(self) -> str:
        """The address to begin at: the query's, or that of the page after the one that came."""
        came = self.gap.came
        if came is not None and came.get("resourceType") == "Bundle":
            self._entries += objects(came.get("entry"))
            return self._next(came, self._base)
        return f"{self._base}/{self.gap.query}"

    def end(self, outcome: FetchOutcome, why: str = "") -> str:
        """It is over; "", since there is no further address."""
        if self._entries and outcome != "fetched":
            outcome = "truncated"
        self.outcome, self.why = outcome, why
        return ""

    def _lie(self, why: str) -> str:
        """The answer is not one to what was asked: what came of it is judged, and not relied on."""
        self._lied, self.outcome, self.why = True, "failed", why
        return ""

    def take(self, status: int, root: object, address: str) -> str:
        """Takes an answer (decoded; None where it is no JSON); the next page's address, or ""."""
        if status in (401, 403):
            return self.end("forbidden", f"the FHIR server answers {status}")
        if status != 200:
            return self.end("failed", f"the FHIR server answers {status}")
        answer = as_object(root)
        kind = answer.get("resourceType")
        if kind == "OperationOutcome":
            self._found = answer
            state: FetchOutcome = "forbidden" if is_refusal(answer) else "failed"
            return self.end(state, "the FHIR server answers with an OperationOutcome")
        if "?" not in self.gap.query:
            return self._take_one(answer)
        if kind != "Bundle":
            return self.end("failed", "the FHIR server answers with no Bundle")
        return self._take_page(answer, address)

    def _take_one(self, answer: Json) -> str:
        kind, name = self.gap.query.split("/", 1)
        if answer.get("resourceType") != kind or as_text(answer.get("id")) != name:
            return self.end("failed", f"the FHIR server answers with another {kind}, or none")
        self._found = answer
        return self.end("fetched")

    def _take_page(self, page: Json, address: str) -> str:
        for entry in objects(page.get("entry")):
            kind = as_text(as_object(entry.get("resource")).get("resourceType"))
            if kind in (self.gap.kind, "OperationOutcome") or kind in SHARED_TYPES:
                self._entries.append(entry)
                self._strangers = self._strangers or self._is_strange(as_object(entry["resource"]))
            elif code_of(as_object(entry.get("search")).get("mode")) != "include":
                return self._lie("the FHIR server answers with another type")
        further = self._next(page, httpx.URL(address))
        if further or self.outcome:
            return further
        if self._strangers:
            return self._lie("the FHIR server answers about somebody else")
        return self.end("fetched")

    def _is_strange(self, resource: Json) -> bool:
        owners = (
            [] if resource["resourceType"] in SHARED_TYPES else owners_of(resource, self._index)
        )
        return bool(owners) and f"Patient/{self._patient}" not in owners

    def _next(self, page: Json, address: httpx.URL) -> str:
        """The address of the next page, "" without one; one that lies elsewhere ends it."""
        links = [
            link for link in objects(page.get("link")) if code_of(link.get("relation")) == "next"
        ]
        if not links:
            return ""
        try:
            found = address.join(as_text(links[0].get("url")))
        except (httpx.InvalidURL, ValueError):
            return self.end("truncated", "the next page has no address")
        inside = found.path == self._base.path or found.path.startswith(f"{self._base.path}/")
        places = ("scheme", "host", "port", "userinfo")
        same = all(getattr(found, name) == getattr(self._base, name) for name in places)
        if not (inside and same) or ".." in found.path.split("/"):
            return self.end("truncated", "the next page lies outside of fhirServer")
        return str(found)

    # -- what it gives ----------------------------------------------------------------------

    def value(self) -> Json:
        """What stands in the prefetch from now on, as a client would have sent it."""
        if self._found is not None and not self._entries:
            return self._found
        if self.outcome in ("fetched", "truncated") or self._lied:
            return self._bundle()
        own = _outcome(_ISSUES.get(self.outcome, "transient"))
        return own if self.outcome == "forbidden" else self.gap.came or own

    def _bundle(self) -> Json:
        entries = list(self._entries)
        if self._lied:
            entries.append({"resource": _outcome("exception")})
        links = {"link": _NEXT} if self.outcome == "truncated" else {}
        return {"resourceType": "Bundle", "type": "searchset", "entry": entries, **links}

    def problem(self) -> Problem | None:
        """What is to be told of a gap that was not filled; None for one that was."""
        if self.outcome == "fetched":
            return None
        how = "came in part" if self.outcome == "truncated" else "could not be fetched"
        what = f"{self.gap.kind} {how}: {self.why or 'it did not come in time'}"
        return Problem(Place(resource=self.gap.kind), what, "", "fetch", Severity.WARNING)


def _outcome(code: str) -> Json:
    return {"resourceType": "OperationOutcome", "issue": [{"severity": "error", "code": code}]}
