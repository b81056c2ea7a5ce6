"""The checksum of object 63: text in, 16 bits out.

CRC-16/CCITT-FALSE (polynomial 1021, initial FFFF, no reflection, no final xor; "123456789" gives 29B1) over
the UTF-8 of everything before the four digits, "6304" included (NAPAS VietQR v1.0, 5.2.15).
"""

from __future__ import annotations

from binascii import crc_hqx
from typing import Final

INITIAL: Final = 0xFFFF


def crc16(text: str, state: int = INITIAL) -> int:
    """CRC of text; pass the CRC of what precedes it as `state` to go on from there.

    Raises:
        UnicodeEncodeError: text holds a lone surrogate.
    """
    return crc_hqx(text.encode(), state)


def seal(text: str, state: int = INITIAL) -> str:
    """Text, which ends in "6304", with its CRC's four digits behind it."""
    return f"{text}{crc_hqx(text.encode(), state):04X}"
