"""What the report calls that which was judged: patients, or orders, each at its own moment."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec


class Wording(msgspec.Struct, frozen=True):
    """Words for what the counts of a report are of.

    ``one`` and ``many`` name it, ``everybody`` and ``nobody`` all and none of it; ``day`` is what a
    picture calls the day that it was judged for.
    """

    one: str
    many: str
    everybody: str
    nobody: str
    somebody: str
    day: str

    @property
    def title(self) -> str:
        """The plural as a heading has it."""
        return self.many.capitalize()


PATIENTS = Wording("patient", "patients", "everybody", "nobody", "somebody", "day judged for")
ORDERS = Wording("order", "orders", "every order", "no order", "some order", "day of the order")


def wording(summary: Mapping[str, Any]) -> Wording:
    """The words for an audit, by what its summary counts."""
    return ORDERS if summary["orders"] is not None else PATIENTS
