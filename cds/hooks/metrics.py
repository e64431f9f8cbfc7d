"""What ``GET /metrics`` says: counts in the text format that Prometheus reads (version 0.0.4).

There is nothing of a patient in it: services, states, rules and numbers.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from cds.hooks.opinion import OUTCOMES, SecondOpinion

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


@dataclass(slots=True)
class Metrics:
    """Counts of one service since it started."""

    opinion: SecondOpinion | None = None
    calls: Counter[tuple[str, int]] = field(default_factory=Counter)
    seconds: Counter[str] = field(default_factory=Counter)

    def call(self, service: str, status: int, seconds: float) -> None:
        """Counts one call that was answered."""
        self.calls[service, status] += 1
        # A Counter adds whatever can be added.
        self.seconds[service] += seconds  # type: ignore[assignment]

    def render(self) -> str:
        """The page."""
        lines = [
            *_metric(
                "cds_calls_total",
                "Calls answered, by service and HTTP status.",
                (
                    ({"service": service, "status": str(status)}, count)
                    for (service, status), count in sorted(self.calls.items())
                ),
            ),
            *_metric(
                "cds_call_seconds_total",
                "Seconds spent on calls, by service.",
                (({"service": name}, total) for name, total in sorted(self.seconds.items())),
            ),
        ]
        if self.opinion is not None:
            lines += _opinion(self.opinion)
        return "\n".join(lines) + "\n"


def _opinion(opinion: SecondOpinion) -> list[str]:
    outcomes, rules = opinion.outcomes, dict(opinion.rules)
    return [
        *_metric(
            "cds_second_opinions_total",
            "Answers that the second engine judged again, by outcome.",
            (({"outcome": name}, outcomes[name]) for name in OUTCOMES),
        ),
        *_metric(
            "cds_second_opinion_disagreements_total",
            "Answers about which the engines disagree, by rule.",
            (({"rule": name}, count) for name, count in sorted(rules.items())),
        ),
        *_metric(
            "cds_second_engine_starts_total",
            "Child processes started for the second engine.",
            [({}, opinion.children)],
        ),
    ]


def _metric(name: str, what: str, samples: Iterable[tuple[Mapping[str, str], float]]) -> list[str]:
    lines = [f"# HELP {name} {what}", f"# TYPE {name} counter"]
    for labels, value in samples:
        told = ",".join(f'{key}="{_escaped(text)}"' for key, text in labels.items())
        lines.append(f"{name}{{{told}}} {value:g}" if told else f"{name} {value:g}")
    return lines


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
