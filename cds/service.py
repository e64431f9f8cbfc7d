"""What `cds serve` answers by: read at its start, and again for each reload."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cds.options import Stop, read_setting, read_site

if TYPE_CHECKING:
    from cds.hooks.annex import Annex
    from cds.hooks.edition import Edition, Source
    from cds.hooks.settings import Settings
    from cds.values.problem import Problem


@dataclass(frozen=True, slots=True)
class Given:
    """What the command line said: where rules and configuration are, what it changes in them."""

    rules: Path | None
    config: Path | None
    enable: list[str] | None
    disable: list[str] | None
    timezone: str | None
    workers: int | None = None

    def read(self) -> tuple[Edition, list[str]]:
        """What lies there now, and notes for people. Raises Stop with everything that is wrong."""
        from cds.hooks.edition import Edition

        setting, notes = read_setting(
            self.rules, self.config, self.enable, self.disable, None, self.timezone, None, None
        )
        settings = read_settings_of(self.config)
        if self.workers is not None:
            settings = replace(settings, workers=self.workers)
        return Edition(setting.rulebook, setting.zone, settings), notes

    def source(self) -> Source:
        """Where a reload reads."""
        from cds.authoring.verdict import failing_scenarios
        from cds.hooks.edition import Source
        from cds.rulebook.pack import shipped_pack

        root = self.rules or shipped_pack()
        watched = (root, self.config) if self.config is not None else (root,)
        return Source(self._reread, lambda: failing_scenarios(root), watched)

    def annex(self) -> Annex:
        """The rule book and the requests of the page, made of what lies there when asked."""
        from cds.hooks.annex import Annex

        where = (self.rules, self.config, self.enable, self.disable)
        return Annex(partial(_book, *where), partial(_requests, *where))

    def _reread(self) -> Edition:
        from cds.hooks.edition import UnloadableError
        from cds.rulebook.pack import RulebookError

        try:
            return self.read()[0]
        except Stop as stop:
            cause = stop.__cause__
            if isinstance(cause, RulebookError):
                lines = [problem.render() for problem in cause.problems]
            else:
                lines = str(stop).splitlines()
            raise UnloadableError(lines) from stop


def read_settings_of(config: Path | None) -> Settings:
    """What the configuration says of the service; raises Stop with everything that is wrong."""
    from cds.hooks.settings import read_settings
    from cds.rulebook.reading import Author
    from cds.store.database import default_url

    problems: list[Problem] = []
    node = read_site(config, None, None).service
    found = read_settings(node, Author(problems), config.parent if config else Path())
    if problems:
        raise Stop("\n".join(problem.render() for problem in sorted(problems)))
    return found if found.store else replace(found, store=default_url())


# Called in a process of their own: with nothing but what the command line said.


def _book(
    rules: Path | None, config: Path | None, enable: list[str] | None, disable: list[str] | None
) -> dict[str, bytes]:
    from cds.book.annex import book_pages

    return book_pages(rules, read_site(config, enable, disable))


def _requests(
    rules: Path | None, config: Path | None, enable: list[str] | None, disable: list[str] | None
) -> list[dict[str, Any]]:
    from cds.book.annex import requests_to_try

    return requests_to_try(rules, read_site(config, enable, disable))
