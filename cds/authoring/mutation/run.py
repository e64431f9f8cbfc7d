"""Tries every mutant, on as many processes as there are cores; the result does not depend on it."""

from __future__ import annotations

import gc
import multiprocessing
from collections.abc import Iterable, Iterator, Sequence
from typing import TypeVar

import msgspec

from cds.authoring.mutation.mutant import Mutant
from cds.authoring.mutation.trial import Trial
from cds.authoring.terminal import progress
from cds.rulebook.pack import no_garbage

T = TypeVar("T")

_CHUNK = 4
# What a mutant leaves behind is looked for once in so many.
_COLLECT = 16
# What the forked workers find here: the trial that their parent has made ready.
_trials: list[tuple[Trial, Sequence[Mutant]]] = []


class Verdicts(msgspec.Struct, frozen=True):
    """Which mutants some scenario fails on, which none; each by place."""

    killed: tuple[Mutant, ...]
    survived: tuple[Mutant, ...]


def try_all(trial: Trial, mutants: Sequence[Mutant], workers: int) -> Verdicts:
    """The verdict on each mutant. One process does it all where processes cannot be forked."""
    forks = "fork" in multiprocessing.get_all_start_methods()
    found = _forked(trial, mutants, workers) if forks and workers > 1 else _here(trial, mutants)
    return Verdicts(
        tuple(mutant for number, mutant in enumerate(mutants) if found[number]),
        tuple(mutant for number, mutant in enumerate(mutants) if not found[number]),
    )


def _here(trial: Trial, mutants: Sequence[Mutant]) -> list[bool]:
    return [trial.killer(mutant) is not None for mutant in _told(mutants, len(mutants))]


def _forked(trial: Trial, mutants: Sequence[Mutant], workers: int) -> list[bool]:
    _trials.append((trial, mutants))
    # What the parent holds is not to be copied by a worker that merely counts its garbage.
    gc.freeze()
    try:
        # The workers come before any bar is drawn: its thread must not be forked.
        with multiprocessing.get_context("fork").Pool(workers) as pool:
            found = pool.imap_unordered(_try, range(len(mutants)), _CHUNK)
            verdicts = dict(_told(found, len(mutants)))
    finally:
        gc.unfreeze()
        _trials.pop()
    return [verdicts[number] for number in range(len(mutants))]


def _told(items: Iterable[T], total: int) -> Iterator[T]:
    return progress(items, total, "mutants")


def _try(number: int) -> tuple[int, bool]:
    trial, mutants = _trials[-1]
    with no_garbage():
        found = trial.killer(mutants[number]) is not None
    if number % _COLLECT == 0:
        gc.collect()
    return number, found
