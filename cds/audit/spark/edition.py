"""What is judged by, as bytes that travel: the pack's files, the site, the moment, whose code.

An executor needs ``cds`` and its dependencies, not the pack. It makes the rulebook itself, once a
process, and refuses when what comes of it is not what the driver has.
"""

from __future__ import annotations

import dataclasses
import hashlib
import tempfile
from collections.abc import Iterator
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any

import msgspec

import cds
from cds.cards.judge import Setting
from cds.rulebook.pack import RulebookError, load_rulebook
from cds.rulebook.site import Site


class MismatchError(Exception):
    """The executor cannot judge as the driver would; the text says why and what would do."""


class Edition(msgspec.Struct, frozen=True):
    """``pack`` by relative name; ``setting`` without its rulebook; ``folder`` names start from.

    ``memory``: bytes for each process that judges; 0 for its part of its machine.
    """

    version: str
    code: str
    rulebook: str
    pack: dict[str, bytes]
    site: Site
    setting: dict[str, Any]
    folder: str
    memory: int = 0

    @classmethod
    def of(cls, setting: Setting, pack: Path, site: Site, memory: int = 0) -> Edition:
        """The edition of a setting whose rulebook was read from ``pack`` for ``site``."""
        bare = {name: getattr(setting, name) for name in setting.__struct_fields__}
        del bare["rulebook"]
        # What the site says of the service is nothing to an executor, and may hold secrets.
        plain = dataclasses.replace(site, service=None, place=None)
        digest = setting.rulebook.digest
        folder = str(Path.cwd())
        files = _read(pack)
        return cls(cds.__version__, code_digest(), digest, files, plain, bare, folder, memory)

    def opened(self) -> Setting:
        """The setting, made from what travelled. Raises ``MismatchError``."""
        if self.version != cds.__version__:
            raise MismatchError(
                f"the executors have cds {cds.__version__}, the driver has {self.version};"
                " accepted: the same version on both"
            )
        if self.code != code_digest():
            raise MismatchError(
                f"the executors' cds {cds.__version__} is not the driver's, though it says the same"
                " version; accepted: the same build on both"
            )
        with tempfile.TemporaryDirectory(prefix="cds-pack-") as folder:
            for name, data in self.pack.items():
                path = Path(folder, name)
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(data)
            try:
                rulebook = load_rulebook(Path(folder), self.site)
            except RulebookError as error:
                raise MismatchError(f"the rules cannot be read on an executor: {error}") from error
        if rulebook.digest != self.rulebook:
            raise MismatchError(
                f"an executor makes rulebook {rulebook.digest} of the driver's files, the driver"
                f" has {self.rulebook}; accepted: rules that nobody changes during the run"
            )
        return Setting(rulebook=rulebook, **self.setting)


def _read(pack: Path) -> dict[str, bytes]:
    """The files of a pack that judging needs: not its scenarios, nor its evidence."""
    paths = [*pack.glob("*.yaml"), *pack.glob("*/*.yaml")]
    return {
        path.relative_to(pack).as_posix(): path.read_bytes()
        for path in sorted(paths)
        if path.parent.name != "evidence" and not path.name.endswith(".scenarios.yaml")
    }


def code_digest() -> str:
    """A digest of the modules of the ``cds`` that runs here, installed, checked out or in a zip."""
    found = hashlib.sha256()
    for name, data in sorted(_modules(resources.files(cds), "")):
        found.update(msgspec.msgpack.encode([name, data]))
    return found.hexdigest()


def _modules(folder: Traversable, inside: str) -> Iterator[tuple[str, bytes]]:
    for item in folder.iterdir():
        name = f"{inside}{item.name}"
        if item.is_dir():
            yield from _modules(item, f"{name}/")
        elif name.endswith(".py"):
            yield name, item.read_bytes()
