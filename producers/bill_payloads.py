"""The VietQR payloads of many bills of one biller at once.

In: a payee's template, amounts and bill numbers as columns. Out: a column of payloads, those of
`schemas.qr.PayloadTemplate.dynamic`; a property test holds both equal.
The checksum of each is the sum, by exclusive or, of what its pieces add where they stand: CRC is linear.
"""

from __future__ import annotations

from binascii import crc_hqx
from functools import cache, lru_cache
from typing import Final

import numpy as np
import numpy.typing as npt
import polars as pl

from producers.digits import digits, index
from producers.simulation.columns import IntArray
from schemas.errors import BadInputError
from schemas.qr import PayloadTemplate
from schemas.qr.crc import INITIAL

_Sums = npt.NDArray[np.uint16]
_CHUNK: Final = 4
_RADIX: Final = 10**_CHUNK
"""Numbers are looked up by four digits at a time."""
_POWERS: Final = 10 ** np.arange(1, 19)


def bill_payloads(template: PayloadTemplate, amount_vnd: IntArray, prefix: str, number: IntArray) -> pl.Series:
    """Return a payload for each bill, shape (n,).

    Args:
        template: the payee.
        amount_vnd: whole VND.
        prefix: what the bill numbers begin with.
        number: how they go on: whole numbers from 1 on, all of as many digits.

    Raises:
        BadInputError: if amounts or bill numbers are none that a payload takes, told of the least or the greatest.
    """
    for row in {int(numbers.argmin()) for numbers in (amount_vnd, -amount_vnd, number)}:
        template.dynamic(int(amount_vnd[row]), f"{prefix}{number[row]}")
    size, width = _digit_count(amount_vnd), _width(number)
    front, middle, end = template.around(len(prefix) + width)
    tail = len(end.encode())
    amount_tail = len(f"{middle}{prefix}") + width + tail
    heads = [f"54{count:02d}" for count in range(len(_POWERS) + 1)]
    fixed = [
        _without_digits(f"{front}{head}", count, f"{middle}{prefix}", width, end) for count, head in enumerate(heads)
    ]
    sums = np.array(fixed, dtype=np.uint16)[size] ^ _added(amount_vnd, amount_tail) ^ _added(number, tail)
    columns = [
        pl.lit(front),
        pl.Series(heads)[index(size)],
        digits(amount_vnd),
        pl.lit(f"{middle}{prefix}"),
        digits(number),
        pl.lit(end),
        _hexadecimal()[index(sums)],
    ]
    return pl.select(pl.concat_str(columns)).to_series()


def _digit_count(numbers: IntArray) -> IntArray:
    return np.searchsorted(_POWERS, numbers, side="right") + 1


def _width(number: IntArray) -> int:
    least, greatest = int(number.min()), int(number.max())
    if least < 1 or len(str(least)) != len(str(greatest)):
        raise BadInputError(
            "qr build", f"bill numbers from {least} to {greatest}", "allowed: from 1 on, as many digits"
        )
    return len(str(least))


def _without_digits(front: str, size: int, middle: str, width: int, end: str) -> int:
    """Return the CRC of a payload in which zero bytes stand where the amount's and the bill number's digits do."""
    return crc_hqx(f"{front}{chr(0) * size}{middle}{chr(0) * width}{end}".encode(), INITIAL)


def _added(numbers: IntArray, behind: int) -> _Sums:
    """Return what the digits of numbers add to the CRC when so many bytes stand behind them."""
    sums = np.zeros(len(numbers), dtype=np.uint16)
    while numbers.any():
        rest = numbers // _RADIX
        chunk = numbers - _RADIX * rest
        sums ^= _chunks(behind)[np.where(rest > 0, chunk + _RADIX, chunk)]
        numbers, behind = rest, behind + _CHUNK
    return sums


@lru_cache(maxsize=256)
def _chunks(behind: int) -> _Sums:
    """Return what four digits add: first for those with nothing before them, then for those with leading zeros kept."""
    zeros = bytes(behind)
    high, low = (np.array([crc_hqx(zeros, byte << shift) for byte in range(256)], dtype=np.uint16) for shift in (8, 0))
    alone = _chunks_at_the_end()
    return np.asarray(high[alone >> 8] ^ low[alone & 0xFF], dtype=np.uint16)


@cache
def _chunks_at_the_end() -> _Sums:
    texts = ["", *map(str, range(1, _RADIX)), *(f"{number:0{_CHUNK}d}" for number in range(_RADIX))]
    return np.array([crc_hqx(text.encode(), 0) for text in texts], dtype=np.uint16)


@cache
def _hexadecimal() -> pl.Series:
    return pl.Series([f"{number:04X}" for number in range(1 << 16)])
