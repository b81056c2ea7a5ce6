"""What can be wrong with a payload: a code in, the words for people and the exception out.

The codes are the contract with everything that reads `quetma qr parse --json`; the sentences are not.
Sources: EMVCo QRCPS MPM v1.1 and NAPAS "Quy định về định dạng mã VietQR" v1.0 (09/2021), sections 5.1–5.2.
"""

from __future__ import annotations

from typing import Final, Literal

from schemas.errors import BadInputError

ErrorCode = Literal[
    "empty",
    "whitespace",
    "payload_too_long",
    "id_nonnumeric",
    "length_nonnumeric",
    "length_zero",
    "tlv_truncated_header",
    "tlv_truncated_value",
    "format_indicator_not_first",
    "payload_format_version",
    "duplicate_tag",
    "crc_missing",
    "crc_not_last",
    "crc_length",
    "crc_nonhex",
    "crc_lowercase",
    "crc_mismatch",
    "missing_mandatory",
    "init_method",
    "guid",
    "bin",
    "account",
    "service_code",
    "mcc",
    "currency",
    "country",
    "amount_format",
    "amount_zero",
    "amount_exponent",
    "tip_indicator",
    "tip_consistency",
    "field_too_long",
    "charset_not_ans",
]

MAX_PAYLOAD: Final = 512  # characters

FIXES: Final[dict[ErrorCode, str]] = {
    "empty": "Pass the text that the QR symbol carries",
    "whitespace": "No blank may lead, trail or stand inside a number",
    "payload_too_long": f"At most {MAX_PAYLOAD} characters",
    "id_nonnumeric": "An object starts with its ID, two digits 00-99",
    "length_nonnumeric": "An ID is followed by the length of its value, two digits 01-99",
    "length_zero": "Leave an empty object out: a value has 1-99 characters",
    "tlv_truncated_header": "An object needs two digits of ID and two of length",
    "tlv_truncated_value": "A value must have as many characters as its length says",
    "format_indicator_not_first": "Object 00 comes first",
    "payload_format_version": "Object 00 must be 01",
    "duplicate_tag": "An ID may occur once in its template",
    "crc_missing": "The payload ends with object 63, the CRC",
    "crc_not_last": "Object 63, the CRC, comes last",
    "crc_length": "The CRC has 4 characters",
    "crc_nonhex": "The CRC is 4 hexadecimal digits",
    "crc_lowercase": "Write the CRC in upper case, or read leniently",
    "crc_mismatch": "Scan again: a character was changed, lost or added",
    "missing_mandatory": "Add the object that the profile asks for",
    "init_method": "11 is static, 12 dynamic",
    "guid": "A VietQR's is A000000727, a VNPAY-QR's A000000775; any other has at most 32 ASCII characters",
    "bin": "Object 38.01.00 is the bank's BIN, 6 digits",
    "account": "Object 38.01.01 has 1-19 letters and digits",
    "service_code": "Object 38.02 is QRIBFTTA (to an account) or QRIBFTTC (to a card)",
    "mcc": "A merchant category code (ISO 18245) has 4 digits",
    "currency": "A currency (ISO 4217) has 3 digits; in Viet Nam 704",
    "country": "A country (ISO 3166) has 2 capital letters; in Viet Nam VN",
    "amount_format": "Digits and at most one point; no sign, comma or blank; a percentage is 00.01-99.99",
    "amount_zero": "Leave a zero out",
    "amount_exponent": "The đồng has no decimals",
    "tip_indicator": "01 asks for a tip, 02 adds a fixed fee, 03 a percentage",
    "tip_consistency": "Object 55 = 02 goes with 56 alone, 03 with 57 alone, anything else with neither",
    "field_too_long": "Shorten the value to what its object may hold",
    "charset_not_ans": "Printable ASCII only (in 62.09: A, M, E, once each); other scripts go to object 64",
}


class QRError(BadInputError):
    """A payload breaks a rule.

    Args:
        code: the rule, one of `ErrorCode`.
        position: where the fault starts, in characters from the payload's start, from 0.
        found: what stands there, in words.
    """

    def __init__(self, code: ErrorCode, position: int, found: str) -> None:
        self.code: ErrorCode = code
        self.position = position
        super().__init__("qr parse", f"{code} at character {position}: {found}", FIXES[code])


class FaultError(Exception):
    """A broken rule, as the readers of one template see it: they know the path of IDs, not the position.

    Positions are worked out only when a payload turns out to be wrong: keeping them for every object would
    cost each right payload a third of its time.

    Args:
        code: the rule.
        found: what stands there, in words.
        path: IDs from the root to the object that holds the fault.
        offset: characters from the start of that object's value.
    """

    def __init__(self, code: ErrorCode, found: str, path: tuple[str, ...] = (), offset: int = 0) -> None:
        self.code: ErrorCode = code
        self.found, self.path, self.offset = found, path, offset
        super().__init__(code)
