"""A report as tests read it: its text, ids, links, what it would load, the data inside."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

from cds.audit.html.write import write_report
from cds.audit.outcome import Outcome
from cds.audit.results import write_lines, write_summary
from cds.cards.judge import Setting, read_input
from tests.records import Json, setting

VOID = frozenset("area base br col embed hr img input link meta source track wbr".split())
LOADING = frozenset("src srcset poster data background action formaction ping".split())


@dataclass
class Report(HTMLParser):
    """One report.html. ``faults`` names what it must not hold; ``scripts`` are texts by type."""

    path: Path
    ids: list[str] = field(default_factory=list)
    links: list[str] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)
    scripts: dict[str, str] = field(default_factory=dict)
    metas: dict[str, str] = field(default_factory=dict)
    parts: dict[str, list[str]] = field(default_factory=dict)
    stack: list[tuple[str, str]] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.feed(self.path.read_text("utf-8"))
        self.close()
        self.faults += [f"<{tag}> is never closed" for tag, _ in self.stack]

    def text(self, part: str = "") -> str:
        """The words inside the element with an id; of the whole page without one."""
        return " ".join(" ".join(self.parts.get(part, [])).split())

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attributes}
        for name, value in given.items():
            if name in LOADING or name == "style" or name.startswith("on"):
                self.faults.append(f"{name}={value!r} on <{tag}>")
        if tag in ("link", "img", "iframe", "object", "embed", "base", "image", "use"):
            self.faults.append(f"<{tag}>")
        if "id" in given:
            self.ids.append(given["id"])
        if "href" in given:
            self.links.append(given["href"])
        if tag == "meta":
            self.metas[given.get("http-equiv", given.get("name", ""))] = given.get("content", "")
        name = given.get("id", "")
        if tag == "script":
            name = given.get("id", given.get("type", "code"))
        if tag not in VOID:
            self.stack.append((tag, name))

    def handle_endtag(self, tag: str) -> None:
        if not self.stack or self.stack[-1][0] != tag:
            self.faults.append(f"</{tag}> at {self.getpos()}")
            return
        self.stack.pop()

    def handle_data(self, data: str) -> None:
        if self.stack and self.stack[-1][0] in ("script", "style"):
            tag, name = self.stack[-1]
            name = name or tag
            self.scripts[name] = self.scripts.get(name, "") + data
            return
        for part in {"", *(name for _, name in self.stack)}:
            self.parts.setdefault(part, []).append(data)

    @property
    def people(self) -> list[Any]:
        """The patients' data with their texts in place of numbers: ids, orders and rules only."""
        texts = json.loads(self.scripts["texts"])
        return [
            {"id": one[0], "order": one[11], "rules": [texts[found[0]] for found in one[10]]}
            for one in json.loads(self.scripts["people"])
        ]


def faults_of(report: Report) -> list[str]:
    """What must not be in any report: loads, handlers, ids twice, links to nowhere."""
    found = list(report.faults)
    found += [f"id {name!r} twice" for name in report.ids if report.ids.count(name) > 1]
    found += [
        f"link {link!r}"
        for link in report.links
        if not link.startswith("#") or link[1:] not in report.ids
    ]
    style = " ".join(report.scripts.get(name, "") for name in ("style",))
    return found + re.findall(r"@import|url\(", style)


def audited(
    folder: Path,
    *records: Json,
    root: Path | None = None,
    name: str = "a.json",
    by: Setting | None = None,
) -> Report:
    """The report of some records, made as an audit makes it."""
    by = by or setting(root, hook="audit")
    outcome = Outcome()
    for record in records:
        outcome.tally.inputs += 1
        charts = read_input(json.dumps(record).encode(), name, by)
        outcome.tally.unreadable += not charts.charts
        outcome.judge(charts, name, by)
    folder.mkdir(parents=True, exist_ok=True)
    tally = write_lines([outcome], folder)
    counts = {"exports": 0, "export_files": 0, "export_files_not_needed": 0}
    summary, _ = write_summary(tally, by, counts, folder)
    write_report(folder, summary, by)
    return Report(folder / "report.html")
