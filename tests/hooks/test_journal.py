"""The log: lines of JSON that a machine reads, and that nobody waits for."""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Iterator
from typing import Any

import pytest

from cds.hooks import journal
from cds.hooks.journal import MAX_LINE, Journal, take_over_logging
from cds.hooks.validation import Validation
from tests.records import AS_OF


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    ends = os.pipe()
    yield ends
    for end in ends:
        os.close(end)


def read(end: int) -> list[dict[str, Any]]:
    return [json.loads(line) for line in os.read(end, 1_000_000).splitlines()]


def test_an_event_has_its_moment_and_level(pipe: tuple[int, int]) -> None:
    written = Journal(lambda: AS_OF, pipe[1])
    written.write({"event": "call", "status": 200})
    written.write({"event": "store", "error": "OSError"})
    written.write({"event": "worker", "level": "error"})
    at = "2026-06-10T14:00:00.000Z"
    assert read(pipe[0]) == [
        {"time": at, "level": "info", "event": "call", "status": 200},
        {"time": at, "level": "warning", "event": "store", "error": "OSError"},
        {"time": at, "level": "error", "event": "worker"},
    ]


def test_a_line_fits_into_a_pipe_whole(pipe: tuple[int, int]) -> None:
    written = Journal(lambda: AS_OF, pipe[1])
    written.write({"event": "call", "status": 200, "rules": ["x" * 100] * 60})
    data = os.read(pipe[0], 100_000)
    assert len(data) <= MAX_LINE
    found = json.loads(data)
    assert (found["event"], found["status"], found["shortened"]) == ("call", 200, True)


def test_what_nobody_reads_is_dropped_and_told_later(
    pipe: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(journal, "MAX_WAITING", 10)
    written = Journal(lambda: AS_OF, pipe[1])
    written._queue.maxsize = 10
    written.start()
    for number in range(2_000):
        written.write({"event": "call", "number": number, "filling": "x" * 200})
    lost = written.dropped
    assert lost > 1_000
    calls, told, rest = 0, 0, b""
    while (calls, told) != (2_000 - lost, lost):
        *whole, rest = (rest + os.read(pipe[0], 100_000)).split(b"\n")
        found = [json.loads(line) for line in whole]
        calls += sum(event["event"] == "call" for event in found)
        told += sum(event["dropped"] for event in found if event["event"] == "log")
    written.close()


def test_before_there_is_a_thread_a_full_pipe_is_not_waited_for(pipe: tuple[int, int]) -> None:
    written = Journal(lambda: AS_OF, pipe[1])
    for _ in range(1_000):
        written.write({"event": "call", "filling": "x" * 200})
    assert 0 < written.dropped < 1_000
    assert len(read(pipe[0])) == 1_000 - written.dropped


def test_what_libraries_log_quotes_nothing() -> None:
    events: list[Any] = []
    root, server = logging.getLogger(), logging.getLogger("uvicorn")
    kept = root.handlers, root.level, server.handlers, server.level, server.propagate
    try:
        take_over_logging(events.append)
        logging.getLogger("uvicorn.error").warning("Invalid %s", "Maria")
        logging.getLogger("uvicorn.error").info("Started")
        logging.getLogger("another.module").error("about %s", "x", exc_info=KeyError("Maria"))
    finally:
        root.handlers, server.handlers, server.propagate = kept[0], kept[2], kept[4]
        root.setLevel(kept[1])
        server.setLevel(kept[3])
    assert events == [
        {"event": "server", "level": "warning", "message": "Invalid %s"},
        {"event": "server", "level": "error", "error": "KeyError"},
    ]


@pytest.mark.parametrize(("data", "code"), [(b"", -9), (b"", 0), (b"{", 0), (b"{}", 1)])
def test_a_validation_that_did_not_end_well_found_an_error(data: bytes, code: int) -> None:
    from tempfile import TemporaryFile

    answer = TemporaryFile()  # noqa: SIM115 - the validation closes it
    answer.write(data)
    verdict = Validation(0, 0.0, answer).verdict(code)
    assert verdict.errors == (f"the process that validates the rules ended with code {code}",)
    assert verdict.total == 1
