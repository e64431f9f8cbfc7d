"""A site's configuration: time zone, parameters, which rules are on, where evidence stands."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from decimal import Decimal

from cds.rulebook.document import Node
from cds.rulebook.model import Parameter, Rule
from cds.rulebook.reading import Author, first

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
    parameters = tuple(
        (name, item.text) for name, item in first(node.get("parameters")).mapping.items()
    )
    return Site(
        timezone=author.text(node, "timezone"),
        parameters=parameters,
        enable=author.words(node, "enable"),
        disable=author.words(node, "disable"),
        evidence_url=author.text(node, "evidence-url"),
        supplied=author.words(node, "supplied"),
        service=node.get("service"),
        place=node,
    )


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
        value, unit = author.amount(node, "value")
        allowed = f"{_plain(parameter.low)} to {_plain(parameter.high)} {parameter.unit}".strip()
        if unit != parameter.unit or not parameter.low <= value <= parameter.high:
            author.error(node.place, f"'{text}' is not allowed for '{name}'", allowed, "value")
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
    return bound


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
