"""Tag-length-value text, as EMVCo QRCPS uses it: text in, objects by ID out, and back.

An object is a two-digit ID, a two-digit length and a value of 1-99 characters. Lengths count characters,
not bytes (NAPAS VietQR v1.0, 5.1).
"""

from __future__ import annotations

import re
from typing import Final

from schemas.qr.codes import FaultError

MAX_VALUE: Final = 99
_HEADER: Final = 4
_TWO_DIGITS: Final = re.compile("[0-9]{2}").fullmatch

# Every legal header with what it says. One look-up takes the place of two digit checks and an int(), which
# would let "+5", " 5" and full-width digits pass.
_HEADERS: Final = {f"{tag:02}{length:02}": (f"{tag:02}", length) for tag in range(100) for length in range(1, 100)}
LENGTHS: Final = tuple(f"{length:02}" for length in range(100))


def scan(text: str) -> dict[str, str]:
    """Split text into its objects: value by ID, in their order.

    Raises:
        FaultError: a header or a length is wrong, or an ID repeats; `offset` is the object's start.
    """
    objects: dict[str, str] = {}
    header_at, end = 0, len(text)
    headers = _HEADERS
    while header_at < end:
        value_at = header_at + 4
        header = headers.get(text[header_at:value_at])
        if header is None:
            raise _bad_header(text, header_at)
        tag, length = header
        if tag in objects:
            raise FaultError("duplicate_tag", f"a second object {tag}", offset=header_at)
        header_at = value_at + length
        objects[tag] = text[value_at:header_at]
    if header_at > end:
        raise FaultError(
            "tlv_truncated_value",
            f"object {tag} says {length}, has {end - value_at}",
            offset=value_at - _HEADER,
        )
    return objects


def _bad_header(text: str, at: int) -> FaultError:
    header = text[at : at + _HEADER]
    if len(header) < _HEADER:
        return FaultError("tlv_truncated_header", f"{header!r} is left over", offset=at)
    if not _TWO_DIGITS(header[:2]):
        return FaultError("id_nonnumeric", f"ID {header[:2]!r}", offset=at)
    if not _TWO_DIGITS(header[2:]):
        return FaultError("length_nonnumeric", f"length {header[2:]!r} of object {header[:2]}", offset=at + 2)
    return FaultError("length_zero", f"object {header[:2]} is empty", offset=at + 2)


def locate(text: str, path: tuple[str, ...]) -> int:
    """Position of the value at a path of IDs, in characters from the start of text; of text itself for ().

    The templates above the value must be sound; an ID that is missing ends the walk at its template.
    """
    at = 0
    for wanted in path:
        value_at = at + _HEADER
        while text[value_at - _HEADER : value_at - 2] != wanted:
            value_at += int(text[value_at - 2 : value_at]) + _HEADER
        at = value_at
    return at


def encode(tag: str, value: str) -> str:
    """One object as text, or nothing for an empty value.

    Args:
        tag: two digits.
        value: at most 99 characters; the caller has checked it.
    """
    return f"{tag}{LENGTHS[len(value)]}{value}" if value else ""
