"""How much of the service's time is judging: the real one against one that only parses the body.

Both run as processes of their own on loopback and get the same call, with 200 resources of prefetch
made from the examples, from the load generator `wrk` (Debian's package). The ratio is what counts;
requests a second depend on the machine. Run as `python benchmarks/service.py [seconds]`.
"""

from __future__ import annotations

import json
import shutil
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
RESOURCES = 200
PATH = "/cds-services/ldn-order-sign"
CONNECTIONS = (1, 32)
TURNS = 3
SCRIPT = Path(__file__).with_name("calls.lua")
# Both are the same program; the flag is not on the command line of the product.
SERVER = """
import gc, sys
gc.set_threshold(50_000, 20, 50)  # as `cds serve` has it
from datetime import UTC, datetime
from cds.hooks.app import Options, create_app
from cds.rulebook.pack import load_rulebook, shipped_pack
from cds.values.moment import zone
import socket, uvicorn
moment = datetime(2026, 6, 10, 14, tzinfo=UTC)
judging = sys.argv[1] == "judging"
app = create_app(load_rulebook(shipped_pack()), zone("America/New_York"), lambda: moment,
                 lambda event: None, Options(judging=judging))
listener = socket.create_server(("127.0.0.1", 0), backlog=2048)
print(listener.getsockname()[1], flush=True)
uvicorn.Server(uvicorn.Config(app, access_log=False, log_config=None)).run(sockets=[listener])
"""


# A record of many years: old entries of every type, as the examples write them, few that matter.
MIX = {
    "MedicationRequest": (60, {"status": "completed"}),
    "MedicationDispense": (30, {"status": "completed"}),
    "Condition": (50, {}),
    "ServiceRequest": (20, {"status": "completed"}),
    "Appointment": (20, {"status": "fulfilled"}),
}
DRUGS = (
    "amoxicillin 500 MG Oral Capsule",
    "lisinopril 10 MG Oral Tablet",
    "atorvastatin 20 MG Oral Tablet",
    "ibuprofen 400 MG Oral Tablet",
    "metformin hydrochloride 500 MG Oral Tablet",
)


def call_body() -> bytes:
    """The first example's call with its own prefetch and old entries, 200 resources in all."""
    request = json.loads((ROOT / "fhir_examples/01-opioid-active/request.json").read_bytes())
    models: dict[str, dict[str, Any]] = {}
    own: dict[str, list[dict[str, Any]]] = {}
    for path in sorted(ROOT.glob("fhir_examples/*/request.json")):
        for value in json.loads(path.read_bytes())["prefetch"].values():
            for item in _resources(value):
                models.setdefault(item["resourceType"], item)
    for key, value in list(request["prefetch"].items()):
        for item in _resources(value):
            own.setdefault(item["resourceType"], []).append(item)
            request["prefetch"].pop(key, None)
    for kind, (number, changes) in MIX.items():
        found = own.setdefault(kind, [])
        found += [_old(models[kind], position, changes) for position in range(number - len(found))]
    for kind, items in own.items():
        entries = [{"resource": item} for item in items]
        request["prefetch"][kind] = {
            "resourceType": "Bundle",
            "type": "searchset",
            "entry": entries,
        }
    held = sum(len(items) for items in own.values())
    assert held >= RESOURCES - 20, held
    return json.dumps(request).encode()


def _old(model: dict[str, Any], number: int, changes: dict[str, str]) -> dict[str, Any]:
    """A copy of a resource, years earlier, about something else."""
    text = json.dumps(model).replace('"2026-', f'"{2000 + number % 20}-')
    copy: dict[str, Any] = {**json.loads(text), "id": f"old-{number}", **changes}
    if "medicationCodeableConcept" in copy:
        copy["medicationCodeableConcept"] = {"text": DRUGS[number % len(DRUGS)]}
    elif "code" in copy:
        copy["code"] = {"text": f"Finding {number}"}
    for name in ("basedOn", "authorizingPrescription", "reasonCode", "reasonReference"):
        copy.pop(name, None)
    return copy


def _resources(value: Any) -> list[dict[str, Any]]:
    if not isinstance(value, dict) or value.get("resourceType") in ("Patient", "OperationOutcome"):
        return []
    if value.get("resourceType") == "Bundle":
        return [item["resource"] for item in value.get("entry", [])]
    return [value]


def _load(port: int, body: Path, connections: int, seconds: float) -> tuple[float, float, float]:
    """Requests a second and the latencies p50 and p99 in ms, as the load generator wrk has them."""
    command = [
        "wrk",
        "-t1",
        f"-c{connections}",
        f"-d{seconds:g}s",
        "--timeout",
        "10s",
        "--latency",
        "-s",
        str(SCRIPT),
    ]
    done = subprocess.run(
        [*command, f"http://127.0.0.1:{port}{PATH}", "--", str(body)],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    rate, p50, p99, failed = (float(found) for found in done.stdout.splitlines()[-1].split())
    assert not failed, done.stdout
    return rate, p50 / 1000, p99 / 1000


def _start(mode: str) -> tuple[subprocess.Popen[bytes], int]:
    process = subprocess.Popen(
        [sys.executable, "-c", SERVER, mode], stdout=subprocess.PIPE, cwd=ROOT
    )
    assert process.stdout is not None
    return process, int(process.stdout.readline())


def measure(seconds: float) -> None:
    """Prints requests a second and latencies of both, taken in turns, and their ratio."""
    if shutil.which("wrk") is None:
        sys.exit("wrk is needed, a load generator: apt-get install wrk")
    servers = {mode: _start(mode) for mode in ("judging", "parsing")}
    with tempfile.TemporaryDirectory() as folder:
        body = Path(folder) / "call.json"
        body.write_bytes(call_body())
        print(f"{RESOURCES} resources of prefetch, {body.stat().st_size / 1024:.0f} KiB a call")
        try:
            for _, port in servers.values():
                _load(port, body, 1, 1)
            for connections in CONNECTIONS:
                _compare(servers, body, connections, seconds)
        finally:
            for process, _ in servers.values():
                process.terminate()
                process.wait()


def _compare(
    servers: dict[str, tuple[subprocess.Popen[bytes], int]],
    body: Path,
    connections: int,
    seconds: float,
) -> None:
    """Three turns of both; the median of what each turn's ratio was."""
    ratios = []
    for _ in range(TURNS):
        rates = {}
        for mode, (_, port) in servers.items():
            rate, p50, p99 = _load(port, body, connections, seconds)
            rates[mode] = rate
            print(
                f"{connections:3} connections, {mode}: {rate:7.0f} requests/s,"
                f" p50 {p50:6.1f} ms, p99 {p99:6.1f} ms"
            )
        ratios.append(rates["judging"] / rates["parsing"])
    shown = f"{statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})"
    print(f"{connections:3} connections, ratio: {shown}; goal: at least 0.60")


if __name__ == "__main__":
    measure(float(sys.argv[1]) if len(sys.argv) > 1 else 5.0)
