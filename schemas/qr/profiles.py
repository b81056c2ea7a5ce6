"""The rules as tables: a profile's name in, the tree of templates with each object's name and tests out.

Sources: NAPAS VietQR v1.0 (09/2021) table 1 and 5.2 for `vietqr`; EMVCo QRCPS MPM v1.1 for `emv`; published
codes of VNPAY-QR for `vnpay`, whose specification is not public. `structural` holds no rules of meaning.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Final, Literal, NamedTuple

from schemas.qr.codes import ErrorCode

Profile = Literal["vietqr", "emv", "vnpay", "structural"]
Test = Callable[[str], object]  # truthy when the value passes

NAPAS_GUID: Final = "A000000727"
VNPAY_GUID: Final = "A000000775"
VND: Final = "704"
SERVICES: Final = frozenset({"QRIBFTTA", "QRIBFTTC"})
ACCOUNT_TEMPLATES: Final = tuple(str(tag) for tag in range(26, 52))

NO_BLANK: Final[Test] = re.compile(r"\S*").fullmatch
ANS: Final[Test] = re.compile("[ -~]*").fullmatch  # EMV Book 4's common character set: printable ASCII


class Leaf(NamedTuple):
    """An object that holds a value.

    `accept` is a quick yes to the usual values; what it refuses is put to `tests`, in order, and the first
    that fails gives the code. `accept` takes nothing that they refuse.
    """

    name: str
    accept: Test
    tests: tuple[tuple[ErrorCode, Test], ...]
    takes_ascii: bool = False  # any printable ASCII of a length that it takes


@dataclass(frozen=True, slots=True)
class Template:
    """An object that holds objects (or the root).

    `leaves` are reported by name; `checked` are tested and reported by ID; an ID in no table is reported by
    ID, untested. `mandatory` gives the code for an ID that is missing. An `opaque` template is tested, and
    reported whole by its own ID.
    """

    path: tuple[str, ...]
    leaves: Mapping[str, Leaf] = field(default_factory=dict)
    checked: Mapping[str, Leaf] = field(default_factory=dict)
    templates: Mapping[str, Template] = field(default_factory=dict)
    mandatory: Mapping[str, ErrorCode] = field(default_factory=dict)
    opaque: bool = False


@dataclass(frozen=True, slots=True)
class Rules:
    """A profile: its root, and the account template to report (None: the first one found)."""

    root: Template
    account: str | None = None


def _matches(pattern: str) -> Test:
    return re.compile(pattern, re.DOTALL).fullmatch


def _anything(_value: str) -> bool:
    return True


def _free(name: str) -> Leaf:
    return Leaf(name, _anything, ())


def _text(name: str, limit: int) -> Leaf:
    fits = _matches(f".{{1,{limit}}}")
    return Leaf(name, fits, (("field_too_long", fits),), takes_ascii=True)


def _ans(name: str, limit: int) -> Leaf:
    return Leaf(
        name,
        _matches(f"[ -~]{{1,{limit}}}"),
        (("field_too_long", _matches(f".{{1,{limit}}}")), ("charset_not_ans", ANS)),
        takes_ascii=True,
    )


def _pattern(name: str, code: ErrorCode, pattern: str) -> Leaf:
    fits = _matches(pattern)
    return Leaf(name, fits, ((code, fits),))


def _one_of(name: str, code: ErrorCode, *values: str) -> Leaf:
    fits = frozenset(values).__contains__
    return Leaf(name, fits, ((code, fits),))


def _numeric(leaf: Leaf) -> Leaf:
    """The same leaf with a word of its own for a blank inside the number."""
    return leaf._replace(tests=(("whitespace", NO_BLANK), *leaf.tests))


_USUAL_AMOUNT: Final = _matches("[1-9][0-9]{0,12}")
_AMOUNT_TESTS: Final[tuple[tuple[ErrorCode, Test], ...]] = (
    ("whitespace", NO_BLANK),
    ("amount_format", _matches(r"[0-9]+(\.[0-9]*)?")),
    ("field_too_long", _matches(".{1,13}")),
    ("amount_zero", _matches(".*[1-9].*")),
)


def _amount(name: str) -> Leaf:
    return Leaf(name, _USUAL_AMOUNT, _AMOUNT_TESTS)


def _amount_vnd(name: str) -> Leaf:
    whole = _matches(r"[0-9]+\.?")
    return Leaf(name, _USUAL_AMOUNT, (*_AMOUNT_TESTS, ("amount_exponent", whole)))


def _percent(name: str) -> Leaf:
    return Leaf(
        name,
        _matches(r"(?=.*[1-9])[0-9]{1,2}(\.[0-9]{0,2})?"),
        (
            ("whitespace", NO_BLANK),
            ("field_too_long", _matches(".{1,5}")),
            ("amount_format", _matches(r"[0-9]{1,2}(\.[0-9]{0,2})?")),
            ("amount_zero", _matches(".*[1-9].*")),
        ),
    )


def _consumer_request(name: str) -> Leaf:
    letters = _matches(r"(?!.*(.).*\1)[AME]{1,3}")
    return Leaf(name, letters, (("field_too_long", _matches(".{1,3}")), ("charset_not_ans", letters)))


def _language(name: str) -> Leaf:
    letters = _matches("[A-Za-z]{2}")
    return Leaf(name, letters, (("field_too_long", _matches(".{1,2}")), ("charset_not_ans", letters)))


_GUID: Final = _pattern("guid", "guid", "[ -~]{1,32}")


def _opaque(*path: str) -> Template:
    return Template(path, leaves={"00": _GUID}, mandatory={"00": "missing_mandatory"}, opaque=True)


_LABELS: Final = (
    "bill_number",
    "mobile_number",
    "store_label",
    "loyalty_number",
    "reference_label",
    "customer_label",
    "terminal_label",
    "purpose",
)
_ADDITIONAL: Final = Template(
    ("62",),
    leaves={
        **{f"{tag:02}": _ans(name, 25) for tag, name in enumerate(_LABELS, start=1)},
        "09": _consumer_request("consumer_data_request"),
    },
    templates={str(tag): _opaque("62", str(tag)) for tag in range(50, 100)},
)
# EMVCo v1.1 gives 62.10 (tax ID) and 62.11 (channel) a meaning; for NAPAS they are reserved, so no names.
_ADDITIONAL_EMV: Final = replace(_ADDITIONAL, checked={"10": _ans("62.10", 20), "11": _ans("62.11", 3)})
_LANGUAGE: Final = Template(
    ("64",),
    leaves={
        "00": _language("language"),
        "01": _text("merchant_name_alt", 25),
        "02": _text("merchant_city_alt", 15),
    },
    mandatory={"00": "missing_mandatory", "01": "missing_mandatory"},
)
_NAPAS: Final = Template(
    ("38",),
    leaves={
        "00": _one_of("guid", "guid", NAPAS_GUID),
        "02": _one_of("service", "service_code", *SERVICES),
    },
    templates={
        "01": Template(
            ("38", "01"),
            leaves={
                "00": _numeric(_pattern("bin", "bin", "[0-9]{6}")),
                "01": _pattern("account", "account", "[0-9A-Za-z]{1,19}"),
            },
            mandatory={"00": "bin", "01": "account"},
        )
    },
    mandatory={"00": "missing_mandatory", "01": "bin", "02": "service_code"},
)
_VNPAY: Final = Template(
    ("26",),
    leaves={"00": _one_of("guid", "guid", VNPAY_GUID), "01": _ans("merchant_id", 99)},
    mandatory={"00": "missing_mandatory", "01": "missing_mandatory"},
)

_ROOT_LEAVES: Final[Mapping[str, Leaf]] = {
    "00": _free("payload_format"),  # tested with the structure, in every profile
    "01": _numeric(_one_of("init_method", "init_method", "11", "12")),
    "52": _numeric(_pattern("mcc", "mcc", "[0-9]{4}")),
    "53": _numeric(_pattern("currency", "currency", "[0-9]{3}")),
    "54": _amount("amount"),
    "55": _numeric(_one_of("tip_indicator", "tip_indicator", "01", "02", "03")),
    "56": _amount("tip_fixed"),
    "57": _percent("tip_percent"),
    "58": _pattern("country", "country", "[A-Z]{2}"),
    "59": _ans("merchant_name", 25),
    "60": _ans("merchant_city", 15),
    "61": _ans("postal_code", 10),
    "63": _free("crc"),
}
_EMV: Final = Template(
    (),
    leaves=_ROOT_LEAVES,
    checked={f"{tag:02}": _ans(f"{tag:02}", 99) for tag in range(2, 26)},
    templates={
        **{tag: _opaque(tag) for tag in ACCOUNT_TEMPLATES},
        "62": _ADDITIONAL_EMV,
        "64": _LANGUAGE,
        **{str(tag): _opaque(str(tag)) for tag in range(80, 100)},
    },
    mandatory=dict.fromkeys(("52", "53", "58", "59", "60"), "missing_mandatory"),
)
_IN_VIET_NAM: Final[Mapping[str, Leaf]] = {
    **_ROOT_LEAVES,
    "53": _numeric(_one_of("currency", "currency", VND)),
    "54": _amount_vnd("amount"),
    "56": _amount_vnd("tip_fixed"),
    "58": _one_of("country", "country", "VN"),
}
_VIETQR_ROOT: Final = replace(
    _EMV,
    leaves=_IN_VIET_NAM,
    templates={**_EMV.templates, "38": _NAPAS, "62": _ADDITIONAL},
    mandatory=dict.fromkeys(("01", "38", "53", "58"), "missing_mandatory"),
)
_VNPAY_ROOT: Final = replace(
    _EMV,
    leaves=_IN_VIET_NAM,
    templates={**_EMV.templates, "26": _VNPAY},
    mandatory=dict.fromkeys(("26", "53", "58"), "missing_mandatory"),
)


def _untested(template: Template) -> Template:
    """The same names without the rules; templates that have no names inside stay closed."""
    return Template(
        template.path,
        leaves={tag: _free(leaf.name) for tag, leaf in template.leaves.items()},
        templates={tag: _untested(inner) for tag, inner in template.templates.items() if not inner.opaque},
    )


# EMVCo opens 26-51 in every scheme; 80-99 and 62.50-99 belong to whoever uses them.
_STRUCTURAL: Final = replace(
    _untested(_EMV),
    templates={
        **_untested(_EMV).templates,
        **{tag: Template((tag,), opaque=True) for tag in ACCOUNT_TEMPLATES},
    },
)

RULES: Final[Mapping[Profile, Rules]] = {
    "vietqr": Rules(_VIETQR_ROOT, account="38"),
    "emv": Rules(_EMV),
    "vnpay": Rules(_VNPAY_ROOT, account="26"),
    "structural": Rules(_STRUCTURAL),
}

# Account templates whose inside we can name, whatever the profile: by ID and GUID.
SCHEMES: Final[Mapping[tuple[str, str], Template]] = {
    ("38", NAPAS_GUID): _untested(_NAPAS),
    ("26", VNPAY_GUID): _untested(_VNPAY),
}
