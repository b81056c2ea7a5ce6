"""Partitions of many keys at once, as Kafka's default partitioner chooses them: murmur2 of the key.

In: keys. Out: partitions, shape (n,).
"""

from __future__ import annotations

from functools import lru_cache
from typing import Final

import numpy as np
import numpy.typing as npt

from producers.encoding import partition_of
from producers.simulation.columns import IntArray

FEW: Final = 64
"""Up to so many keys, one by one takes less time."""
_SEED, _MIX, _SHIFT, _WORD = 0x9747B28C, np.uint32(0x5BD1E995), np.uint32(24), 4
_known = lru_cache(maxsize=1 << 16)(partition_of)


def partitions_of(keys: list[bytes], partitions: int) -> IntArray:
    """Return the partition of each key."""
    if len(keys) <= FEW:
        return np.array([_known(key, partitions) for key in keys], dtype=np.int64)
    sizes = np.fromiter(map(len, keys), dtype=np.int64, count=len(keys))
    hashes = np.zeros(len(keys), dtype=np.uint32)
    for size in np.unique(sizes).tolist():
        row = np.flatnonzero(sizes == size)
        joined = b"".join([keys[place] for place in row.tolist()])
        hashes[row] = _murmur2(np.frombuffer(joined, dtype=np.uint8).reshape(len(row), size))
    return (hashes & np.uint32(0x7FFFFFFF)).astype(np.int64) % partitions


def _murmur2(keys: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint32]:
    """Return the hashes of keys of one length, shape (n, length)."""
    length = keys.shape[1]
    whole = length // _WORD
    words = np.ascontiguousarray(keys[:, : whole * _WORD]).view("<u4").astype(np.uint32)
    hashed = np.full(len(keys), _SEED ^ length, dtype=np.uint32)
    for word in words.reshape(len(keys), whole).T:
        mixed = word * _MIX
        hashed = (hashed * _MIX) ^ ((mixed ^ (mixed >> _SHIFT)) * _MIX)
    rest = keys[:, whole * _WORD :].astype(np.uint32)
    for place in range(rest.shape[1]):
        hashed = hashed ^ (rest[:, place] << np.uint32(8 * place))
    if rest.shape[1]:
        hashed = hashed * _MIX
    hashed = (hashed ^ (hashed >> np.uint32(13))) * _MIX
    return hashed ^ (hashed >> np.uint32(15))
