"""100,000 feedbacks from concurrent writers while the service is killed: none lost, none doubled.

On SQLite, and on PostgreSQL where it is installed (a server of its own, with fsync, which is killed
as well). Clients speak HTTP to `cds serve` and repeat whatever was not acknowledged. Run as
`python benchmarks/feedback.py [entries] [kills]`; exit 1 if anything is lost or doubled.
"""

from __future__ import annotations

import signal
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))

from tests.databases import Database  # noqa: E402
from tests.hooks.killing import Plan, missing_and_doubled, under_fire  # noqa: E402
from tests.postgres import MISSING, Server, binaries  # noqa: E402

WRITERS = 16


def tried(database: Database, plan: Plan) -> bool:
    """Runs the plan on one database and prints its figures; whether nothing is wrong."""
    crashes = 0

    def crash(number: int) -> None:
        nonlocal crashes
        if database.server is not None and number % 3 == 1:
            database.server.stop(signal.SIGQUIT)
            database.server.start()
            crashes += 1

    told = under_fire(database.url, plan, crash)
    rows = database.rows("select card, outcome, at from feedback")
    missing, doubled = missing_and_doubled(plan, rows)
    print(
        f"{database.kind}: {told.acknowledged} of {plan.total} acknowledged to {plan.writers}"
        f" writers in {told.seconds:.1f} s ({told.acknowledged / told.seconds:.0f} entries/s,"
        f" {told.calls / told.seconds:.0f} calls/s, restarts included)"
    )
    print(
        f"  service killed {told.kills} times, database {crashes} times; {told.cut} calls cut,"
        f" {told.refused} answered 503, {told.repeated} batches sent twice"
    )
    print(
        f"  stored {len(rows)}, missing {missing}, doubled {doubled}; {told.wrong or 'no faults'}"
    )
    return not (missing or doubled or told.wrong) and len(rows) == plan.total


def main() -> int:
    total, kills = (int(word) for word in (sys.argv[1:] + ["100000", "6"][len(sys.argv) - 1 :])[:2])
    plan = Plan(total, WRITERS, kills)
    with tempfile.TemporaryDirectory() as folder:
        good = tried(Database(f"sqlite:///{folder}/store.sqlite"), plan)
    found = binaries()
    if found is None:
        print(f"postgresql: not tried. {MISSING}")
        return 0 if good else 1
    server = Server.start_new(found, lasting=True)
    try:
        good = tried(Database(server.new_database(), server), plan) and good
    finally:
        server.close()
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
