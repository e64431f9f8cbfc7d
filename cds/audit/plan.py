"""What a run is about: written before it begins, compared when it is resumed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import suppress
from datetime import datetime
from itertools import islice, zip_longest
from pathlib import Path

import msgspec

from cds import __version__
from cds.audit.grouping import Export
from cds.audit.inputs import Gathered
from cds.audit.source import Source
from cds.cards.judge import Setting

PLAN, _INPUTS = "plan.json", "inputs.ndjson"
_MOST_TOLD = 5


class Plan(msgspec.Struct, frozen=True):
    """``terms`` by the option that changes each, as text; ``as_of`` as it was, given or now."""

    as_of: datetime
    terms: dict[str, str]


class Seen(msgspec.Struct, frozen=True, array_like=True):
    """One file that is read: its size, when it was last changed (ns); -1 if it is not there."""

    name: str
    size: int
    changed: int


def plan_of(setting: Setting, options: Iterable[tuple[str, object]]) -> Plan:
    """The plan of a run; ``options`` are those beside the setting that change its results."""
    moment = setting.as_of.astimezone(setting.zone)
    terms = {
        "version of cds": __version__,
        "rulebook (--rules, --config, --enable, --disable)": setting.rulebook.digest,
        "--as-of": moment.isoformat(),
        "--timezone": setting.zone.key,
        "--hook": setting.hook,
        "--every": setting.every,
        "--engine": setting.engine,
        "--patient": setting.patient,
        **{name: _text(value) for name, value in options},
    }
    return Plan(moment, terms)


def _text(value: object) -> str:
    return " ".join(sorted(map(str, value))) if isinstance(value, frozenset) else str(value)


def sources(gathered: Gathered) -> Iterator[Seen]:
    """Every file that a run reads, in order; and what it cannot read."""
    for item in gathered.items:
        if isinstance(item, Export):
            yield from (_source(file) for file in item.files)
            if item.manifest is not None:
                yield _source(item.manifest.source)
        else:
            yield _source(item)
    yield from (Seen(f"{name}: {problem.what}", -1, 0) for name, problem in gathered.problems)


def _source(item: Source) -> Seen:
    with suppress(OSError):
        status = item.place.stat()
        return Seen(item.name, status.st_size, status.st_mtime_ns)
    return Seen(item.name, -1, 0)


def write_plan(folder: Path, plan: Plan, inputs: Iterable[Seen]) -> None:
    """Puts the plan into a folder; where it stands, it is whole. Raises OSError."""
    with (folder / _INPUTS).open("wb") as file:
        file.writelines(msgspec.json.encode(item) + b"\n" for item in inputs)
    draft = folder / f"{PLAN}.new"
    draft.write_bytes(msgspec.json.encode(plan))
    draft.replace(folder / PLAN)


def read_plan(folder: Path) -> Plan | None:
    """The plan in a folder; None where no run had begun. Raises OSError."""
    path = folder / PLAN
    try:
        return msgspec.json.decode(path.read_bytes(), type=Plan) if path.exists() else None
    except msgspec.MsgspecError:  # of another version
        return Plan(datetime.fromisoformat("1970-01-01T00:00:00+00:00"), {})


def differences(folder: Path, there: Plan, here: Plan, inputs: Iterable[Seen]) -> list[str]:
    """What a run that is to be resumed was about and this one is not; [] when they are the same."""
    names = list(dict.fromkeys((*there.terms, *here.terms)))
    found = [
        f"{name} was '{there.terms.get(name, '')}' and is '{here.terms.get(name, '')}'"
        for name in names
        if there.terms.get(name) != here.terms.get(name)
    ]
    with (folder / _INPUTS).open("rb") as file:
        before = (msgspec.json.decode(line, type=Seen) for line in file)
        changes = (_change(old, new) for old, new in zip_longest(before, inputs) if old != new)
        found += islice(changes, _MOST_TOLD)
    return found


def _change(old: Seen | None, new: Seen | None) -> str:
    if new is None or old is None:
        return (
            f"input {old.name} is gone" if old is not None else f"input {new and new.name} is new"
        )
    if old.name != new.name:
        return f"input {new.name} stands where {old.name} stood"
    return f"input {new.name} has changed ({old.size} bytes then, {new.size} now, or another date)"
