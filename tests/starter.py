"""`cds` in a process of its own, forked from one that has imported it: a start is paid for once.

What a start itself does (imports, encodings, signals) is tried by the tests that start Python.
"""

from __future__ import annotations

import atexit
import json
import os
import select
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parent.parent
SECONDS = 120

# Reads a line for each command, forks, and writes how the child ended. The child has the files as
# its streams, and ends as Python ends, exit handlers included.
_PROGRAM = """
import json, os, sys, time
from cds.cli import main
import cds.audit.run, cds.authoring.check, cds.authoring.explain, cds.authoring.lint
import cds.authoring.bench, cds.second.opinion

asked, told = os.fdopen(os.dup(0), "r"), os.fdopen(os.dup(1), "w")
for line in iter(asked.readline, ""):
    call = json.loads(line)
    pid = os.fork()
    if pid:
        told.write(f"{os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])}\\n")
        told.flush()
        continue
    asked.close()
    os.close(told.fileno())
    for number, (name, flags) in enumerate(zip(call["streams"], (os.O_RDONLY, os.O_WRONLY, os.O_WRONLY))):
        os.dup2(os.open(name, flags), number)
    os.chdir(call["cwd"])
    os.environ.clear()
    os.environ.update(call["env"])
    time.tzset()
    sys.stdin, sys.stdout = open(0, closefd=False), open(1, "w", closefd=False)
    sys.stderr = open(2, "w", errors="backslashreplace", closefd=False)
    sys.argv = ["cds", *call["args"]]
    main()
    sys.exit()
"""


@cache
def _process() -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [sys.executable, "-c", _PROGRAM],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    atexit.register(_end, process)
    return process


def _end(process: subprocess.Popen[str]) -> None:
    assert process.stdin is not None
    assert process.stdout is not None
    process.kill()
    process.wait()
    process.stdin.close()
    process.stdout.close()


def run(
    args: Sequence[str], stdin: bytes, cwd: Path, env: Mapping[str, str]
) -> subprocess.CompletedProcess[bytes]:
    """Runs `cds` with these arguments. Raises TimeoutExpired after two minutes."""
    process = _process()
    assert process.stdin is not None
    assert process.stdout is not None
    with tempfile.TemporaryDirectory() as folder:
        files = [Path(folder) / name for name in ("in", "out", "err")]
        for file, content in zip(files, (stdin, b"", b""), strict=True):
            file.write_bytes(content)
        call = {"args": args, "streams": [str(file) for file in files], "cwd": str(cwd)}
        process.stdin.write(json.dumps({**call, "env": dict(env)}) + "\n")
        process.stdin.flush()
        if not select.select([process.stdout], [], [], SECONDS)[0]:
            _end(process)
            _process.cache_clear()
            raise subprocess.TimeoutExpired(["cds", *args], SECONDS)
        code = int(process.stdout.readline())
        return subprocess.CompletedProcess(
            ["cds", *args], code, files[1].read_bytes(), files[2].read_bytes()
        )
