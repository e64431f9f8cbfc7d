"""``findings.parquet``: the fields of ``findings.ndjson`` under the same names, typed.

Three differ in form: ``card`` is text (*card*, *line*, *silent*), ``trace`` is JSON as text (a tree
of any depth has no type in Parquet), and ``asOf``, text with the site's offset, has ``asOfUtc``
beside it, an instant in microseconds. Columns never change their type.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cds.audit.findings import FIELDS, FindingLine, read_blocks

if TYPE_CHECKING:
    import pyarrow as pa

NAME = "findings.parquet"
_ROWS = 4096
"""Findings in a row group: what is in memory at once."""
_OPTIONS: Mapping[str, Any] = {
    "version": "2.6",
    "data_page_version": "1.0",
    "compression": "zstd",
    "compression_level": 3,
    "use_dictionary": True,
    "write_statistics": True,
}


def schema() -> pa.Schema:
    """The columns; only ``order`` may be null."""
    import pyarrow as pa

    text, texts = pa.string(), pa.list_(pa.field("element", pa.string(), nullable=False))
    fact = pa.struct(
        [
            pa.field("name", text, nullable=False),
            pa.field("is", text, nullable=False),
            pa.field("certain", pa.bool_(), nullable=False),
            pa.field("sources", texts, nullable=False),
        ]
    )
    nested = {
        "facts": pa.list_(pa.field("element", fact, nullable=False)),
        "sources": texts,
        "missing": texts,
        "line": pa.int64(),
    }
    fields = [
        pa.field(name, nested.get(name, text), nullable=name in ("order", "line"))
        for name in FIELDS
    ]
    return pa.schema([*fields, pa.field("asOfUtc", pa.timestamp("us", tz="UTC"), nullable=False)])


def write_parquet(folder: Path) -> None:
    """Writes the findings in ``folder`` as a table, some in memory; the same bytes each time.

    Without a finding there is a table without a row. Raises OSError.
    """
    import pyarrow as pa
    from pyarrow.parquet import ParquetWriter

    columns = schema()
    # A file of ours: of a path the library would ask whether it is an address, and UTF-8.
    with (folder / NAME).open("wb") as file, ParquetWriter(file, columns, **_OPTIONS) as writer:
        for block in read_blocks(folder, _ROWS):
            arrays = [pa.array(_column(item.name, block), item.type) for item in columns]
            writer.write_batch(pa.RecordBatch.from_arrays(arrays, schema=columns))


def _column(name: str, block: list[FindingLine]) -> list[object]:
    if name == "asOfUtc":
        return [datetime.fromisoformat(finding.as_of) for finding in block]
    return [finding.field(name) for finding in block]
