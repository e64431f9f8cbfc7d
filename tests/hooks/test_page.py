"""The page at `/` over HTTP: what it shows, to whom, and that nothing in it can do anything else."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from datetime import date, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from cds.book.annex import book_pages, requests_to_try
from cds.hooks.annex import Annex, moved
from cds.hooks.app import Options
from cds.hooks.discovery import services
from cds.hooks.page import ASSETS, Page
from cds.hooks.settings import Issuer, Settings
from cds.rulebook.site import Site
from tests.book.pages import Html
from tests.hooks.ehr import Ehr
from tests.records import AS_OF, CONTRAST, ZONE, rulebook

NOW = AS_OF + timedelta(days=100)
ANNEX = Annex(partial(book_pages, CONTRAST, Site()), partial(requests_to_try, CONTRAST, Site()))
SIGN = "contrast-order-sign"


# Made in another process, where it fails with a text that is nobody's business.
BROKEN = Annex(partial(int, "other words of a record"), partial(int, "p1"))  # type: ignore[arg-type]


def ehr_with(url: str = "", annex: Annex | None = None) -> Ehr:
    return Ehr(CONTRAST, Options(Settings(store=url), annex=annex), NOW)


@pytest.fixture(scope="module")
def ehr(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ehr]:
    """A service with its store, rule book and examples, each made once."""
    found = ehr_with(f"sqlite:///{tmp_path_factory.mktemp('store') / 'store.sqlite'}", ANNEX)
    yield found
    found.app.state.parts.keeper.close()


@pytest.fixture
def stored(tmp_path: Path) -> Iterator[Ehr]:
    found = ehr_with(f"sqlite:///{tmp_path / 'store.sqlite'}")
    yield found
    found.app.state.parts.keeper.close()


def page_of(answer: httpx.Response, tmp_path: Path) -> Html:
    path = tmp_path / "page.html"
    path.write_bytes(answer.content)
    return Html(path)


def assert_guarded(answer: httpx.Response) -> None:
    """Fails unless the browser is told to run and load nothing but what is ours."""
    policy = dict(
        part.strip().split(" ", 1) for part in answer.headers["content-security-policy"].split(";")
    )
    assert policy["default-src"] == "'none'"
    assert {policy[name] for name in ("script-src", "style-src", "connect-src", "img-src")} == {"'self'"}  # fmt: skip
    assert {policy[name] for name in ("base-uri", "form-action", "frame-ancestors")} == {"'none'"}
    assert answer.headers["x-content-type-options"] == "nosniff"


# -- the page ------------------------------------------------------------------------------------------


def test_the_page_says_what_it_is_and_is_well_formed(ehr: Ehr, tmp_path: Path) -> None:
    answer = ehr.send("GET", "/")
    assert answer.status_code == 200
    assert_guarded(answer)
    page = page_of(answer, tmp_path)
    assert page.faults == []
    for words in ("order-sign when orders are about to be signed", rulebook(CONTRAST).digest,
                  f"POST cds-services/{SIGN}", "are not checked by this service"):  # fmt: skip
        assert words in page.text
    for rule in rulebook(CONTRAST).rules:
        assert rule.title in page.text
    assert all(f'id="{name}"' in answer.text for name in ("hooks", "try", "feedback", "health"))


def test_what_the_page_loads_and_links_to_is_there(ehr: Ehr, tmp_path: Path) -> None:
    page = page_of(ehr.send("GET", "/"), tmp_path)
    loaded = [name for name in page.loaded if not name.startswith("#")]
    assert sorted(loaded) == sorted(f"page/{name}" for name in ASSETS)
    for name in loaded:
        answer = ehr.send("GET", f"/{name}")
        assert (answer.status_code, answer.headers["content-type"]) == (
            200, f"{ASSETS[name.removeprefix('page/')]}; charset=utf-8",
        )  # fmt: skip
        assert_guarded(answer)
    for link in {link.partition("#")[0] for link in page.links} - {""}:
        assert ehr.send("GET", f"/{link}").status_code == 200, link
    assert ehr.send("GET", "/page/other.js").status_code == 404


def test_every_field_has_a_label(ehr: Ehr) -> None:
    text = ehr.send("GET", "/").text
    for name in ("example", "service", "request"):
        assert f'for="{name}"' in text
        assert f'id="{name}"' in text


# -- feedback ------------------------------------------------------------------------------------------


def said(card: str, outcome: str, day: int = 0, reason: str = "") -> dict[str, Any]:
    moment = (NOW - timedelta(days=day)).isoformat()
    entry: dict[str, Any] = {"card": card, "outcome": outcome, "outcomeTimestamp": moment}
    if reason:
        entry["overrideReason"] = {"reason": {"code": reason}}
    return entry


def told(ehr: Ehr, *entries: dict[str, Any]) -> None:
    answer = ehr.send("POST", f"/cds-services/{SIGN}/feedback", json={"feedback": entries})
    assert answer.status_code == 200, answer.text


def test_a_rule_that_is_overridden_too_often_is_flagged(stored: Ehr, tmp_path: Path) -> None:
    told(stored, *(said(f"c{number}", "overridden", 7, "known") for number in range(9)))
    told(stored, said("c9", "accepted"))
    page = page_of(stored.send("GET", "/page/feedback"), tmp_path)
    assert page.faults == []
    assert "To be looked at: overridden in more than 80 % of at least 10 decisions: unknown" in page.text  # fmt: skip
    assert "look 90 %" in page.text
    assert "known 9" in page.text
    text = stored.send("GET", "/page/feedback").text
    assert 'aria-label="unknown: 1 accepted, 9 overridden"' in text
    assert '<rect class="overridden" x="10.00" width="90.00" height="10"/>' in text
    assert "2026-W37 0 9 2026-W38 1 0" in page.text


def test_eighty_percent_and_few_decisions_are_not_flagged(stored: Ehr, tmp_path: Path) -> None:
    told(stored, *(said(f"c{number}", "overridden") for number in range(8)))
    told(stored, said("c8", "accepted"), said("c9", "accepted"))
    page = page_of(stored.send("GET", "/page/feedback"), tmp_path)
    assert "No rule with at least 10 decisions is overridden in more than 80 % of them" in page.text
    assert "80 %" in page.text
    assert "To be looked at" not in page.text


def test_what_a_client_wrote_stays_text(stored: Ehr) -> None:
    told(stored, said("c1", "overridden", reason="<script>alert(1)</script>"))
    text = stored.send("GET", "/page/feedback").text
    assert "<script" not in text
    assert "&lt;script&gt;alert(1)" in text


def test_feedback_older_than_half_a_year_is_not_drawn(stored: Ehr) -> None:
    told(stored, said("c1", "overridden", 200))
    assert "no feedback came, in the last 26 weeks" in stored.send("GET", "/page/feedback").text


def test_a_store_that_is_down_or_none_is_told_and_the_page_is_there(tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("not a folder")
    down = ehr_with(f"sqlite:///{blocked}/store.sqlite")
    answer = down.send("GET", "/page/feedback")
    assert (answer.status_code, "cannot be reached" in answer.text) == (503, True)
    assert down.send("GET", "/").status_code == 200
    down.app.state.parts.keeper.close()
    none = ehr_with().send("GET", "/page/feedback")
    assert (none.status_code, "keeps no feedback" in none.text) == (503, True)


def test_where_callers_are_checked_figures_are_not_shown_and_a_token_is_asked_for() -> None:
    issuers = (Issuer("https://ehr.example.org", jku="https://ehr.example.org/jwks.json"),)
    settings = Settings(public_url="https://cds.example.org", issuers=issuers)
    app = FastAPI()
    book = rulebook(CONTRAST)
    # The page alone: what lets callers in stands before it.
    Page(book, ZONE, services(book), settings, lambda: NOW).add_to(app)

    async def get(path: str) -> httpx.Response:
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://cds.test") as client:
            return await client.get(path)

    answer = asyncio.run(get("/page/feedback"))
    assert (answer.status_code, "cds feedback" in answer.text) == (403, True)
    page = asyncio.run(get("/")).text
    assert 'data-audience="https://cds.example.org"' in page
    assert 'for="token"' in page
    assert "each call needs a signed token" in page


# -- examples and the rule book ------------------------------------------------------------------------


def test_examples_are_answered_as_their_scenarios_say_on_any_day(ehr: Ehr) -> None:
    listed = ehr.send("GET", "/page/examples").json()
    assert {item["rule"] for item in listed} <= {rule.id for rule in rulebook(CONTRAST).rules}
    speaking = set()
    for item in listed:
        document = ehr.send("GET", f"/page/examples/{item['number']}").json()
        answer = ehr.call(document, item["service"])
        assert answer.status_code == 200, answer.text
        codes = {card["source"]["topic"]["code"] for card in answer.json()["cards"]}
        speaking |= codes & {item["rule"]}
    assert speaking == {item["rule"] for item in listed}
    assert ehr.send("GET", f"/page/examples/{len(listed)}").status_code == 404


def test_whole_dates_move_and_nothing_else_does() -> None:
    document = '{"a":"2026-02-27","b":"2026-02-28T10:00:00-05:00","c":"2026-02","d":"2026-02-30","e":"x 2026-02-27"}'
    assert moved(document, timedelta(days=2)) == (
        '{"a":"2026-03-01","b":"2026-03-02T10:00:00-05:00","c":"2026-02","d":"2026-02-30","e":"x 2026-02-27"}'
    )
    assert moved('"9999-12-31"', timedelta(days=1)) == '"9999-12-31"'
    assert json.loads(moved('"2026-06-10"', date(2026, 1, 1) - date(2026, 6, 10))) == "2026-01-01"


def test_the_rule_book_is_served_below_the_page(ehr: Ehr, tmp_path: Path) -> None:
    answer = ehr.send("GET", "/book/")
    assert answer.status_code == 200
    assert_guarded(answer)
    assert rulebook(CONTRAST).digest in answer.text
    rule = rulebook(CONTRAST).rules[0]
    assert rule.title in ehr.send("GET", f"/book/rules/{rule.id}.html").text
    kinds = [ehr.send("GET", f"/book/assets/{name}").headers["content-type"] for name in ("book.css", "search.js")]  # fmt: skip
    assert kinds == ["text/css; charset=utf-8", "text/javascript; charset=utf-8"]
    assert ehr.send("GET", "/book").headers["location"] == "book/"
    for path in ("nothing.html", "../pyproject.toml", "%2e%2e/%2e%2e/etc/passwd"):
        assert ehr.send("GET", f"/book/{path}").status_code == 404


def test_without_a_rule_book_the_page_says_so_and_links_to_none(tmp_path: Path) -> None:
    bare = ehr_with()
    page = page_of(bare.send("GET", "/"), tmp_path)
    assert not any(link.startswith("book") for link in page.links)
    assert bare.send("GET", "/page/examples").status_code == 503
    assert bare.send("GET", "/book/").status_code == 503


def test_a_rule_book_that_cannot_be_made_shows_no_more_than_that() -> None:
    broken = ehr_with(annex=BROKEN)
    for path in ("/book/", "/page/examples"):
        answer = broken.send("GET", path)
        assert answer.status_code == 503
        assert "it could not be made (ValueError)" in answer.text
        assert "other words" not in answer.text
    assert broken.send("GET", "/").status_code == 200
