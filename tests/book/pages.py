"""A rule book's folder as tests read it: ids, links, words, and what is not well-formed."""

from __future__ import annotations

from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

VOID = frozenset("area base br col embed hr img input link meta source track wbr".split())
BLOCKS = frozenset(
    "address article aside blockquote details div dl fieldset figure footer form h1 h2 h3 h4 header"
    " main nav ol p pre section table ul".split()
)
# What a browser fetches by itself; links that a reader may follow are not among them.
LOADED = {("script", "src"), ("link", "href"), ("img", "src"), ("iframe", "src")}


@dataclass
class Html(HTMLParser):
    """One page. ``faults`` names what a strict reader would not take."""

    path: Path
    ids: set[str] = field(default_factory=set)
    links: list[str] = field(default_factory=list)
    loaded: list[str] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)
    words: list[str] = field(default_factory=list)
    stack: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.feed(self.path.read_text("utf-8"))
        self.close()
        self.faults += [f"<{tag}> is never closed" for tag in self.stack]

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        if tag in BLOCKS and "p" in self.stack:
            self.faults.append(f"<{tag}> inside <p>, line {self.getpos()[0]}")
        if tag not in VOID:
            self.stack.append(tag)
        for name, value in attributes:
            self.attribute(tag, name, value or "")

    def attribute(self, tag: str, name: str, value: str) -> None:
        if name.startswith("on") or name == "style":
            self.faults.append(f"{name} on <{tag}>")
        if name == "id":
            if value in self.ids:
                self.faults.append(f"the id {value!r} stands twice")
            self.ids.add(value)
        if (tag, name) in LOADED:
            self.loaded.append(value)
        if name == "href":
            self.links.append(value)
        elif name == "data-root":
            self.links.append(value + "index.html")

    def handle_endtag(self, tag: str) -> None:
        if tag in VOID or not self.stack or self.stack[-1] != tag:
            self.faults.append(f"</{tag}> closes {self.stack[-1:]}, line {self.getpos()[0]}")
        else:
            self.stack.pop()

    def handle_data(self, data: str) -> None:
        if self.stack and self.stack[-1] != "script":
            self.words.append(data)


@dataclass
class Site:
    """All pages of a folder by their name."""

    folder: Path
    pages: dict[str, Html] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for path in sorted(self.folder.rglob("*.html")):
            self.pages[path.relative_to(self.folder).as_posix()] = Html(path)

    def dead(self, links: list[str], page: str) -> list[str]:
        """Links from a page (a name of the site) that lead nowhere."""
        return [f"{page}: {link}" for link in links if not self.leads(link, page)]

    def leads(self, link: str, page: str) -> bool:
        parts = urlsplit(link)
        if parts.scheme:
            return parts.scheme == "https"
        here = (self.folder / page).resolve()
        target = (here.parent / unquote(parts.path)).resolve() if parts.path else here
        if not target.is_file() or not target.is_relative_to(self.folder.resolve()):
            return False
        name = target.relative_to(self.folder.resolve()).as_posix()
        return not parts.fragment or unquote(parts.fragment) in self.pages[name].ids
