"""QR symbols on demand: a payload in, an SVG text or PNG bytes out.

Error correction M and a quiet zone of 4 modules, as ISO/IEC 18004 asks and EMVCo QRCPS advises. Text beyond
ASCII is UTF-8 without an ECI header: payment apps expect the first and stumble over the second.
"""

from __future__ import annotations

from functools import lru_cache
from io import BytesIO
from typing import Final

import segno

from schemas.errors import BadInputError

_QUIET_ZONE: Final = 4  # modules
_MAX_SCALE: Final = 50  # pixels a module; the largest symbol is then about 9 000 pixels wide
_ALLOWED: Final = "Pass a payload of 1-512 characters"
_CACHED: Final = 256  # images; a symbol takes about 10 kB


@lru_cache(maxsize=_CACHED)
def svg(payload: str) -> str:
    """The symbol as an SVG document that scales to whatever holds it.

    Raises:
        BadInputError: the payload is empty or too long for a symbol.
    """
    out = BytesIO()
    _symbol(payload).save(out, kind="svg", border=_QUIET_ZONE, light="white", xmldecl=False, omitsize=True)
    return out.getvalue().decode()


@lru_cache(maxsize=_CACHED)
def png(payload: str, scale: int = 8) -> bytes:
    """The symbol as a PNG file, black on white.

    Args:
        payload: text to carry.
        scale: pixels a module, 1-50.

    Raises:
        BadInputError: the payload is empty or too long for a symbol, or the scale is not allowed.
    """
    if not 1 <= scale <= _MAX_SCALE:
        raise BadInputError("qr image", f"scale {scale}", f"Pixels a module: 1 to {_MAX_SCALE}")
    out = BytesIO()
    _symbol(payload).save(out, kind="png", scale=scale, border=_QUIET_ZONE)
    return out.getvalue()


def _symbol(payload: str) -> segno.QRCode:
    if not payload:
        raise BadInputError("qr image", "an empty payload", _ALLOWED)
    try:
        return segno.make_qr(payload, error="m", boost_error=False, encoding="utf-8")
    except ValueError as error:  # covers segno's DataOverflowError and half a surrogate pair
        raise BadInputError("qr image", str(error), _ALLOWED) from error
