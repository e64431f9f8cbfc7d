"""Pages as HTML: Jinja templates with autoescape, and relative links only."""

from __future__ import annotations

from functools import cache
from typing import Any

import msgspec
from jinja2 import Environment, PackageLoader, StrictUndefined


class Page(msgspec.Struct, frozen=True):
    """One page: where it stands below the site's top, and what its template is filled with."""

    path: str
    title: str
    template: str
    content: dict[str, Any]

    @property
    def root(self) -> str:
        """The way from the page to the site's top: "" or ``../``."""
        return "../" * self.path.count("/")


@cache
def _environment() -> Environment:
    return Environment(
        loader=PackageLoader("cds.book"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def render(page: Page, shared: dict[str, Any]) -> str:
    """The page as a whole HTML document; ``shared`` is what every page shows."""

    def link(href: str) -> str:
        """A link that works from this page; one within the page stays as it is."""
        return href if href.startswith("#") else page.root + href

    template = _environment().get_template(page.template)
    return template.render(page=page, root=page.root, link=link, **shared, **page.content) + "\n"
