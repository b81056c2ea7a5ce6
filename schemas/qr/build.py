"""VietQR payloads: a payee and a bill in, text out that pays nobody.

Layout by NAPAS VietQR v1.0 (09/2021), objects in ascending order. Banks are fictitious and accounts begin
with SIM unless the caller says `allow_real=True`.
"""

from __future__ import annotations

import re
import unicodedata
from binascii import crc_hqx
from functools import lru_cache
from typing import Final, Required, TypedDict, Unpack

from schemas.errors import BadInputError
from schemas.qr.banks import ACCOUNT_PREFIX, DEFAULT_BIN, FICTITIOUS_BANKS
from schemas.qr.crc import crc16, seal
from schemas.qr.profiles import NAPAS_GUID, SERVICES, VND, Test
from schemas.qr.tlv import LENGTHS, MAX_VALUE, encode

MAX_AMOUNT_VND: Final = 10**13 - 1  # 13 digits

_BIN: Final[Test] = re.compile("[0-9]{6}").fullmatch
_ACCOUNT: Final[Test] = re.compile("[0-9A-Za-z]{1,19}").fullmatch
_MCC: Final[Test] = re.compile("[0-9]{4}").fullmatch
# Printable ASCII without a leading or trailing blank, which readers and cashiers lose.
_TEXT: Final[Test] = re.compile("(?! )[ -~]+(?<! )").fullmatch
_LABEL: Final[Test] = re.compile("(?! )[ -~]{1,25}(?<! )").fullmatch
_NAME_LIMIT: Final = 25
_CITY_LIMIT: Final = 15
_LABEL_RULE: Final = "1-25 printable ASCII characters, no blank at the ends"
_STATIC: Final = "000201010211"
_DYNAMIC: Final = "000201010212"
_STROKES: Final = str.maketrans("đĐ", "dD")  # the only Vietnamese letters whose mark does not decompose
_LANGUAGE: Final = "VI"


class Payee(TypedDict, total=False):
    """Who is paid: the arguments that `build_static`, `build_dynamic` and `PayloadTemplate` share.

    Keys:
        account: 1-19 letters and digits, the first three SIM.
        bin: 6 digits, one of `FICTITIOUS_BANKS`; default `DEFAULT_BIN`.
        service: QRIBFTTA (to an account, the default) or QRIBFTTC (to a card).
        merchant_name: at most 25 characters. One with diacritics goes to object 64 as it is and to object 59
            without them, since 59 holds ASCII only.
        city: at most 15 characters, likewise.
        mcc: merchant category code (ISO 18245), 4 digits.
        store_label, customer_label, terminal_label, purpose: printable ASCII, at most 25 characters each.
        allow_real: accept any BIN and any account. Such a payload can move real money.
    """

    account: Required[str]
    bin: str
    service: str
    merchant_name: str | None
    city: str | None
    mcc: str | None
    store_label: str | None
    customer_label: str | None
    terminal_label: str | None
    purpose: str | None
    allow_real: bool


def build_static(**payee: Unpack[Payee]) -> str:
    """A payload without an amount, for any number of payments: what hangs at a market stall.

    Raises:
        BadInputError: an argument is not allowed; the message names it.
    """
    return _template(tuple(payee.items())).static()


def build_dynamic(*, amount_vnd: int, bill_number: str | None = None, **payee: Unpack[Payee]) -> str:
    """A payload for one payment of one bill.

    Args:
        amount_vnd: whole VND, 1 to `MAX_AMOUNT_VND`.
        bill_number: printable ASCII, at most 25 characters.
        payee: see `Payee`.

    Raises:
        BadInputError: an argument is not allowed; the message names it.
    """
    return _template(tuple(payee.items())).dynamic(amount_vnd, bill_number)


class PayloadTemplate:
    """Everything in a payee's payloads but amount and bill number, checked and laid out once.

    For the many bills of one biller: `dynamic` gives the text that `build_dynamic` gives, without
    looking the payee up each time.

    Args:
        payee: see `Payee`.

    Raises:
        BadInputError: an argument is not allowed; the message names it.
    """

    __slots__ = ("_after_amount", "_after_labels", "_front", "_front_crc", "_labels")

    def __init__(self, **payee: Unpack[Payee]) -> None:
        mcc = payee.get("mcc")
        if mcc is not None and not _MCC(mcc):
            raise _refused("mcc", mcc, "4 digits, an ISO 18245 category")
        name, name_ascii = _both_scripts("merchant_name", payee.get("merchant_name"), _NAME_LIMIT)
        city, city_ascii = _both_scripts("city", payee.get("city"), _CITY_LIMIT)
        self._front = f"{_account_object(payee)}{encode('52', mcc or '')}5303{VND}"
        self._front_crc = crc16(_DYNAMIC + self._front)
        self._after_amount = f"5802VN{encode('59', name_ascii)}{encode('60', city_ascii)}"
        self._labels = _labels(payee)
        self._after_labels = _language_object(name, name_ascii, city, city_ascii) + "6304"

    def static(self) -> str:
        """The payload without an amount, for any number of payments."""
        additional = encode("62", self._labels)
        return seal(f"{_STATIC}{self._front}{self._after_amount}{additional}{self._after_labels}")

    def dynamic(self, amount_vnd: int, bill_number: str | None = None) -> str:
        """The payload for one payment of one bill.

        Args:
            amount_vnd: whole VND, 1 to `MAX_AMOUNT_VND`.
            bill_number: printable ASCII, at most 25 characters.

        Raises:
            BadInputError: an argument is not allowed; the message names it.
        """
        # type(), not isinstance(): True is an int, and so is no sum of money.
        if type(amount_vnd) is not int or not 0 < amount_vnd <= MAX_AMOUNT_VND:
            raise _refused("amount_vnd", amount_vnd, f"a whole number of VND, 1 to {MAX_AMOUNT_VND}")
        labels = self._labels
        if bill_number is not None:
            if not _LABEL(bill_number):
                raise _refused("bill_number", bill_number, _LABEL_RULE)
            labels = f"01{LENGTHS[len(bill_number)]}{bill_number}{labels}"
        if labels:
            if len(labels) > MAX_VALUE:
                raise _too_many_labels(labels)
            labels = f"62{LENGTHS[len(labels)]}{labels}"
        amount = str(amount_vnd)
        rest = f"54{LENGTHS[len(amount)]}{amount}{self._after_amount}{labels}{self._after_labels}"
        return f"{_DYNAMIC}{self._front}{rest}{crc_hqx(rest.encode(), self._front_crc):04X}"

    def around(self, bill_size: int) -> tuple[str, str, str]:
        """What `dynamic` writes before the amount's object, from there to the bill number, and behind it.

        For whoever lays out the payloads of many bills at once; the CRC of all comes last.

        Args:
            bill_size: length of the bill numbers, at least 1.
        """
        size = f"62{LENGTHS[4 + bill_size + len(self._labels)]}01{LENGTHS[bill_size]}"
        return f"{_DYNAMIC}{self._front}", f"{self._after_amount}{size}", f"{self._labels}{self._after_labels}"


@lru_cache(maxsize=1024)
def _template(payee: tuple[tuple[str, object], ...]) -> PayloadTemplate:
    """Return the payee's template: who builds one code builds more for the same payee."""
    return PayloadTemplate(**dict(payee))  # type: ignore[arg-type]  # the items of a Payee


def plain_ascii(text: str) -> str:
    """Vietnamese without its diacritics, as object 59 needs it: "Điện lực Hà Nội" gives "Dien luc Ha Noi"."""
    decomposed = unicodedata.normalize("NFD", text.translate(_STROKES))
    return "".join(letter for letter in decomposed if not unicodedata.combining(letter))


def _account_object(payee: Payee) -> str:
    """Object 38: the payee's bank, account and service, none of them real by mistake."""
    account, bank = payee["account"], payee.get("bin", DEFAULT_BIN)
    service = payee.get("service", "QRIBFTTA")
    if not _ACCOUNT(account):
        raise _refused("account", account, "1-19 letters and digits")
    if not _BIN(bank):
        raise _refused("bin", bank, "6 digits")
    if service not in SERVICES:
        raise _refused("service", service, "QRIBFTTA (to an account) or QRIBFTTC (to a card)")
    if not payee.get("allow_real", False):
        if bank not in FICTITIOUS_BANKS:
            raise _refused("bin", bank, f"a fictitious bank, {', '.join(FICTITIOUS_BANKS)}; or allow real ones")
        if not account.startswith(ACCOUNT_PREFIX):
            raise _refused("account", account, f"an account that begins with {ACCOUNT_PREFIX}; or allow real ones")
    beneficiary = f"0006{bank}01{LENGTHS[len(account)]}{account}"
    return encode("38", f"0010{NAPAS_GUID}01{LENGTHS[len(beneficiary)]}{beneficiary}0208{service}")


def _both_scripts(field: str, text: str | None, limit: int) -> tuple[str, str]:
    """A name as given (NFC) and in ASCII; two empty strings for none."""
    if text is None:
        return "", ""
    original, ascii_text = (text, text) if text.isascii() else (unicodedata.normalize("NFC", text), plain_ascii(text))
    if len(original) > limit or len(ascii_text) > limit or not _TEXT(ascii_text):
        raise _refused(field, text, f"at most {limit} letters, Latin with or without diacritics, no blank at the ends")
    return original, ascii_text


def _language_object(name: str, name_ascii: str, city: str, city_ascii: str) -> str:
    """Object 64, the names in their own script. It must hold a merchant name, so none, no object."""
    if not name or (name, city) == (name_ascii, city_ascii):
        return ""
    return encode("64", f"0002{_LANGUAGE}{encode('01', name)}{encode('02', city)}")


def _labels(payee: Payee) -> str:
    """The inside of object 62 but the bill number."""
    labels = ""
    for tag, field, text in (
        ("03", "store_label", payee.get("store_label")),
        ("06", "customer_label", payee.get("customer_label")),
        ("07", "terminal_label", payee.get("terminal_label")),
        ("08", "purpose", payee.get("purpose")),
    ):
        if text is not None:
            if not _LABEL(text):
                raise _refused(field, text, _LABEL_RULE)
            labels += encode(tag, text)
    if len(labels) > MAX_VALUE:
        raise _too_many_labels(labels)
    return labels


def _too_many_labels(labels: str) -> BadInputError:
    return _refused("labels", labels, f"at most {MAX_VALUE} characters of labels, headers of 4 included")


def _refused(field: str, value: object, allowed: str) -> BadInputError:
    return BadInputError("qr build", f"{field} is {value!r}", f"Allowed: {allowed}")
