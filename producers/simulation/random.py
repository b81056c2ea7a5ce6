"""Counter-based randomness: each draw depends on what it is for, and on nothing drawn before.

In: a seed, the names of a cell and a purpose, a day. Out: a numpy Generator at that place of the Philox space.
So the same seed gives the same payments whatever the tick, the speed, the shard or the number of processes.
"""

from __future__ import annotations

import hashlib
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt
from numpy.random.bit_generator import ISeedSequence

U64 = (1 << 64) - 1


@lru_cache(maxsize=65_536)
def _key(*names: str) -> int:
    return int.from_bytes(hashlib.blake2b("\n".join(names).encode(), digest_size=8).digest(), "little")


def generator(seed: int, *names: str, day: int = 0) -> np.random.Generator:
    """Return the generator for one seed, purpose and day.

    Args:
        seed: seed of the run, 0 to 2**63 - 1.
        names: what the draws are for, such as a cell and a purpose.
        day: simulated day, may be negative.

    The Philox key is (seed, hash of the names); the day is the highest word of its counter, so that no two
    days overlap before 2**192 draws.
    """
    philox = np.random.Philox(_seed(seed, *names), counter=_counter(day))  # type: ignore[arg-type]  # any ISeedSequence
    return np.random.Generator(philox)


class _Key(ISeedSequence):
    """Hands a key to Philox. Given by its own argument, numpy asks the system for chance first, and throws it away."""

    def __init__(self, words: npt.NDArray[np.uint64]) -> None:
        self._words = words

    def generate_state(self, n_words: int, dtype: Any = np.uint64) -> npt.NDArray[np.uint64]:
        """Return the key."""
        return self._words


@lru_cache(maxsize=65_536)
def _seed(seed: int, *names: str) -> _Key:
    return _Key(np.array([seed & U64, _key(*names)], dtype=np.uint64))


@lru_cache(maxsize=64)
def _counter(day: int) -> npt.NDArray[np.uint64]:
    """Return the counter with which a day begins; Philox takes a copy of it."""
    return np.array([0, 0, 0, day & U64], dtype=np.uint64)


_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_MIX = (np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB))
_BITS = 53


def further(luck: npt.NDArray[np.float64], count: int) -> npt.NDArray[np.float64]:
    """Draw on from draws made before: what is rare takes its chance from the payment's own draws.

    So the fate of one payment never moves another's. Each draw's bits are the seed of a SplitMix64 sequence
    (Steele, Lea, Flood 2014: "Fast splittable pseudorandom number generators").

    Args:
        luck: uniform draws in [0, 1), shape (n,).
        count: how many more of each.

    Returns:
        Uniform draws in [0, 1), shape (count, n).
    """
    seeds = (luck * 2.0**_BITS).astype(np.uint64) * _MIX[0]
    steps = np.arange(1, count + 1, dtype=np.uint64)[:, None] * _GOLDEN
    return _uniform(seeds[None, :] + steps)


def keyed(seed: int, name: str, keys: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
    """Draw one uniform in [0, 1) for each key, whatever the other keys; keys below 2**63, shape (n,).

    SplitMix64 twice: of the key, and of what it gives moved by the seed and the purpose.
    """
    offset = np.uint64((seed * 0x9E3779B97F4A7C15 + _key(name)) & U64)
    return _uniform(_mixed(keys.astype(np.uint64) * _GOLDEN + offset) + _GOLDEN)


def _mixed(state: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint64]:
    state = (state ^ (state >> np.uint64(30))) * _MIX[0]
    state = (state ^ (state >> np.uint64(27))) * _MIX[1]
    return np.asarray(state ^ (state >> np.uint64(31)))


def _uniform(state: npt.NDArray[np.uint64]) -> npt.NDArray[np.float64]:
    return np.asarray((_mixed(state) >> np.uint64(64 - _BITS)) * 2.0**-_BITS)
