"""`cds serve` and `cds feedback`; what the service answers by, at its start and after a reload."""

from __future__ import annotations

import sys
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cds.options import (
    Config,
    Disable,
    Enable,
    Rules,
    Stop,
    Zone,
    check_choice,
    now,
    read_engine,
    read_moment,
    read_setting,
    read_site,
)

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


# -- the commands ---------------------------------------------------------------------------------


def feedback(
    store: Annotated[
        str | None,
        typer.Option(
            "--store",
            help="Database [default: the configuration's, else SQLite below"
            " the user's state folder].",
            metavar="URL",
        ),
    ] = None,
    config: Config = None,
    since: Annotated[
        str | None, typer.Option("--since", help="From this instant on, ISO 8601 with offset.")
    ] = None,
    format: Annotated[  # noqa: A002 - the option's name
        str, typer.Option("--format", help="text or json (one line per rule).")
    ] = "text",
) -> None:
    """Show what clinicians did with cards: acceptance and override by rule, reason and week.

    A card counts once, by its latest feedback. Rules that are overridden in more than 80 % of at
    least 10 decisions are flagged.
    """
    from cds.hooks.overview import print_feedback
    from cds.store.store import StoreError
    from cds.values.moment import zone

    check_choice(format, ("text", "json"), "--format")
    start = read_moment(since, zone("UTC"), "--since") if since is not None else None
    try:
        print_feedback(store or read_settings_of(config).store, start, as_json=format == "json")
    except StoreError as error:
        raise Stop(str(error)) from error


def serve(
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[
        int, typer.Option(min=0, max=65535, help="Port; 0 takes any that is free.")
    ] = 8080,
    auth: Annotated[
        str | None,
        typer.Option(
            metavar="jwt|none",
            help="How callers are checked [default: jwt if --config names issuers; else a loopback"
            " address is served open].",
        ),
    ] = None,
    tls_cert: Annotated[
        Path | None, typer.Option("--tls-cert", help="Certificate with its chain, in PEM.")
    ] = None,
    tls_key: Annotated[
        Path | None, typer.Option("--tls-key", help="Its key, in PEM, without a password.")
    ] = None,
    second_opinion: Annotated[
        bool,
        typer.Option(
            "--second-opinion", help="Judge every answer again by the durable engine, beside."
        ),
    ] = False,
    workers: Annotated[
        int | None,
        typer.Option(min=1, max=64, help="Processes that answer [default: the configuration's]."),
    ] = None,
    watch: Annotated[
        bool, typer.Option("--watch", help="Reload when rules or configuration change on disk.")
    ] = False,
    rules: Rules = None,
    config: Config = None,
    enable: Enable = None,
    disable: Disable = None,
    timezone: Zone = None,
) -> None:
    """Answer CDS Hooks calls over HTTP until told to stop.

    Prints the address of the services; lines of JSON go to standard error. SIGHUP reads rules and
    configuration again, and puts them in force if they are good.
    """
    from cds.hooks.doorstep import Address, Unservable, check_auth, listen
    from cds.hooks.tls import TlsError, read_tls

    if auth is not None:
        check_choice(auth, ("jwt", "none"), "--auth")
    address = Address(host, port)
    given = Given(rules, config, enable, disable, timezone, workers)
    try:
        tls = read_tls(tls_cert, tls_key)
        warning = check_auth(auth, address, read_settings_of(config), tls)
        listener = listen(address)
        from cds.hooks.app import Options
        from cds.hooks.serving import Running, run

        edition, notes = given.read()
        if second_opinion:
            read_engine("both", edition.rulebook)
        for note in filter(None, (warning, *notes)):
            sys.stderr.write(f"cds: {note}\n")
        options = Options(
            edition.settings, second_opinion=second_opinion, tls=tls, annex=given.annex()
        )
        running = Running(listener, now, options, watch)
        code = run(given.source(), edition, running)
    except (Unservable, TlsError) as error:
        raise Stop(str(error)) from error
    raise typer.Exit(code)
