"""What holds for every test: a time zone that is not UTC, and examples that can be repeated."""

from __future__ import annotations

import atexit
import os
import shutil
import tempfile
import time

import pytest
from hypothesis import settings

# Not UTC, and not a whole hour off it: code that asks the machine's zone gives itself away.
os.environ["TZ"] = "Asia/Kathmandu"
if hasattr(time, "tzset"):
    time.tzset()

# A service that is started without a store of its own keeps it here, not with the user's.
os.environ["XDG_STATE_HOME"] = tempfile.mkdtemp(prefix="cds-tests-")
atexit.register(shutil.rmtree, os.environ["XDG_STATE_HOME"], ignore_errors=True)

settings.register_profile("local", deadline=None)
settings.register_profile("ci", deadline=None, derandomize=True, print_blob=True)
settings.load_profile("ci" if os.environ.get("CI") else "local")


def pytest_addoption(parser: pytest.Parser) -> None:
    """``--update`` rewrites goldens; a person reads the difference."""
    parser.addoption("--update", action="store_true", help="rewrite the goldens of fhir_examples")
