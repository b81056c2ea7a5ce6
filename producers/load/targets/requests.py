"""A record as an HTTP request: the value is the body, key and headers are headers.

In: records. Out: bodies and headers.

The body is the value, byte for byte. ``Content-Type`` is the record's own header ``content-type`` if it has one, else
``application/json`` for JSON and ``application/octet-stream`` for anything else; a null value is an empty body with
``X-Quetma-Value: null``. The key is ``X-Quetma-Key``. CloudEvents' headers ``ce_*`` are ``ce-*``, as its HTTP binding
has them, every other is ``X-Quetma-Header-NAME``; one that is null is left out. Names and values are percent-encoded
where HTTP does not allow their bytes.
"""

from __future__ import annotations

import string
from collections.abc import Iterable
from typing import Final, TypedDict
from urllib.parse import quote, quote_from_bytes

import msgspec
from multidict import CIMultiDict

JSON: Final = "application/json"
BYTES: Final = "application/octet-stream"
_IN_VALUES: Final = "".join(sorted(set(string.printable) - set(string.whitespace) - {"%"}))
_IN_NAMES: Final = "!#$&'*+-.^_`|~"  # and letters and digits, which are never encoded
_check_json = msgspec.json.Decoder(msgspec.Raw).decode


class Header(TypedDict):
    """A header of a record, as a frame has it."""

    name: str
    value: bytes | None


def is_json(value: bytes) -> bool:
    """Return whether a value is one JSON document."""
    try:
        _check_json(value)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return False
    return True


def headers_of(key: bytes | None, value: bytes | None, headers: Iterable[Header] | None) -> CIMultiDict[str]:
    """Return the HTTP headers of a record."""
    found = CIMultiDict[str]()
    if key is not None:
        found.add("X-Quetma-Key", _text(key))
    for header in headers or ():
        if header["value"] is not None:
            found.add(_name(header["name"]), _text(header["value"]))
    if value is None:
        found.add("X-Quetma-Value", "null")
    if "Content-Type" not in found:
        found.add("Content-Type", JSON if value is not None and is_json(value) else BYTES)
    return found


def _name(name: str) -> str:
    if name.lower() == "content-type":
        return "Content-Type"
    if name.startswith("ce_"):
        return f"ce-{quote(name[3:], safe=_IN_NAMES)}"
    return f"X-Quetma-Header-{quote(name, safe=_IN_NAMES)}"


def _text(value: bytes) -> str:
    return quote_from_bytes(value, safe=_IN_VALUES)
