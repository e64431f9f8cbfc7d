"""Finds and loads a pack: every file read, every error collected, then one Rulebook or none."""

from __future__ import annotations

import gc
import hashlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import msgspec
from msgspec.structs import replace

import cds
from cds.rulebook.bibliography import read_sources
from cds.rulebook.check import check_rulebook
from cds.rulebook.definitions import read_definition, read_fact, read_parameters
from cds.rulebook.document import Node, read_document
from cds.rulebook.layout import PACK_KEYS, arranged, shape_of
from cds.rulebook.model import (
    ATTRIBUTES,
    FactClause,
    KindDefinition,
    Pack,
    Parameter,
    Precedence,
    ProblemOrder,
    Replacement,
    Rulebook,
    Suppression,
)
from cds.rulebook.reading import Author, first
from cds.rulebook.rules import read_rule
from cds.rulebook.site import Site, bind_parameters, is_on, read_site
from cds.terminology.terminology import Terminology
from cds.values.problem import Place, Problem, Severity

TABLES = frozenset({"systems", "brands", "lexicon", "salts", "forms", "negations", "retired"})
RESERVED = frozenset({"definitions", "valuesets", "evidence"})


class RulebookError(Exception):
    """A pack that cannot be used; ``problems`` are all of the author's errors, sorted."""

    def __init__(self, problems: list[Problem]) -> None:
        super().__init__(f"{len(problems)} errors in the rules")
        self.problems = sorted(set(problems))


def shipped_pack() -> Path:
    """The pack inside the installed package, or the checkout's `rules/` beside it."""
    package = Path(cds.__file__).parent
    inside = package / "_rules"
    return inside if inside.is_dir() else package.parent / "rules"


class PackFiles(msgspec.Struct):
    """The files of a pack by what they are, and a running digest of what they say.

    Layout and comments make no difference to it: `cds fmt` leaves it as it is.
    """

    root: Path
    problems: list[Problem]
    digest: hashlib._Hash = msgspec.field(default_factory=hashlib.sha256)

    def read(self, path: Path) -> Node | None:
        name = path.relative_to(self.root).as_posix()
        node = read_document(path, name, self.problems)
        plain = node.plain() if node is not None else None
        if isinstance(plain, dict):
            plain = arranged(plain, shape_of(plain))
        self.digest.update(msgspec.json.encode([name, plain]))
        return node

    def one(self, name: str) -> Node | None:
        path = self.root / name
        if not path.is_file():
            self.problems.append(Problem(Place(name), "the file is missing", name, "file"))
            return None
        return self.read(path)

    def folder(self, name: str) -> dict[str, Node]:
        found = {}
        for path in sorted((self.root / name).glob("*.yaml")):
            node = self.read(path)
            if node is not None:
                found[path.stem] = node
        return found

    def rules(self) -> list[Node]:
        found = []
        for path in sorted(self.root.glob("*/*.yaml")):
            if path.parent.name in RESERVED or path.name.endswith(".scenarios.yaml"):
                continue
            node = self.read(path)
            if node is not None:
                found.append(node)
        return found


def load_rulebook(root: Path, site: Site | None = None, *, switched_off: bool = False) -> Rulebook:
    """The rulebook of the pack in ``root``, bound to the site.

    Raises RulebookError with every error at once.

    Rules that are switched off are left out, unless ``switched_off``: nobody has to ask.
    """
    problems: list[Problem] = []
    with no_garbage():
        rulebook = read_pack(root, site or Site(), problems, switched_off=switched_off)
    errors = [problem for problem in problems if problem.severity is Severity.ERROR]
    if errors or rulebook is None:
        raise RulebookError(errors or problems)
    return rulebook


@contextmanager
def no_garbage() -> Iterator[None]:
    """Looks for no garbage meanwhile: of work that is kept there is none, and it costs a tenth."""
    looked = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if looked:
            gc.enable()


def read_pack(
    root: Path, site: Site, problems: list[Problem], *, switched_off: bool = False
) -> Rulebook | None:
    """The rulebook as far as it can be read; ``problems`` receives errors and advice alike.

    With ``switched_off`` it holds every rule, whatever the site or its own default says.
    """
    whole = WholePack.read(root, problems)
    return whole.at(site, problems, switched_off=switched_off) if whole is not None else None


class WholePack(msgspec.Struct, frozen=True):
    """A pack that was read and checked once and can be bound to any number of sites.

    ``rulebook`` has every rule and the pack's own numbers; ``digest`` is that of the files.
    """

    rulebook: Rulebook
    digest: hashlib._Hash

    @classmethod
    def read(cls, root: Path, problems: list[Problem]) -> WholePack | None:
        """The pack in a folder; None if there is none. ``problems`` receives what is wrong."""
        if not root.is_dir():
            what = "there is no such folder"
            problems.append(Problem(Place(str(root)), what, "a folder with pack.yaml", "file"))
            return None
        files = PackFiles(root, problems)
        author = Author(problems)
        head = files.one("pack.yaml")
        if head is None:
            return None
        valuesets = files.folder("valuesets")
        definitions, parameters = _read_definitions(files, author)
        rules = tuple(read_rule(node, author) for node in files.rules())
        rulebook = Rulebook(
            pack=_read_pack_head(head, author),
            rules=tuple(sorted(rules, key=lambda rule: rule.id)),
            definitions=definitions,
            parameters=parameters,
            precedence=read_precedence(first(files.one("precedence.yaml")), author),
            templates=_plain_mapping(first(head.get("templates"))),
            overrides={
                key: item.text for key, item in first(head.get("overrides")).mapping.items()
            },
            sources=read_sources(first(files.one("sources.yaml")), author),
            terminology=read_terminology(valuesets),
            evidence_url="",
            digest="",
        )
        concepts = frozenset(without_tables(valuesets))
        check_rulebook(rulebook, author, concepts)
        named = {word for words in rulebook.pack.attributes.values() for word in words}
        for name in named - concepts:
            place = first(head.get("attributes")).place
            author.error(place, f"'{name}' is no value set", "", "name")
        return cls(rulebook, files.digest)

    def at(self, site: Site, problems: list[Problem], *, switched_off: bool = False) -> Rulebook:
        """The rulebook of a site: its numbers, the rules that are on, a digest of both."""
        author = Author(problems)
        _check_selectors(self.rulebook, site, author)
        digest = self.digest.copy()
        digest.update(repr((site.timezone, site.parameters, site.enable, site.disable)).encode())
        every = self.rulebook.rules
        on = {rule.id for rule in every if switched_off or is_on(rule, site)}
        return replace(
            self.rulebook,
            rules=tuple(rule for rule in every if rule.id in on),
            off=tuple(rule.id for rule in every if rule.id not in on),
            parameters=bind_parameters(dict(self.rulebook.parameters), site, author),
            evidence_url=site.evidence_url,
            digest=f"sha256:{digest.hexdigest()}",
        )


def _read_definitions(
    files: PackFiles, author: Author
) -> tuple[dict[str, KindDefinition], dict[str, Parameter]]:
    definitions: dict[str, KindDefinition] = {}
    parameters: dict[str, Parameter] = {}
    for node in files.folder("definitions").values():
        definition = read_definition(node, author)
        if definition.kind in definitions:
            author.error(
                node.place, f"'{definition.kind}' is defined twice", "one file a kind", "duplicate"
            )
        definitions[definition.kind] = definition
        for name, parameter in read_parameters(node, author).items():
            if name in parameters:
                author.error(
                    parameter.place,
                    f"the parameter '{name}' stands twice",
                    "one place",
                    "duplicate",
                )
            parameters[name] = parameter
    for parameter in parameters.values():
        for other, says in ((parameter.follows, "follows"), (parameter.at_most, "is at most")):
            if other and other not in parameters:
                what = f"'{parameter.name}' {says} '{other}', which is no parameter"
                author.error(parameter.place, what, ", ".join(sorted(parameters)), "name")
            elif other and parameters[other].unit != parameter.unit and says == "is at most":
                what = f"'{parameter.name}' and '{other}' have different units"
                author.error(parameter.place, what, parameter.unit, "value")
    return definitions, parameters


def without_tables(valuesets: Mapping[str, Node]) -> dict[str, Node]:
    """The value sets among the files of their folder; the others are tables of words."""
    return {name: node for name, node in valuesets.items() if name not in TABLES}


def read_terminology(valuesets: Mapping[str, Node]) -> Terminology:
    """The terminology of the documents in `valuesets/`, by the names of their files."""
    sets = {name: node.plain() for name, node in without_tables(valuesets).items()}
    tables = {name: node.plain() for name, node in valuesets.items() if name in TABLES}
    return Terminology.from_data(
        {name: data for name, data in sets.items() if isinstance(data, dict)},
        {name: data for name, data in tables.items() if isinstance(data, dict)},
    )


def _read_pack_head(node: Node, author: Author) -> Pack:
    author.only(node, PACK_KEYS, "pack.yaml")
    footer, badge = first(node.get("footer")), first(node.get("badge"))
    return Pack(
        id=author.text(node, "id", required=True),
        title=author.text(node, "title", required=True),
        version=author.text(node, "version", required=True),
        source_label=author.text(node, "label", required=True),
        url=author.text(node, "url"),
        canonical=author.text(node, "canonical", required=True),
        footer_for=author.text(footer, "for"),
        footer_unseen=author.text(footer, "unseen"),
        badge=author.text(badge, "text"),
        badge_tag=author.text(badge, "tag"),
        census=tuple(_census(item, author) for item in first(node.get("census")).items),
        developer=author.text(node, "developer"),
        funding=author.text(node, "funding"),
        date=author.text(node, "date"),
        notice=author.text(node, "notice"),
        attributes=_attributes(node, author),
    )


def _attributes(node: Node, author: Author) -> dict[str, tuple[str, ...]]:
    """The value sets by the source attribute that their entries are of."""
    found = {}
    for name, item in author.entries(node, "attributes"):
        if name not in ATTRIBUTES:
            author.error(
                item.place, f"'{name}' is no source attribute", ", ".join(ATTRIBUTES), "name"
            )
        found[name] = tuple(word.text for word in item.items)
    return found


def _census(node: Node, author: Author) -> tuple[str, FactClause]:
    """A class of fact to be counted over many charts, with its label."""
    clause = Node({key: item for key, item in node.mapping.items() if key != "label"}, node.place)
    return author.text(node, "label", required=True), read_fact("census", clause, author)


def read_precedence(node: Node, author: Author) -> Precedence:
    """What `precedence.yaml` says: which finding of a problem speaks, and who silences whom."""
    author.only(node, ("problems", "suppressions"), "precedence.yaml")
    problems = {}
    for name, item in first(node.get("problems")).mapping.items():
        author.only(item, ("by", "order", "lines-only", "replaces"), f"the problem '{name}'")
        problems[name] = ProblemOrder(
            name,
            author.text(item, "by"),
            author.words(item, "order"),
            author.words(item, "lines-only"),
            tuple(_replacement(each, author) for each in first(item.get("replaces")).items),
        )
    suppressions = []
    for item in first(node.get("suppressions")).items:
        author.only(
            item, ("speaking", "of-groups", "silences", "in-groups", "because"), "a suppression"
        )
        suppressions.append(
            Suppression(
                frozenset(author.words(item, "speaking")),
                frozenset(author.words(item, "of-groups")),
                frozenset(author.words(item, "silences")),
                frozenset(author.words(item, "in-groups")),
            )
        )
    return Precedence(problems, tuple(suppressions))


def _replacement(node: Node, author: Author) -> Replacement:
    author.only(node, ("rule", "replaced", "same"), "a replacement")
    return Replacement(
        author.text(node, "rule", required=True),
        author.text(node, "replaced", required=True),
        author.words(node, "same", required=True),
        node.place,
    )


def _plain_mapping(node: Node) -> dict[str, object]:
    plain = node.plain()
    return plain if isinstance(plain, dict) else {}


def _check_selectors(rulebook: Rulebook, site: Site, author: Author) -> None:
    known = {word for rule in rulebook.rules for word in (rule.id, rule.group, *rule.tags)}
    for key, words in (("enable", site.enable), ("disable", site.disable)):
        written = {item.text: item.place for item in first(first(site.place).get(key)).items}
        for word in words:
            if word not in known:
                what = f"'{word}' names no rule, group or tag"
                place = written.get(word, Place(f"--{key}"))
                author.error(place, what, ", ".join(sorted(known)), "value")


def load_site(path: Path, problems: list[Problem]) -> Site:
    """The site configuration in ``path``; errors are added to ``problems``."""
    node = read_document(path, str(path), problems)
    return read_site(node, Author(problems)) if node is not None else Site()
