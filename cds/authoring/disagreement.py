"""Files that reproduce a disagreement of the engines, for whoever looks into it.

They stand in the folder that the command runs in: they hold a patient's record, so they belong to
whoever ran it and go nowhere else. One is named by its rule and its content, so that running again
writes the same one.
"""

from __future__ import annotations

from collections.abc import Iterable
from hashlib import sha256
from pathlib import Path
from typing import Any

import msgspec

from cds.authoring.terminal import err, said
from cds.cards.judge import Judged
from cds.cards.wire import encode
from cds.second.comparison import Disagreement

_MOST_FILES = 20
"""So many are written by one run; the others are told."""


class Disagreements:
    """Tells each disagreement of a run on standard error, and writes a file for it."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.count = 0

    def add(self, judged: Iterable[Judged], data: bytes = b"") -> None:
        """Tells what the engines disagree about; ``data`` is the input, if it is of one patient."""
        for item in judged:
            for found in item.disagreements:
                self.count += 1
                where = self._written(found, item.input, data)
                err().print(said(f"{found.problem.what}{where}", style="red"), soft_wrap=True)

    def _written(self, found: Disagreement, name: str, data: bytes) -> str:
        if self.count > _MOST_FILES:
            return ""
        content = {
            "command": f"cds check INPUT --engine both --hook {found.hook} --as-of {found.as_of}",
            "input": name,
            **found.as_json(),
            "document": _document(data),
        }
        text = msgspec.json.format(encode(content), indent=2) + b"\n"
        path = self._folder / f"disagreement-{found.rule}-{sha256(text).hexdigest()[:8]}.json"
        try:
            path.write_bytes(text)
        except OSError as error:
            return f"; {path} could not be written ({error.strerror})"
        return f"; see {path}"


def _document(data: bytes) -> Any:
    try:
        return msgspec.json.decode(data) if data else None
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return data.decode(errors="replace")
