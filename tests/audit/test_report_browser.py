"""`report.html` in Chromium, opened from its folder: no request, no overflow, a filter that filters."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from cds.audit import timeline
from tests.audit.orders import every
from tests.audit.pages import Report, audited
from tests.audit.population import population
from tests.audit.test_report import hostile
from tests.audit.test_report_orders import records
from tests.browser import BROWSER, DESKTOP, PHONE, Tab, browsing
from tests.records import bundle

pytestmark = [
    pytest.mark.slow,
    pytest.mark.system,
    pytest.mark.skipif(not BROWSER, reason="no Chromium is installed"),
]

WIDE = (1280, 900)


@pytest.fixture(scope="module")
def tab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tab]:
    with browsing(tmp_path_factory.mktemp("profile")) as found:
        yield found


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Report:
    """More patients with findings than one page shows, three hostile ones among them."""
    people = [bundle(*found) for found in population(50).values()]
    folder = tmp_path_factory.mktemp("report")
    return audited(folder, *people, *(hostile(number) for number in range(3)))


@pytest.fixture(scope="module")
def orders(tmp_path_factory: pytest.TempPathFactory) -> Report:
    """An audit of orders, with more lanes and windows than its pictures have room for."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(timeline, "_MOST_LANES", 1)
        patch.setattr(timeline, "_MOST_WINDOWS", 1)
        return audited(tmp_path_factory.mktemp("orders"), *records(), by=every())


def show(tab: Tab, report: Report, size: tuple[int, int] = WIDE, *, fragment: str = "") -> None:
    # From elsewhere, since a link within the page would not load it again.
    tab.ask("Page.navigate", url="about:blank")
    tab.until("location.href === 'about:blank'")
    tab.said.clear()
    tab.loaded.clear()
    tab.open(report.path.as_uri() + fragment, size)
    tab.until("!document.getElementById('filter') || !document.getElementById('filter').hidden")


def choose(tab: Tab, **chosen: str) -> list[str]:
    """Sets fields of the filter as a reader does; the ids of the patients shown then."""
    for name, value in chosen.items():
        field = f"document.getElementById({json.dumps(name)})"
        tab.get(
            f"{field}.value = {json.dumps(value)},"
            f"{field}.dispatchEvent(new Event('input', {{bubbles: true}}))"
        )
    tab.get("new Promise(done => setTimeout(done, 250))")
    return shown(tab)


def shown(tab: Tab) -> list[str]:
    found: list[str] = tab.get(
        "Array.from(document.querySelectorAll('.person h3'), h => h.textContent.replace(/^\\d+\\. (Patient )?/, ''))"
    )
    return found


@pytest.mark.parametrize("size", [PHONE, WIDE, DESKTOP])
def test_it_asks_for_nothing_and_fits(tab: Tab, report: Report, size: tuple[int, int]) -> None:
    show(tab, report, size)
    assert tab.loaded == [report.path.as_uri()]
    assert tab.said == []
    assert tab.get("document.documentElement.scrollWidth <= innerWidth") is True
    # Open everything: a long trace must not push the page aside either.
    tab.get("document.querySelectorAll('details').forEach(item => { item.open = true; })")
    assert tab.get("document.documentElement.scrollWidth <= innerWidth") is True
    assert tab.get("document.querySelectorAll('.timeline rect.bar').length") > 10


def test_nothing_of_a_record_acts(tab: Tab, report: Report) -> None:
    show(tab, report)
    choose(tab, words="alert")
    assert tab.get("document.querySelectorAll('.person').length") == 3
    assert (
        tab.get("document.querySelectorAll('#list img, #list script, #list [onerror]').length") == 0
    )
    assert tab.said == []
    assert tab.loaded == [report.path.as_uri()]
    # The policy holds even where a script would ask.
    tab.get("fetch('https://example.org/').catch(() => 0)")
    assert any("Content Security Policy" in line for line in tab.said)


def test_the_filter_shows_who_matches(tab: Tab, report: Report) -> None:
    show(tab, report)
    rule = "periop.surgery-within-hold-window"
    with_rule = {one["id"] for one in report.people if rule in one["rules"]}
    assert 0 < len(with_rule) < len(report.people)
    assert set(choose(tab, rule=rule)) == with_rule
    said = tab.get("document.getElementById('count').textContent")
    assert said.startswith(f"{len(with_rule)} of {len(report.people)} patients match")
    name = min(one for one in with_rule if "<" not in one)
    assert choose(tab, words=name) == [name]
    assert choose(tab, words="nobody is called so") == []
    assert tab.get("document.getElementById('count').textContent") == "No patient matches."
    tab.get("document.querySelector('#filter button[type=reset]').click()")
    assert len(choose(tab)) == min(20, len(report.people))
    names = choose(tab, order="id")
    assert names == sorted(one["id"] for one in report.people)[: len(names)]


def test_severities_filter_and_a_rule_leads_to_its_patients(tab: Tab, report: Report) -> None:
    show(tab, report)
    tab.click("#filter input[value=info]")
    tab.get("new Promise(done => setTimeout(done, 250))")
    levels = tab.get(
        "Array.from(document.querySelectorAll('.person'), item => item.querySelectorAll('.finding.warning, .finding.critical').length)"
    )
    assert levels
    assert all(levels)
    tab.get("document.querySelector('[data-rule=\"indication.none-documented\"]').click()")
    tab.get("new Promise(done => setTimeout(done, 250))")
    expected = {one["id"] for one in report.people if "indication.none-documented" in one["rules"]}
    assert len(shown(tab)) == min(20, len(expected))
    assert set(shown(tab)) <= expected
    said = tab.get("document.getElementById('count').textContent")
    assert said.startswith(f"{len(expected)} of {len(report.people)} patients match")


def test_orders_are_counted_and_found_as_orders(tab: Tab, orders: Report) -> None:
    show(tab, orders, PHONE)
    assert tab.get("document.documentElement.scrollWidth <= innerWidth") is True
    there = len(orders.people)
    said = "document.getElementById('count').textContent"
    assert tab.get(said).startswith(f"{there} orders with ")
    assert choose(tab, words="p1-old") == ["MedicationRequest/p1-old of patient p1"]
    assert tab.get(said).startswith(f"1 of {there} orders match")
    shown_there = len(choose(tab, words="p1"))
    assert shown_there == sum(one["id"] == "p1" for one in orders.people) > 1
    assert choose(tab, words="nobody is called so") == []
    assert tab.get(said) == "No order matches."


@pytest.mark.parametrize("which", ["report", "orders"])
def test_the_script_shows_what_stands_in_the_page_without_it(
    tab: Tab, which: str, request: pytest.FixtureRequest
) -> None:
    """Words and shapes: the page's own elements and the script's are the same."""
    look = """Array.from(document.querySelectorAll('.person'), item => [
        item.id, item.textContent.replace(/\\s+/g, ''),
        Array.from(item.querySelectorAll('*'), e => [e.tagName, e.id, Array.from(e.attributes,
            a => a.name + '=' + a.value.trim().replace(/\\s+/g, ' ').replace(/\\.0%/g, '%')).sort().join('|')].join(' ')).join('\\n')])"""
    report: Report = request.getfixturevalue(which)
    show(tab, report)
    made = tab.get(look)
    tab.ask("Emulation.setScriptExecutionDisabled", value=True)
    try:
        tab.ask("Page.navigate", url=report.path.as_uri())
        tab.until("document.readyState === 'complete'")
        plain = tab.get(look)
        assert tab.get("document.getElementById('filter').hidden") is True
    finally:
        tab.ask("Emulation.setScriptExecutionDisabled", value=False)
    assert len(plain) == min(20, len(report.people)) > 3
    if which == "orders":
        assert any("morewindows" in one[1] and "moreentries" in one[1] for one in plain)
    assert [one[:2] for one in made] == [one[:2] for one in plain]
    for one, other in zip(made, plain, strict=True):
        assert one[2].splitlines() == other[2].splitlines()


def test_a_link_to_a_patient_opens_its_page(tab: Tab, report: Report) -> None:
    last = len(report.people)
    show(tab, report, fragment=f"#p{last}")
    assert tab.get(f"document.getElementById('p{last}') !== null") is True


def test_it_is_printed_with_everything_open(tab: Tab, report: Report) -> None:
    show(tab, report)
    tab.get("window.dispatchEvent(new Event('beforeprint'))")
    assert tab.get("document.querySelectorAll('#list details:not([open])').length") == 0
    tab.get("window.dispatchEvent(new Event('afterprint'))")
    assert tab.get("document.querySelectorAll('#list details:not([open])').length") > 0
    printed = tab.ask("Page.printToPDF", preferCSSPageSize=True, printBackground=True)
    assert base64.b64decode(printed["data"]).startswith(b"%PDF")


def test_ten_thousand_findings_load(tab: Tab, tmp_path: Path) -> None:
    """So many lines as that, made of one patient's: all are in the page, and can be searched."""
    report = audited(tmp_path, *(bundle(*found) for found in population(3).values()))
    people = (tmp_path / "patients.ndjson").read_bytes().splitlines(keepends=True)
    findings = (tmp_path / "findings.ndjson").read_bytes()
    count = 10_000 // sum(json.loads(line)["findings"] for line in people)
    _repeat(tmp_path / "findings.ndjson", findings, count)
    with (tmp_path / "patients.ndjson").open("wb") as file:
        for number in range(count):
            for line in people:
                file.write(line.replace(b'"patient":"', b'"patient":"%05d-' % number))
    large = _written_again(tmp_path)
    assert sum(len(one["rules"]) for one in large.people) >= 9_990
    show(tab, large)
    assert tab.get("document.querySelectorAll('.person').length") == 20
    assert len(choose(tab, words="01234-")) == len(people)
    assert report.path == large.path


def _repeat(path: Path, content: bytes, count: int) -> None:
    with path.open("wb") as file:
        for _ in range(count):
            file.write(content)


def _written_again(folder: Path) -> Report:
    from cds.audit.html.write import write_report
    from tests.records import setting

    summary: dict[str, Any] = json.loads((folder / "summary.json").read_text())
    write_report(folder, summary, setting(hook="audit"))
    return Report(folder / "report.html")
