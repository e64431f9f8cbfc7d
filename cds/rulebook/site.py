"""A site's configuration: time zone, parameters, which rules are on, where evidence stands."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal

from msgspec.structs import replace

from cds.rulebook.document import Node
from cds.rulebook.model import Parameter, Rule
from cds.rulebook.reading import Author, first
from cds.values.moment import zone
from cds.values.problem import Problem

_KEYS = ("timezone", "parameters", "enable", "disable", "evidence-url", "supplied", "service")


@dataclass(frozen=True, slots=True)
class Site:
    """What a site changes. ``timezone`` "" means that none was given (UTC, and said so).

    ``supplied`` are resource types that the site's exports always hold: no file means no resource.
    ``service`` is what stands there about the service, which reads it itself.
    """

    timezone: str = ""
    parameters: tuple[tuple[str, str], ...] = ()
    enable: tuple[str, ...] = ()
    disable: tuple[str, ...] = ()
    evidence_url: str = ""
    supplied: tuple[str, ...] = ()
    service: Node | None = field(default=None, compare=False)
    place: Node | None = field(default=None, compare=False)


def read_site(node: Node, author: Author) -> Site:
    """The site's configuration from its YAML file."""
    author.only(node, _KEYS, "the site configuration")
    numbers = first(node.get("parameters"))
    if numbers.text or (numbers.items and not numbers.mapping):
        author.error(numbers.place, "'parameters' must name numbers", "{NAME: 2 days}", "shape")
    parameters = tuple((name, item.text) for name, item in numbers.mapping.items())
    return Site(
        timezone=_timezone(node, author),
        parameters=parameters,
        enable=author.words(node, "enable"),
        disable=author.words(node, "disable"),
        evidence_url=author.text(node, "evidence-url"),
        supplied=author.words(node, "supplied"),
        service=node.get("service"),
        place=node,
    )


def _timezone(node: Node, author: Author) -> str:
    name = author.text(node, "timezone")
    try:
        zone(name or "UTC")
    except ValueError as error:
        what, _, accepted = str(error).partition(": ")
        accepted = accepted.removesuffix(" is accepted")
        author.error(first(node.get("timezone")).place, what, accepted, "value")
        return ""
    return name


def bind_parameters(
    known: dict[str, Parameter], site: Site, author: Author
) -> dict[str, Parameter]:
    """The pack's parameters with the site's values; each must lie in the range the pack allows."""
    bound = dict(known)
    for name, text in site.parameters:
        place = first(first(site.place).get("parameters")).keys.get(name)
        node = Node(text, place or first(site.place).place)
        parameter = known.get(name)
        if parameter is None:
            author.error(node.place, f"'{name}' is no parameter", ", ".join(sorted(known)), "value")
            continue
        value = _number(parameter, node, author)
        if value is None:
            continue
        bound[name] = replace(parameter, value=value)
    chosen = {name for name, _ in site.parameters}
    followers = [item for item in known.values() if item.follows and item.name not in chosen]
    for parameter in followers:
        leader = parameter.follows
        if leader in chosen:
            value = parameter.value * bound[leader].value / known[leader].value
            held = min(max(value, parameter.low), parameter.high)
            bound[parameter.name] = replace(parameter, value=held)
    _check_order(bound, site, author)
    return bound


def _number(parameter: Parameter, node: Node, author: Author) -> Decimal | None:
    """The site's value, within what the pack allows; None, and reported, where it is not."""
    found: list[Problem] = []
    value, unit = Author(found).amount(node, "value")
    whole = parameter.unit not in ("days", "hours") or value == value.to_integral_value()
    if not found and unit == parameter.unit and parameter.low <= value <= parameter.high and whole:
        return value
    allowed = f"{_plain(parameter.low)} to {_plain(parameter.high)} {parameter.unit}".strip()
    if not whole:
        allowed += ", whole ones"
    what = f"'{node.text}' is not allowed for '{parameter.name}'"
    author.error(node.place, what, allowed, "value")
    return None


def _check_order(bound: Mapping[str, Parameter], site: Site, author: Author) -> None:
    """Reports numbers that the site sets beyond another one that must not be below them."""
    written = first(first(site.place).get("parameters")).keys
    for parameter in bound.values():
        other = bound.get(parameter.at_most)
        if other is None or parameter.value <= other.value:
            continue
        place = written.get(parameter.name) or written.get(other.name) or parameter.place
        what = f"'{parameter.name}' is above '{other.name}'"
        author.error(place, what, f"at most {_plain(other.value)} {other.unit}".strip(), "value")


def _plain(value: Decimal) -> str:
    return f"{value.normalize():f}"


def is_on(rule: Rule, site: Site) -> bool:
    """Whether a rule judges at this site: its default, then `disable`, then `enable`.

    A selector is a rule id, a group (the id's first segment) or a tag.
    """

    def named(selectors: tuple[str, ...]) -> bool:
        return any(word in (rule.id, rule.group, *rule.tags) for word in selectors)

    if rule.status != "active":
        return False
    # What is named most exactly wins: an id over a group or tag.
    if rule.id in site.enable:
        return True
    if rule.id in site.disable:
        return False
    if named(site.disable):
        return False
    return rule.default_on or named(site.enable)
