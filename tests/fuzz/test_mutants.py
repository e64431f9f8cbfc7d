"""Damaged documents through every door: an answer or a problem, and never an exception.

``CDS_FUZZ=100`` makes these run a hundred times as long.
"""

from __future__ import annotations

import json
import os
import random
from contextlib import redirect_stdout, suppress
from functools import lru_cache
from io import StringIO
from pathlib import Path

import pytest
from msgspec.structs import replace

from cds.audit.run import Options, audit
from cds.authoring.check import check_inputs
from cds.authoring.explain import explain_input
from cds.cards.judge import Setting
from tests.audit.population import population, write_bundles, write_export
from tests.fuzz.mutants import broken, mutant, mutated
from tests.hooks.ehr import Ehr, check_outcome, check_response
from tests.records import AS_OF, CONTRAST, ZONE, rulebook

LONG = int(os.environ.get("CDS_FUZZ", "1"))
START = int(os.environ.get("CDS_FUZZ_START", "0"))
CHUNK = 50
BY = Setting(rulebook(), AS_OF, ZONE)
STEERING = [chr(code) for code in (*range(10), *range(11, 32), *range(127, 160), 0x202E)]


def chunks(count: int) -> list[range]:
    end = START + count * LONG
    return [range(first, min(first + CHUNK, end)) for first in range(START, end, CHUNK)]


def printed(path: Path, by: Setting, *, as_json: bool) -> tuple[int, str]:
    with redirect_stdout(StringIO()) as out:
        code = check_inputs([str(path)], by, [], as_json=as_json)
    return code, out.getvalue()


@pytest.mark.parametrize("numbers", chunks(100), ids=str)
def test_check_and_explain(numbers: range, tmp_path: Path) -> None:
    path = tmp_path / "mutant.json"
    for number in numbers:
        path.write_bytes(mutant(number))
        by = BY if number % 4 else replace(BY, rulebook=rulebook(CONTRAST))
        code, out = printed(path, by, as_json=True)
        lines = [json.loads(line) for line in out.splitlines()]
        assert lines, number
        unread = [line for line in lines if line["patient"] is None]
        assert code == bool(unread), number
        assert all(line["problems"] for line in unread), number
        for problem in (problem for line in lines for problem in line["problems"]):
            assert problem["what"], number
            assert "internal" not in problem["what"], number
        again, text = printed(path, by, as_json=False)
        assert again == code, number
        with redirect_stdout(StringIO()) as explained:
            explain_input(str(path), by, [], "", as_json=bool(number % 2))
        for shown in (text, *([] if number % 2 else [explained.getvalue()])):
            assert not [char for char in STEERING if char in shown], number


@lru_cache
def ehr() -> Ehr:
    return Ehr()


@pytest.mark.parametrize("numbers", chunks(150), ids=str)
def test_the_service(numbers: range) -> None:
    services = sorted(ehr().services())
    for number in numbers:
        body = mutant(number)
        service = services[number % len(services)]
        with suppress(ValueError, KeyError, TypeError, RecursionError):
            service = f"ldn-{json.loads(body)['hook']}"
        if service not in services:
            service = services[0]
        before = len(ehr().events)
        answer = ehr().call(body, service)
        if answer.status_code == 200:
            check_response(answer)
        else:
            assert answer.status_code in (400, 412), (number, answer.text)
            assert check_outcome(answer, answer.status_code)
        for event in ehr().events[before:]:
            assert event["event"] == "call", number
            assert set(event) <= {"event", "request", "service", "status", "bytes", "ms", "rules"}


@pytest.mark.parametrize("number", range(START, START + 3 * LONG))
def test_an_audit_of_damaged_files(number: int, tmp_path: Path) -> None:
    chance = random.Random(number)
    folder = tmp_path / "in"
    if number % 3:
        write_export(folder, population(6), seed=number if chance.random() < 0.5 else None)
    if number % 3 != 1:
        write_bundles(folder / "bundles", population(6))
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    for path in chance.sample(files, min(len(files), chance.choice((1, 3, 8)))):
        damage(path, chance)
    for extra in range(3):
        (folder / f"mutant-{extra}.json").write_bytes(mutant(number * 3 + extra))
    options = Options(out=tmp_path / "out", workers=1, supplied=frozenset(), notes=(), as_json=True)
    with redirect_stdout(StringIO()) as out:
        code = audit([str(folder)], replace(BY, hook="audit"), options)
    summary = json.loads(out.getvalue())
    assert code == bool(summary["inputs"]["unreadable"])
    told = (tmp_path / "out" / "problems.ndjson").read_text().splitlines()
    for problem in map(json.loads, told):
        assert problem["what"]
        assert "could not be judged" not in problem["what"], (number, problem)
    for line in (tmp_path / "out" / "findings.ndjson").read_text().splitlines():
        assert json.loads(line)["rule"]


def damage(path: Path, chance: random.Random) -> None:
    data = path.read_bytes()
    lines = data.splitlines(keepends=True)
    if data and not path.name.endswith(".gz") and chance.random() < 0.6:
        place = chance.randrange(len(lines))
        lines[place] = json.dumps(mutated(json.loads(lines[place]), chance)).encode() + b"\n"
        path.write_bytes(b"".join(lines))
    elif data:
        try:
            path.write_bytes(broken(data, chance))
        except UnicodeDecodeError:  # compressed
            path.write_bytes(data[: len(data) // 2])
