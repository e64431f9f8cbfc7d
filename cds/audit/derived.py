"""The files that are made from the others once these are whole: tables, reports, measures."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from cds.cards.judge import Setting


class Wanted(msgspec.Struct, frozen=True):
    """What was judged by, and what the user asks of the derived files."""

    setting: Setting


def derive(scratch: Path, summary: Mapping[str, Any], wanted: Wanted) -> None:
    """Writes the derived files into ``scratch``, under their own names.

    There stand ``findings.ndjson``, ``problems.ndjson`` and ``patients.ndjson``, whole; ``summary``
    is the content of ``summary.json``. Whatever a function here leaves in ``scratch`` is a result
    and gets its place; one that fails raises OSError. Each reads its source line by line: there may
    be more findings than fit into memory.
    """
    # Imported late: an audit begins without what draws its report.
    from cds.audit.html.write import write_report

    write_report(scratch, summary, wanted.setting)
