"""Counter-based randomness: each draw depends on what it is for, and on nothing drawn before.

In: a seed, the names of a cell and a purpose, a day. Out: a numpy Generator at that place of the Philox space.
So the same seed gives the same payments whatever the tick, the speed, the shard or the number of processes.
"""

from __future__ import annotations

import hashlib
from functools import lru_cache

import numpy as np

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
    counter = np.array([0, 0, 0, day & U64], dtype=np.uint64)
    key = np.array([seed & U64, _key(*names)], dtype=np.uint64)
    return np.random.Generator(np.random.Philox(key=key, counter=counter))
