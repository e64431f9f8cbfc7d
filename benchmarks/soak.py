"""Whether the service keeps its memory over very many calls.

`cds serve` with its store, as a site runs it, gets the calls of all examples in turn from the load
generator `wrk` (Debian's package), in several rounds; after each the memory of its processes is
printed. Flat means that the last rounds are as large as the second: the first fills caches. Run as
`python benchmarks/soak.py [calls]`.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parent.parent
SCRIPT = Path(__file__).with_name("calls.lua")
CALLS, ROUND_SECONDS, CONNECTIONS = 200_000, 20, 8


def write_calls(folder: Path) -> list[str]:
    """The examples' calls, each named after the service that it is for."""
    written = []
    for path in sorted(ROOT.glob("fhir_examples/*/request.json")):
        hook = json.loads(path.read_bytes())["hook"]
        target = folder / f"{path.parent.name}@ldn-{hook}.json"
        target.write_bytes(path.read_bytes())
        written.append(str(target))
    return written


def memory(pid: int) -> dict[int, int]:
    """Resident KiB of a process and of its children."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    found = {}
    for each in (pid, *map(int, children)):
        status = Path(f"/proc/{each}/status").read_text()
        match = re.search(r"VmRSS:\s+(\d+)", status)
        found[each] = int(match[1]) if match else 0
    return found


def soak(calls: int) -> None:
    """Prints, round by round, how many calls were answered and how large the processes are."""
    if shutil.which("wrk") is None:
        sys.exit("wrk is needed, a load generator: apt-get install wrk")
    with tempfile.TemporaryDirectory() as folder:
        env = {**os.environ, "XDG_STATE_HOME": folder}
        server = subprocess.Popen(
            [sys.executable, "-m", "cds", "serve", "--port", "0"], stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL, env=env, cwd=ROOT, text=True,
        )  # fmt: skip
        assert server.stdout is not None
        url = server.stdout.readline().strip()
        try:
            _rounds(url, server.pid, write_calls(Path(folder)), calls)
        finally:
            server.terminate()
            server.wait()


def _rounds(url: str, pid: int, bodies: list[str], calls: int) -> None:
    answered, sizes = 0, []
    while answered < calls:
        load = ["wrk", "-t1", f"-c{CONNECTIONS}", f"-d{ROUND_SECONDS}s", "-s", str(SCRIPT), url]
        done = subprocess.run([*load, "--", *bodies], capture_output=True, text=True, check=True)
        rate, _, p99, failed = (float(found) for found in done.stdout.splitlines()[-1].split())
        assert not failed, done.stdout
        answered += round(rate * ROUND_SECONDS)
        found = memory(pid)
        sizes.append(sum(found.values()))
        shown = ", ".join(f"{size / 1024:.1f}" for size in found.values())
        print(
            f"{answered:8} calls, {rate:5.0f}/s, p99 {p99 / 1000:5.1f} ms, MiB: {shown}", flush=True
        )
    print(f"from the second round to the last: {(sizes[-1] - sizes[1]) / 1024:+.1f} MiB")


if __name__ == "__main__":
    soak(int(sys.argv[1]) if len(sys.argv) > 1 else CALLS)
