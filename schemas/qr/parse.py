"""Payload text in, named fields out; or the first rule that the payload breaks.

Reading order: the whole text, the objects, the frame (00 first, 63 last and right), then the profile's rules
object by object. Each step refuses what the next could not read.
"""

from __future__ import annotations

import re
from typing import Any, Final

import msgspec

from schemas.errors import BadInputError
from schemas.qr.codes import MAX_PAYLOAD, FaultError, QRError
from schemas.qr.crc import crc16
from schemas.qr.profiles import ACCOUNT_TEMPLATES, RULES, SCHEMES, VND, Leaf, Profile, Rules, Template
from schemas.qr.tlv import locate, scan
from schemas.qr.usual import read_usual

_CRC_DIGITS: Final = 4
_HEX: Final = re.compile("[0-9A-Fa-f]{4}").fullmatch
_TIPS: Final = frozenset({"tip_indicator", "tip_fixed", "tip_percent"})
_TIP_PARTNERS: Final = {"02": {"tip_fixed"}, "03": {"tip_percent"}}


class QRFields(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """What a payload says, as written; None where it says nothing.

    `mai_id` is the ID of the merchant account template that guid, bin, account, service and merchant_id come
    from. `other` holds every object without a name here: its raw value by its ID, such as "80" or "62.50".
    """

    payload_format: str | None = None
    init_method: str | None = None
    mai_id: str | None = None
    guid: str | None = None
    bin: str | None = None
    account: str | None = None
    service: str | None = None
    merchant_id: str | None = None
    mcc: str | None = None
    currency: str | None = None
    amount: str | None = None
    tip_indicator: str | None = None
    tip_fixed: str | None = None
    tip_percent: str | None = None
    country: str | None = None
    merchant_name: str | None = None
    merchant_city: str | None = None
    postal_code: str | None = None
    bill_number: str | None = None
    mobile_number: str | None = None
    store_label: str | None = None
    loyalty_number: str | None = None
    reference_label: str | None = None
    customer_label: str | None = None
    terminal_label: str | None = None
    purpose: str | None = None
    consumer_data_request: str | None = None
    language: str | None = None
    merchant_name_alt: str | None = None
    merchant_city_alt: str | None = None
    crc: str | None = None
    other: dict[str, str] = msgspec.field(default_factory=dict)

    @property
    def amount_vnd(self) -> int | None:
        """The amount in whole VND; None if there is none, or it is in another currency."""
        digits = (self.amount or "").removesuffix(".")
        return int(digits) if self.currency == VND and digits.isascii() and digits.isdigit() else None

    def as_dict(self) -> dict[str, str]:
        """The fields that are there, by name or ID."""
        named = {name: getattr(self, name) for name in self.__struct_fields__ if name != "other"}
        return {name: value for name, value in named.items() if value is not None} | self.other


def parse(payload: str, *, profile: Profile = "vietqr", lenient: bool = False) -> QRFields:
    """Read a payload and hold it against a profile's rules.

    Args:
        payload: the text that a QR symbol carries.
        profile: `vietqr` (NAPAS), `emv` (EMVCo, any scheme), `vnpay`, or `structural` (objects and CRC only).
        lenient: also accept a CRC in lower case, and printable characters beyond ASCII where the rules ask
            for ASCII; payloads in use have both.

    Raises:
        QRError: the first rule that the payload breaks, in reading order.
        BadInputError: no such profile.
    """
    named, other = _read(payload, profile, lenient=lenient)
    return QRFields(other=other, **named)


def check(payload: str, *, profile: Profile = "vietqr", lenient: bool = False) -> dict[str, Any]:
    """Read a payload and answer with a verdict: valid (bool), error (a code or None), fields (value by name).

    Arguments as for `parse`; `fields` is empty when the payload is not valid.

    Raises:
        BadInputError: no such profile.
    """
    try:
        named, other = _read(payload, profile, lenient=lenient)
    except QRError as error:
        return {"valid": False, "error": error.code, "fields": {}}
    return {"valid": True, "error": None, "fields": named | other}


def _read(payload: str, profile: Profile, *, lenient: bool) -> tuple[dict[str, str], dict[str, str]]:
    """Values by name, and values by ID of the objects without a name."""
    if profile == "vietqr" and len(payload) <= MAX_PAYLOAD:
        usual = read_usual(payload)
        if usual is not None:
            return usual, {}
    return read_fully(payload, profile, lenient=lenient)


def read_fully(payload: str, profile: Profile, *, lenient: bool) -> tuple[dict[str, str], dict[str, str]]:
    """As `_read`, for whatever text and profile: the one place that knows every rule and names every fault."""
    rules = RULES.get(profile)
    if rules is None:
        raise BadInputError("qr parse", f"profile {profile!r}", f"Profiles are {', '.join(RULES)}")
    named: dict[str, str] = {}
    other: dict[str, str] = {}
    try:
        _check_text(payload)
        objects = scan(payload)
        _check_frame(payload, objects, lenient=lenient)
        _collect(objects, rules.root, named, other, lenient=lenient)
        _report_account(rules, objects, named, other)
        if not _TIPS.isdisjoint(named):
            _check_tip(named)
    except FaultError as fault:
        raise QRError(fault.code, locate(payload, fault.path) + fault.offset, fault.found) from None
    return named, other


def _check_text(payload: str) -> None:
    if not payload:
        raise FaultError("empty", "no text")
    if payload[0].isspace():
        raise FaultError("whitespace", "a leading blank")
    if payload[-1].isspace():
        raise FaultError("whitespace", "a trailing blank", offset=len(payload) - 1)
    if len(payload) > MAX_PAYLOAD:
        raise FaultError("payload_too_long", f"{len(payload)} characters", offset=MAX_PAYLOAD)


def _check_frame(payload: str, objects: dict[str, str], *, lenient: bool) -> None:
    """00 first and 01; 63 last and the CRC of all before it."""
    if next(iter(objects)) != "00":
        raise FaultError("format_indicator_not_first", f"object {next(iter(objects))} first")
    if objects["00"] != "01":
        raise FaultError("payload_format_version", f"version {objects['00']!r}", ("00",))
    crc = objects.get("63")
    if crc is None:
        raise FaultError("crc_missing", "no object 63", offset=len(payload))
    if next(reversed(objects)) != "63":
        raise FaultError("crc_not_last", f"object {next(reversed(objects))} after 63", ("63",))
    try:
        expected = f"{crc16(payload[:-_CRC_DIGITS]):04X}"
    except UnicodeEncodeError as error:
        raise FaultError("charset_not_ans", "half a surrogate pair", offset=error.start) from None
    if crc != expected:
        _explain_crc(crc, expected, lenient=lenient)


def _explain_crc(crc: str, expected: str, *, lenient: bool) -> None:
    if len(crc) != _CRC_DIGITS:
        raise FaultError("crc_length", f"{len(crc)} characters", ("63",))
    if not _HEX(crc):
        raise FaultError("crc_nonhex", repr(crc), ("63",))
    if crc.upper() != expected:
        raise FaultError("crc_mismatch", f"{crc}, computed {expected}", ("63",))
    if not lenient:
        raise FaultError("crc_lowercase", crc, ("63",))


def _collect(
    objects: dict[str, str],
    template: Template,
    named: dict[str, str],
    other: dict[str, str],
    *,
    lenient: bool,
) -> None:
    """Test a template's objects and put their values into `named` (by name) and `other` (by ID)."""
    if not template.mandatory.keys() <= objects.keys():
        _explain_missing(objects, template)
    leaves = template.leaves
    for tag, value in objects.items():
        leaf = leaves.get(tag)
        if leaf is None:
            _collect_unnamed(tag, value, template, named, other, lenient=lenient)
            continue
        if not leaf.accept(value):
            _explain_value(leaf, value, (*template.path, tag), lenient=lenient)
        named[leaf.name] = value


def _collect_unnamed(
    tag: str, value: str, template: Template, named: dict[str, str], other: dict[str, str], *, lenient: bool
) -> None:
    """One object that is no named leaf: a template, a value tested under its ID, or unknown."""
    inner = template.templates.get(tag)
    if inner is None:
        leaf = template.checked.get(tag)
        if leaf is not None and not leaf.accept(value):
            _explain_value(leaf, value, (*template.path, tag), lenient=lenient)
    else:
        objects = _scan_template(value, inner)
        if not inner.opaque:
            _collect(objects, inner, named, other, lenient=lenient)
            return
        _collect(objects, inner, {}, {}, lenient=lenient)
    other[".".join((*template.path, tag))] = value


def _scan_template(value: str, template: Template) -> dict[str, str]:
    try:
        return scan(value)
    except FaultError as fault:
        fault.path = template.path
        raise


def _explain_missing(objects: dict[str, str], template: Template) -> None:
    missing = next(tag for tag in template.mandatory if tag not in objects)
    where = ".".join((*template.path, missing))
    raise FaultError(template.mandatory[missing], f"object {where} is missing", template.path)


def _explain_value(leaf: Leaf, value: str, path: tuple[str, ...], *, lenient: bool) -> None:
    for code, passes in leaf.tests:
        if passes(value) or (lenient and code == "charset_not_ans" and value.isprintable()):
            continue
        raise FaultError(code, f"object {'.'.join(path)} ({leaf.name}) is {value!r}", path)


def _report_account(rules: Rules, objects: dict[str, str], named: dict[str, str], other: dict[str, str]) -> None:
    """Say which merchant account template the fields come from; in a profile for any scheme, find it."""
    if rules.account is not None:
        named["mai_id"] = rules.account
        return
    tag = next((tag for tag in objects if tag in ACCOUNT_TEMPLATES), None)
    if tag is None:
        return
    named["mai_id"] = tag
    account = scan(objects[tag])
    guid = account.get("00", "")
    scheme = SCHEMES.get((tag, guid))
    if scheme is not None and _name_account(account, scheme, named, other):
        del other[tag]
    elif guid:
        named["guid"] = guid


def _name_account(account: dict[str, str], scheme: Template, named: dict[str, str], other: dict[str, str]) -> bool:
    """Report a known scheme's account by names; False if its inside cannot be read, which EMVCo allows."""
    inner_named: dict[str, str] = {}
    inner_other: dict[str, str] = {}
    try:
        _collect(account, scheme, inner_named, inner_other, lenient=True)
    except FaultError:
        return False
    named.update(inner_named)
    other.update(inner_other)
    return True


def _check_tip(named: dict[str, str]) -> None:
    """A fixed fee or a percentage stands exactly where the indicator announces it (EMVCo QRCPS v1.1)."""
    announced = _TIP_PARTNERS.get(named.get("tip_indicator", ""), set())
    present = named.keys() & {"tip_fixed", "tip_percent"}
    if present != announced:
        path = ("55",) if "tip_indicator" in named else ()
        found = ", ".join(sorted(present)) or "nothing"
        raise FaultError("tip_consistency", f"indicator {named.get('tip_indicator')} with {found}", path)
