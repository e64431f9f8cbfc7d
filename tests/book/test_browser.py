"""The rule book in Chromium, opened from its folder: the search works, nothing fails, nothing overflows."""

from __future__ import annotations

import html
import json
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.browser import BROWSER, FLAGS, PHONE

pytestmark = [
    pytest.mark.slow,
    pytest.mark.system,
    pytest.mark.skipif(not BROWSER, reason="no Chromium is installed"),
]

DUMP = ("--allow-file-access-from-files", "--enable-logging=stderr", "--v=0", "--dump-dom")

# A page beside the book looks at a page of it in a frame, does something there, and writes what it saw.
BENCH = """<!DOCTYPE html><meta charset="utf-8"><body style="margin:0">
<iframe id="frame" src="%(page)s" style="border:0;width:%(width)dpx;height:%(height)dpx"></iframe>
<pre id="seen"></pre><script>
document.getElementById("frame").addEventListener("load", function () {
  var view = this.contentWindow, page = this.contentDocument;
  function key(target, name) {
    target.dispatchEvent(new view.KeyboardEvent("keydown", {key: name, bubbles: true, cancelable: true}));
  }
  function type(text) {
    var box = page.getElementById("query");
    box.value = text;
    box.dispatchEvent(new view.Event("input", {bubbles: true}));
  }
  function found() {
    return Array.prototype.map.call(page.querySelectorAll("#found li"), function (line) {
      return [line.querySelector("a").getAttribute("href"), line.getAttribute("aria-selected")];
    });
  }
  var seen = {};
  %(script)s
  document.getElementById("seen").textContent = JSON.stringify(seen);
});
</script></body>
"""


def browse(address: str, profile: Path, size: tuple[int, int] = (1440, 900)) -> str:
    """The DOM of a page after its scripts ran; fails if the console tells of an error."""
    done = subprocess.run(
        [
            BROWSER,
            *FLAGS,
            *DUMP,
            f"--user-data-dir={profile}",
            f"--window-size={size[0]},{size[1]}",
            "--virtual-time-budget=4000",
            address,
        ],
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    assert [line for line in done.stderr.splitlines() if "CONSOLE" in line] == []
    return done.stdout


def bench(folder: Path, tmp_path: Path, page: str, script: str, size: tuple[int, int]) -> Any:
    """What a script saw in a page of the book."""
    frame = {
        "page": (folder / page).as_uri(),
        "script": script,
        "width": size[0],
        "height": size[1],
    }
    path = tmp_path / "bench.html"
    path.write_text(BENCH % frame, "utf-8")
    dom = browse(path.as_uri(), tmp_path / "profile", size)
    (seen,) = re.findall(r'<pre id="seen">(.*?)</pre>', dom, re.DOTALL)
    assert seen, dom[-2000:]
    return json.loads(html.unescape(seen))


def test_an_address_with_a_query_shows_what_is_found(folder: Path, tmp_path: Path) -> None:
    dom = browse((folder / "index.html").as_uri() + "#q=m79.7", tmp_path / "profile")
    found = re.findall(r'<li role="option"[^>]*><a href="([^"]+)"', dom)
    assert "valuesets/fibromyalgia.html" in found
    assert "Search the rule book" in dom


def test_the_search_is_used_by_keyboard(folder: Path, tmp_path: Path) -> None:
    script = """
    seen.hidden = page.querySelector("form.search").hidden;
    key(page.body, "/");
    seen.focus = page.activeElement.id;
    type("hold window");
    seen.count = page.getElementById("count").textContent;
    key(page.getElementById("query"), "ArrowDown");
    key(page.getElementById("query"), "ArrowDown");
    key(page.getElementById("query"), "ArrowUp");
    seen.first = found();
    seen.active = page.getElementById("query").getAttribute("aria-activedescendant");
    type("k02");
    seen.statement = found()[0];
    type("zzzz nothing");
    seen.none = [found().length, page.getElementById("count").textContent];
    type("hold");
    key(page.getElementById("query"), "Escape");
    seen.closed = [page.getElementById("query").value, page.getElementById("found").hidden];
    """
    seen = bench(folder, tmp_path, "rules/periop.plan-hold-ahead.html", script, (1440, 900))
    assert seen["hidden"] is False
    assert seen["focus"] == "query"
    assert re.fullmatch(r"\d+ found(?:, the first 25 are shown)?", seen["count"])
    assert seen["first"][0] == ["../rules/periop.surgery-within-hold-window.html", "true"]
    assert {selected for _, selected in seen["first"][1:]} == {"false"}
    assert seen["active"] == "found-0"
    assert seen["statement"][0] == "../statements.html#K02"
    assert seen["none"] == [0, "0 found"]
    assert seen["closed"] == ["", True]


def test_a_link_into_what_is_folded_unfolds_it(folder: Path, tmp_path: Path) -> None:
    script = """
    var folded = page.querySelector("details:not([open]) td");
    folded.id = "inside";
    view.location.hash = "inside";
    view.dispatchEvent(new view.HashChangeEvent("hashchange"));
    seen.open = folded.closest("details").open;
    """
    page = "rules/periop.surgery-within-hold-window.html"
    assert bench(folder, tmp_path, page, script, (1440, 900)) == {"open": True}


@pytest.mark.parametrize(("size", "step"), [(PHONE, 1), ((1440, 900), 4)], ids=["phone", "desktop"])
def test_no_page_is_wider_than_the_window(
    folder: Path, tmp_path: Path, size: tuple[int, int], step: int
) -> None:
    """Every kind of page on a phone; where there is room, every fourth."""
    pages = ["index.html", "opioids.html", "dose.html", "words.html", "numbers.html"]
    pages += ["sources.html", "statements.html", "disputes.html", "coverage.html"]
    pages += ["valuesets.html", "valuesets/opioid.html"]
    pages += ["rules/opioid.recent-exposure.html", "rules/periop.opioid-need-or-date-unknown.html"]
    wide = []
    for number, page in enumerate(pages[::step]):
        script = "seen.wide = page.documentElement.scrollWidth - view.innerWidth;"
        place = tmp_path / str(number)
        place.mkdir()
        if bench(folder, place, page, script, size)["wide"] > 0:
            wide.append(page)
    assert wide == []


def test_without_scripts_everything_but_the_search_is_there(folder: Path) -> None:
    page = (folder / "index.html").read_text("utf-8")
    assert re.search(r'<form class="search" role="search" hidden>', page)
