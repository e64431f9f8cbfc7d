"""The page in Chromium, on a service that runs: by keyboard, on a telephone, in the dark, under attack."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.browser import BROWSER, DESKTOP, PHONE, Tab, browsing
from tests.hooks.test_serve import serving
from tests.records import CONTRAST

pytestmark = [
    pytest.mark.slow,
    pytest.mark.system,
    pytest.mark.skipif(not BROWSER, reason="no Chromium is installed: `make system` installs it"),
]

CARD = "document.querySelectorAll('#answer .card').length"
# Text that is read against what stands behind it: the WCAG contrast of every element with words.
FAINT = """
(() => {
  const rgb = (text) => (text.match(/[\\d.]+/g) || []).map(Number);
  const part = (value) => (value /= 255) <= 0.03928 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4;
  const light = ([r, g, b]) => 0.2126 * part(r) + 0.7152 * part(g) + 0.0722 * part(b);
  const behind = (node) => {
    for (; node; node = node.parentElement) {
      const color = rgb(getComputedStyle(node).backgroundColor);
      if (color.length === 3 || color[3] > 0) { return color; }
    }
    return [255, 255, 255];
  };
  const worded = Array.from(document.querySelectorAll("body *")).filter((node) =>
    !["SCRIPT", "STYLE", "OPTION", "OPTGROUP"].includes(node.tagName) && node.getClientRects().length &&
    Array.from(node.childNodes).some((child) => child.nodeType === 3 && child.textContent.trim()));
  return worded.map((node) => {
    const [one, two] = [light(rgb(getComputedStyle(node).color)), light(behind(node))];
    const ratio = (Math.max(one, two) + 0.05) / (Math.min(one, two) + 0.05);
    return [ratio, node.tagName + "." + node.className + ": " + node.textContent.trim().slice(0, 40)];
  }).filter(([ratio]) => ratio < 4.5);
})()
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("page")


@pytest.fixture(scope="module")
def address(folder: Path) -> Iterator[str]:
    config = folder / "site.yaml"
    config.write_text(
        f"timezone: America/New_York\nservice:\n  store: sqlite:///{folder}/store.sqlite\n"
    )
    with serving("--config", str(config), "--rules", str(CONTRAST)) as (found, _):
        yield found.removesuffix("cds-services")


@pytest.fixture(scope="module")
def browser(folder: Path) -> Iterator[Tab]:
    with browsing(folder / "profile") as tab:
        yield tab


@pytest.fixture
def tab(browser: Tab) -> Iterator[Tab]:
    """The browser's page; a test fails if the browser had anything to complain about."""
    browser.said.clear()
    browser.loaded.clear()
    yield browser
    assert browser.said == []


def shown(tab: Tab, address: str, size: tuple[int, int] = DESKTOP, *, dark: bool = False) -> None:
    """The page with its first example and its charts."""
    tab.open(address, size, dark=dark)
    tab.until("document.getElementById('request').value.length > 100")
    tab.until("document.getElementById('charts').textContent.trim().length > 20")


def feedback(folder: Path) -> list[Any]:
    with closing(sqlite3.connect(folder / "store.sqlite")) as store:
        return store.execute("select outcome, reason, service from feedback").fetchall()


def test_a_call_is_sent_and_overridden_by_keyboard(tab: Tab, address: str, folder: Path) -> None:
    shown(tab, address)
    passed = []
    while "send" not in passed:
        tab.press("Tab")
        passed.append(tab.get("document.activeElement.id"))
        assert len(passed) < 60
    assert [name for name in passed if name] == ["example", "service", "request", "send"]
    tab.get("document.getElementById('example').focus()")
    for _ in range(4):
        tab.press("ArrowDown")
    tab.until("document.getElementById('request').value.includes('Creatinine')")
    tab.get("document.getElementById('send').focus()")
    tab.press("Enter")
    tab.until(f"{CARD} === 1")
    assert tab.get("document.activeElement.id") == "answer"
    assert tab.get("document.querySelector('.card').className") in {"card info", "card warning", "card critical"}  # fmt: skip
    assert tab.get("document.querySelector('.card .detail strong').textContent")
    assert tab.get("document.getElementById('sent').textContent").startswith("Answered with 200 in")
    assert tab.get("document.getElementById('state').textContent") == "running"
    before = feedback(folder)
    tab.get("document.querySelector('.override select').focus()")
    tab.press("ArrowDown")
    tab.press("Tab")
    assert tab.get("document.activeElement.textContent") == "Override"
    tab.press(" ")
    tab.until("document.querySelector('.told').textContent === 'Feedback stored: overridden.'")
    ((outcome, reason, service),) = feedback(folder)[len(before) :]
    assert (outcome, service) == ("overridden", tab.get("document.getElementById('service').value"))
    assert reason
    assert all(url.startswith(address) for url in tab.loaded), tab.loaded
    tab.until("document.getElementById('charts').textContent.includes('By reason')")


def later_scan(address: str) -> str:
    """The example of a scan without a creatinine, with the scan so late that a test is offered."""
    listed = httpx.get(f"{address}page/examples", timeout=60).json()
    number = next(
        item["number"] for item in listed if item["rule"] == "contrast.kidney-function-missing"
    )
    request = httpx.get(f"{address}page/examples/{number}", timeout=60).json()
    (entry,) = request["prefetch"]["ServiceRequest"]["entry"]
    planned = date.fromisoformat(entry["resource"]["occurrenceDateTime"])
    entry["resource"]["occurrenceDateTime"] = (planned + timedelta(days=5)).isoformat()
    return json.dumps(request)


def test_a_suggestion_is_taken_by_mouse(tab: Tab, address: str, folder: Path) -> None:
    shown(tab, address)
    tab.get(f"document.getElementById('request').value = {json.dumps(later_scan(address))}")
    tab.get("document.getElementById('service').value = 'contrast-patient-view'")
    tab.click("#send")
    tab.until("!!document.querySelector('.offer .take')")
    before = len(feedback(folder))
    tab.click(".offer summary")
    assert tab.get("document.querySelector('.offer details').open")
    assert tab.get("document.querySelector('.actions').textContent").startswith("create: ")
    tab.click(".offer .take")
    tab.until("document.querySelector('.told').textContent === 'Feedback stored: accepted.'")
    assert [row[0] for row in feedback(folder)[before:]] == ["accepted"]


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("size", [PHONE, DESKTOP], ids=["phone", "desktop"])
def test_it_fits_the_window_and_can_be_read(
    tab: Tab, address: str, size: tuple[int, int], dark: bool
) -> None:
    shown(tab, address, size, dark=dark)
    tab.click("#send")
    tab.until(f"{CARD} === 1")
    tab.get("document.querySelectorAll('details').forEach((one) => { one.open = true; })")
    assert tab.get("document.documentElement.scrollWidth - window.innerWidth") <= 0
    assert tab.get(FAINT) == []
    paper = tab.get("getComputedStyle(document.body).backgroundColor")
    assert (paper == "rgb(255, 255, 255)") == (not dark)


def test_what_is_no_request_is_told(tab: Tab, address: str) -> None:
    shown(tab, address)
    tab.get("document.getElementById('request').value = '{}'")
    tab.click("#send")
    tab.until("!!document.querySelector('.refused')")
    assert tab.get("document.querySelector('.refused').textContent").startswith("Refused with 400")
    assert "hook is missing" in tab.get("document.querySelector('.refused').textContent")
    assert tab.said.pop().startswith("error: Failed to load resource: the server responded with a status of 400")  # fmt: skip


def test_text_of_a_card_stays_text(tab: Tab, address: str) -> None:
    shown(tab, address)
    hostile = (
        "<img src=x onerror=document.title='taken'> **bold <script>document.title='taken'</script>**\\n\\n"
        "- [one](javascript:document.title='taken')\\n- [two](https://example.org/a)\\n- `code *raw*` and *em*"
    )
    tab.get(
        "(() => { const card = {summary: '<b>x</b>', indicator: 'x onclick', source: {label: '<i>'},"
        f' detail: "{hostile}", links: [{{label: "bad", type: "absolute", url: "javascript:1"}}]}};'
        " Cards.answer(document.getElementById('answer'), {cards: [card]}, () => Promise.resolve('')); })()"
    )
    assert tab.get("document.title").startswith("Metformin")
    assert tab.get("document.querySelectorAll('#answer img, #answer script, #answer b, #answer i').length") == 0  # fmt: skip
    assert tab.get("Array.from(document.querySelectorAll('.card a'), (one) => one.href)") == ["https://example.org/a"]  # fmt: skip
    assert tab.get("document.querySelector('.card').className") == "card info"
    html = tab.get("document.querySelector('.detail div').innerHTML")
    assert "<li><code>code *raw*</code> and <em>em</em></li>" in html
    assert "<strong>bold &lt;script&gt;" in html


def test_the_rule_book_is_read_beside_the_service(tab: Tab, address: str) -> None:
    tab.open(f"{address}book/")
    tab.until("!document.querySelector('form.search').hidden")
    tab.get("document.getElementById('query').focus()")
    tab.ask("Input.insertText", text="metformin")
    tab.until("document.querySelectorAll('#found li').length > 0")
    # A browser asks by itself for a picture that the rule book, made to be opened from disk, has not.
    tab.said[:] = [line for line in tab.said if not line.endswith("/favicon.ico")]
