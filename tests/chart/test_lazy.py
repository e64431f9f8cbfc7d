"""Without simdjson (no wheel for a Python or a machine) every answer is the same."""

from __future__ import annotations

import subprocess
import sys

from tests.records import ROOT

WITHOUT = "import sys; sys.modules['simdjson'] = None; from cds.cli import main; main()"
MOMENT = ("--as-of", "2026-06-10T10:00:00-04:00", "--timezone", "America/New_York")
BUNDLES = ("fhir_examples/06-ldn-text-only", "fhir_examples/18-several-patients")


def printed(*program: str) -> str:
    done = subprocess.run(
        [sys.executable, *program, "check", *BUNDLES, "--format", "json", *MOMENT],
        cwd=ROOT,
        capture_output=True,
        check=True,
        timeout=60,
    )
    return done.stdout.decode()


def test_the_answers_are_the_same_without_it() -> None:
    assert printed("-c", WITHOUT) == printed("-m", "cds")
    assert '"cards":[{' in printed("-m", "cds")
