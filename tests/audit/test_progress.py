"""In a log a long run tells how far it is; a short one says nothing."""

from __future__ import annotations

import re

import pytest

from cds.audit import progress
from cds.audit.progress import Bar

LINE = re.compile(r"judging: 60 %, 5 orders, [\d,]+/s, [\d,.]+ MB/s, about 1 min left")


def told(capsys: pytest.CaptureFixture[str]) -> str:
    with Bar("orders") as bar:
        bar.begin("sorting", 10)
        bar.begin("judging", 100)
        bar.skip(20)
        bar.advance(40, 5)
    found = capsys.readouterr()
    assert found.out == ""
    return found.err


def test_a_long_run_says_how_far_it_is(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(progress, "_EVERY_LINE", 0)
    assert LINE.fullmatch(told(capsys).strip())


def test_a_short_run_says_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    assert told(capsys) == ""
