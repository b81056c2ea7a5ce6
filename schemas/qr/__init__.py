"""VietQR payloads: text in, named fields out (`parse`, `check`); payee and bill in, text out (`build_*`).

Pure: no clock, network or file. A payload that is built pays nobody unless the caller allows it.
"""

from __future__ import annotations

from schemas.qr.banks import ACCOUNT_PREFIX, DEFAULT_BIN, FICTITIOUS_BANKS
from schemas.qr.build import MAX_AMOUNT_VND, Payee, PayloadTemplate, build_dynamic, build_static, plain_ascii
from schemas.qr.codes import MAX_PAYLOAD, ErrorCode, QRError
from schemas.qr.parse import QRFields, check, parse
from schemas.qr.profiles import RULES, SERVICES, Profile

PROFILES: tuple[Profile, ...] = tuple(RULES)

__all__ = [
    "ACCOUNT_PREFIX",
    "DEFAULT_BIN",
    "FICTITIOUS_BANKS",
    "MAX_AMOUNT_VND",
    "MAX_PAYLOAD",
    "PROFILES",
    "SERVICES",
    "ErrorCode",
    "Payee",
    "PayloadTemplate",
    "Profile",
    "QRError",
    "QRFields",
    "build_dynamic",
    "build_static",
    "check",
    "parse",
    "plain_ascii",
]
