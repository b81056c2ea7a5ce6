"""Payloads against the collected vectors, and each rule of parsing and building by itself."""

from __future__ import annotations

import csv
import json
import unicodedata
from pathlib import Path

import pytest

from schemas import qr
from schemas.errors import BadInputError
from schemas.qr.crc import crc16, seal
from schemas.qr.profiles import RULES
from schemas.qr.tlv import encode

VECTORS = json.loads((Path(__file__).parent / "data" / "qr_vectors.json").read_text(encoding="utf-8"))
BANKS = Path(__file__).parents[2] / "producers" / "world" / "banks.csv"
ACCOUNT = encode("38", "0010A0000007270119" + "0006999001" + "0105SIM01" + "0208QRIBFTTA")


def payload(*objects: str, front: str = "000201010211") -> str:
    return seal("".join((front, *objects)) + "6304")


def vietqr(*objects: str, account: str = ACCOUNT, currency: str = "5303704", country: str = "5802VN") -> str:
    return payload(account, currency, country, *objects)


def napas(beneficiary: str | None = None, service: str | None = "QRIBFTTA", more: str = "") -> str:
    inner = encode("01", beneficiary if beneficiary is not None else "0006999001" + "0105SIM01")
    return encode("38", "0010A000000727" + inner + encode("02", service or "") + more)


def error_of(text: str, profile: qr.Profile = "vietqr", *, lenient: bool = False) -> str | None:
    return qr.check(text, profile=profile, lenient=lenient)["error"]


# -- vectors -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("vector", VECTORS, ids=[f"{v['profile']}: {v['why']}" for v in VECTORS])
def test_vector(vector):
    strict = qr.check(vector["payload"], profile=vector["profile"])
    expected = vector["fields"] if vector["valid"] else {}
    assert strict == {"valid": vector["valid"], "error": vector["error"], "fields": expected}

    lenient = qr.check(vector["payload"], profile=vector["profile"], lenient=True)
    assert lenient["valid"] == vector["lenient_valid"]
    assert lenient["fields"] == (vector["fields"] if vector["lenient_valid"] else {})


@pytest.mark.parametrize("vector", [v for v in VECTORS if v["valid"]], ids=lambda v: v["why"])
def test_parse_agrees_with_check(vector):
    fields = qr.parse(vector["payload"], profile=vector["profile"])
    assert fields.as_dict() == vector["fields"]


# -- errors --------------------------------------------------------------------------------------------------


def test_error_says_code_position_value_and_remedy():
    text = vietqr("54051,000")
    with pytest.raises(qr.QRError) as raised:
        qr.parse(text)
    error = raised.value
    assert isinstance(error, BadInputError)
    assert error.code == "amount_format"
    assert text[error.position :].startswith("1,000")
    assert "object 54 (amount) is '1,000'" in error.found
    assert "no sign, comma or blank" in error.fix


@pytest.mark.parametrize(
    ("text", "code", "at"),
    [
        ("", "empty", ""),
        (" 000201", "whitespace", " 000201"),
        ("000201\u00a0", "whitespace", "\u00a0"),
        ("x" * 513, "payload_too_long", "x"),
        ("000201ab01x", "id_nonnumeric", "ab01x"),
        ("00020101+1x", "length_nonnumeric", "+1x"),
        ("0002010100", "length_zero", "00"),
        ("00020163", "tlv_truncated_header", "63"),
        ("0002016204abc", "tlv_truncated_value", "6204abc"),
        (vietqr("62080803***x"), "tlv_truncated_header", "x6304"),
        (vietqr("62120803***08011"), "duplicate_tag", "08011"),
        (vietqr("62110803***0800"), "length_zero", "006304"),
        (vietqr("5406500000", "540550000"), "duplicate_tag", "540550000"),
        (vietqr("62050101A", "62050801B"), "duplicate_tag", "62050801B"),
        (vietqr("62050101A", "64120002VI0102AB", "62050801B"), "duplicate_tag", "62050801B"),
        ("000201" + ACCOUNT, "crc_missing", ""),
    ],
)
def test_position(text, code, at):
    with pytest.raises(qr.QRError) as raised:
        qr.parse(text)
    assert raised.value.code == code
    assert text[raised.value.position :].startswith(at)
    assert at or raised.value.position == len(text)


def test_position_inside_templates():
    text = vietqr(account=napas("0006999001" + "0106SIM-01"))
    with pytest.raises(qr.QRError) as raised:
        qr.parse(text)
    assert raised.value.code == "account"
    assert text[raised.value.position :].startswith("SIM-01")


def test_unknown_profile_is_refused():
    with pytest.raises(BadInputError, match="Profiles are vietqr, emv, vnpay, structural"):
        qr.parse("000201", profile="upi")  # type: ignore[arg-type]


# -- rules beyond the vectors ----------------------------------------------------------------------------------


@pytest.mark.parametrize("amount", ["1", "50000", "50000.", "0050000", "9999999999999"])
def test_amounts_taken(amount):
    assert qr.parse(vietqr(encode("54", amount))).amount_vnd == int(amount.rstrip("."))


@pytest.mark.parametrize(
    ("amount", "code"),
    [
        ("50 000", "whitespace"),
        ("-5000", "amount_format"),
        (".", "amount_format"),
        (".5", "amount_format"),
        ("1.0.0", "amount_format"),
        ("0.", "amount_zero"),
        ("000", "amount_zero"),
        ("0.5", "amount_exponent"),
        ("50000.00", "amount_exponent"),
        ("99999999999999", "field_too_long"),
    ],
)
def test_amounts_refused(amount, code):
    assert error_of(vietqr(encode("54", amount))) == code
    assert error_of(vietqr(encode("54", amount)), lenient=True) == code


@pytest.mark.parametrize(
    ("tip", "code"),
    [
        (("5502" + "01",), None),
        (("5502" + "02", "56045000"), None),
        (("5502" + "03", "57045.25"), None),
        (("5502" + "03", "570299"), None),
        (("5502" + "04",), "tip_indicator"),
        (("5502" + "01", "56045000"), "tip_consistency"),
        (("5502" + "02",), "tip_consistency"),
        (("5502" + "02", "56045000", "57015"), "tip_consistency"),
        (("5502" + "03", "56045000"), "tip_consistency"),
        (("56045000",), "tip_consistency"),
        (("5502" + "02", "56010"), "amount_zero"),
        (("5502" + "02", "56035.5"), "amount_exponent"),
        (("5502" + "03", "5703100"), "amount_format"),
        (("5502" + "03", "57025%"), "amount_format"),
        (("5502" + "03", "570500.00"), "amount_zero"),
        (("5502" + "03", "57065.2500"), "field_too_long"),
    ],
)
def test_tips(tip, code):
    assert error_of(vietqr(*tip)) == code


@pytest.mark.parametrize(
    ("account", "code"),
    [
        (napas("0006999001" + "0105SIM01", service="QRIBFTTC"), None),
        (napas("0006999001" + "0105SIM01", service=None), "service_code"),
        (napas("0006999001" + "0105SIM01", service="qribftta"), "service_code"),
        (napas("0005999010105SIM01"), "bin"),
        (napas("000699900A0105SIM01"), "bin"),
        (napas("0105SIM01"), "bin"),
        (napas("0006999001"), "account"),
        (napas("0006999001" + "0105SIM 1"), "account"),
        (napas("0006999001" + "0105SIM１１"), "account"),
    ],
)
def test_beneficiary(account, code):
    assert error_of(vietqr(account=account)) == code


@pytest.mark.parametrize(
    ("objects", "code"),
    [
        (("52035 1",), "whitespace"),
        (("5203581",), "mcc"),
        (("520458１2",), "mcc"),
        (("6105100\t0",), "charset_not_ans"),
        (("61110123456789A",), "field_too_long"),
        (("6016HO CHI MINH CITY",), "field_too_long"),
        (("62070903AME",), None),
        (("62060902AA",), "charset_not_ans"),
        (("62050901X",), "charset_not_ans"),
        (("62051001x",), None),
        (("62105006" + "0002AB",), None),
        (("62105006" + "0102AB",), "missing_mandatory"),
        (("64060002VI",), "missing_mandatory"),
        (("6413" + "0003VIE" + "0102AB",), "field_too_long"),
        (("6412" + "00021A" + "0102AB",), "charset_not_ans"),
        (("6503abc",), None),
        (("8003123",), "tlv_truncated_header"),
        (("80060002AB",), None),
        (("80060102AB",), "missing_mandatory"),
        (("26060102AB",), "missing_mandatory"),
        (("2637" + "0033" + "g" * 33,), "guid"),
        (("0205Visa1",), None),
        (("0205Vísa1",), "charset_not_ans"),
    ],
)
def test_vietqr_objects(objects, code):
    assert error_of(vietqr(*objects)) == code


def test_currency_and_country_outside_viet_nam():
    assert error_of(vietqr(currency="5303840")) == "currency"
    assert error_of(vietqr(country="5802TH")) == "country"
    merchant = ("5204" + "5411", "5903ABC", "6003ABC")
    assert error_of(vietqr(*merchant, currency="5303840", country="5802US"), "emv") is None
    assert error_of(vietqr(*merchant, currency="530384A"), "emv") == "currency"
    assert error_of(vietqr(*merchant, country="5802us"), "emv") == "country"


def test_lenient_takes_other_scripts_but_no_control_characters():
    assert error_of(vietqr("5908Phở Bò 2")) == "charset_not_ans"
    assert error_of(vietqr("5908Phở Bò 2"), lenient=True) is None
    assert error_of(vietqr("5903P\x07o"), lenient=True) == "charset_not_ans"


def test_lenient_takes_a_crc_in_lower_case_only_if_it_is_right():
    text = payload(ACCOUNT, "5303704", "5802VN", "62070803abc")
    assert any(digit.isalpha() for digit in text[-4:])
    lower = text[:-4] + text[-4:].lower()
    assert (error_of(lower), error_of(lower, lenient=True)) == ("crc_lowercase", None)
    wrong = lower[:-1] + ("0" if lower[-1] != "0" else "1")
    assert error_of(wrong, lenient=True) == "crc_mismatch"


def test_payload_of_512_characters_is_the_longest():
    filler = [encode(str(tag), "x" * 94) for tag in range(65, 69)]
    room = 512 - len(vietqr(*filler)) - 4
    assert len(longest := vietqr(*filler, encode("69", "x" * room))) == 512
    assert error_of(longest) is None
    assert error_of(vietqr(*filler, encode("69", "x" * (room + 1)))) == "payload_too_long"


def test_lengths_count_characters_of_any_plane():
    text = vietqr("6413" + "0002ZH" + "0103🍜面店")
    assert qr.parse(text).merchant_name_alt == "🍜面店"


def test_half_a_surrogate_pair_is_an_error_not_a_crash():
    text = "000201010211" + ACCOUNT + "53037045802VN5903A\ud800B63041234"
    assert error_of(text) == "charset_not_ans"
    assert error_of(text, "structural", lenient=True) == "charset_not_ans"


def test_emv_leaves_the_inside_of_an_account_to_its_scheme():
    merchant = ("5204" + "5411", "5303704", "5802VN", "5903ABC", "6003ABC")
    broken = encode("38", "0010A000000727" + "0103xyz")
    fields = qr.parse(payload(broken, *merchant), profile="emv").as_dict()
    assert fields["38"] == "0010A0000007270103xyz"
    assert fields["guid"] == "A000000727"
    assert "bin" not in fields


def test_emv_reports_the_first_account_and_keeps_the_others_whole():
    merchant = ("5204" + "5411", "5303704", "5802VN", "5903ABC", "6003ABC")
    fields = qr.parse(payload("26120008vn.abcd1", ACCOUNT, *merchant), profile="emv")
    assert (fields.mai_id, fields.guid, fields.bin) == ("26", "vn.abcd1", None)
    assert fields.other == {"26": "0008vn.abcd1", "38": ACCOUNT[4:]}


@pytest.mark.parametrize("tag", ["52", "53", "58", "59", "60"])
def test_emv_mandatory_objects(tag):
    objects = {"38": ACCOUNT, "52": "52045411", "53": "5303704", "58": "5802VN", "59": "5903ABC", "60": "6003ABC"}
    assert error_of(payload(*objects.values()), "emv") is None
    del objects[tag]
    assert error_of(payload(*objects.values()), "emv") == "missing_mandatory"


def test_emv_without_an_account_template_reports_none():
    merchant = ("5204" + "5411", "5303704", "5802VN", "5903ABC", "6003ABC")
    fields = qr.parse(payload("0405Mastr", *merchant), profile="emv")
    assert fields.mai_id is None
    assert fields.other == {"04": "Mastr"}


def test_structural_opens_no_template_of_unknown_owner():
    assert error_of(payload("8003123"), "structural") is None
    assert error_of(payload("8003123"), "emv") is not None
    assert error_of(payload("62050899x"), "structural") == "tlv_truncated_value"
    assert qr.parse(payload(ACCOUNT, "54031,5"), profile="structural").bin == "999001"
    assert qr.parse(payload(ACCOUNT, "5303704", "54031,5"), profile="structural").amount_vnd is None


def test_vnpay_needs_its_own_guid():
    def code(guid):
        return payload(encode("26", f"0010{guid}" + "0110" + "0105313144"), "5303704", "5802VN")

    assert error_of(code("A000000775"), "vnpay") is None
    assert error_of(code("A000000727"), "vnpay") == "guid"
    assert error_of(vietqr(), "vnpay") == "missing_mandatory"


def test_accept_takes_nothing_that_the_tests_refuse():
    samples = [
        "",
        "0",
        "00",
        "01",
        "11",
        "1",
        "704",
        "VN",
        "vn",
        "5.",
        "5.5",
        "0.5",
        "AME",
        "AA",
        "x" * 26,
        "５",
        "a\n",
    ]
    samples += ["9" * 13, "9" * 14, "QRIBFTTA", "A000000727", "970436", "999 01", "é", "\n", "12\n", "VN\n", "99.99"]
    templates = [rules.root for rules in RULES.values()]
    for template in templates:
        templates.extend(template.templates.values())
        for leaf in (*template.leaves.values(), *template.checked.values()):
            for sample in filter(leaf.accept, samples):
                assert all(passes(sample) for _, passes in leaf.tests), (leaf.name, sample)


# -- building --------------------------------------------------------------------------------------------------


def test_crc_check_value():
    assert crc16("123456789") == 0x29B1
    assert crc16("6789", crc16("12345")) == 0x29B1


def test_static():
    text = qr.build_static(account="SIM0012", merchant_name="HANG RAU CO LAN", city="HUE")
    assert text[:-4] == (
        "000201010211" + "38510010A0000007270121" + "0006999001" + "0107SIM0012" + "0208QRIBFTTA"
        "5303704" + "5802VN" + "5915HANG RAU CO LAN" + "6003HUE" + "6304"
    )
    assert qr.parse(text).amount_vnd is None


def test_dynamic_with_everything():
    text = qr.build_dynamic(
        account="SIM2001",
        bin="999002",
        service="QRIBFTTC",
        merchant_name="Điện lực Hà Nội",
        city="Hà Nội",
        mcc="4900",
        store_label="HN01",
        customer_label="PD01",
        terminal_label="T1",
        purpose="TIEN DIEN T11",
        amount_vnd=187_650,
        bill_number="DIEN-202611-1",
    )
    fields = qr.parse(text)
    assert fields.amount_vnd == 187_650
    assert fields.as_dict() | {"crc": ""} == {
        "payload_format": "01",
        "init_method": "12",
        "mai_id": "38",
        "guid": "A000000727",
        "bin": "999002",
        "account": "SIM2001",
        "service": "QRIBFTTC",
        "mcc": "4900",
        "currency": "704",
        "amount": "187650",
        "country": "VN",
        "merchant_name": "Dien luc Ha Noi",
        "merchant_city": "Ha Noi",
        "bill_number": "DIEN-202611-1",
        "store_label": "HN01",
        "customer_label": "PD01",
        "terminal_label": "T1",
        "purpose": "TIEN DIEN T11",
        "language": "VI",
        "merchant_name_alt": "Điện lực Hà Nội",
        "merchant_city_alt": "Hà Nội",
        "crc": "",
    }


def test_names_are_composed_before_they_are_measured():
    fields = qr.parse(qr.build_static(account="SIM1", merchant_name=unicodedata.normalize("NFD", "Điện"), city="Huế"))
    assert (fields.merchant_name_alt, fields.merchant_city_alt) == ("Điện", "Huế")
    assert (fields.merchant_name, fields.merchant_city) == ("Dien", "Hue")


def test_city_in_two_scripts_needs_a_name_beside_it():
    assert qr.parse(qr.build_static(account="SIM1", merchant_name="CHO BA", city="Huế")).merchant_name_alt == "CHO BA"
    alone = qr.parse(qr.build_static(account="SIM1", city="Huế"))
    assert (alone.merchant_city, alone.language) == ("Hue", None)


def test_plain_ascii_knows_every_vietnamese_letter():
    letters = "àáảãạăằắẳẵặâầấẩẫậèéẻẽẹêềếểễệìíỉĩịòóỏõọôồốổỗộơờớởỡợùúủũụưừứửữựỳýỷỹỵđ"
    plain = qr.plain_ascii(letters + letters.upper())
    assert plain.isascii()
    assert set(plain) == set("aeiouydAEIOUYD")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"account": ""}, "account is ''"),
        ({"account": "SIM" + "1" * 17}, "1-19 letters and digits"),
        ({"account": "SIM 1"}, "letters and digits"),
        ({"account": "0011004123456"}, "begins with SIM"),
        ({"bin": "970436"}, "fictitious bank"),
        ({"bin": "99900"}, "6 digits"),
        ({"service": "QRPUSH"}, "QRIBFTTA"),
        ({"mcc": "490"}, "4 digits"),
        ({"merchant_name": "x" * 26}, "at most 25"),
        ({"merchant_name": ""}, "merchant_name is ''"),
        ({"merchant_name": "面店"}, "Latin"),
        ({"city": "Thành phố Hồ Chí Minh"}, "at most 15"),
        ({"purpose": "tiền điện"}, "printable ASCII"),
        ({"purpose": " x"}, "no blank"),
        ({"purpose": "x\n"}, "printable ASCII"),
        ({"store_label": "x" * 26}, "1-25"),
        ({"bill_number": ""}, "bill_number is ''"),
        ({"bill_number": "x" * 26}, "1-25"),
        ({"amount_vnd": 0}, "amount_vnd is 0"),
        ({"amount_vnd": -1}, "whole number of VND"),
        ({"amount_vnd": 10**13}, "whole number of VND"),
        ({"amount_vnd": 5.0}, "whole number of VND"),
        ({"amount_vnd": True}, "whole number of VND"),
        (dict.fromkeys(("store_label", "terminal_label", "purpose", "bill_number"), "x" * 25), "labels"),
        (dict.fromkeys(("store_label", "terminal_label", "purpose", "customer_label"), "x" * 25), "labels"),
    ],
)
def test_arguments_refused(change, words):
    arguments = {"account": "SIM1", "amount_vnd": 1000} | change
    with pytest.raises(BadInputError, match=words):
        qr.build_dynamic(**arguments)


def test_real_bank_and_account_only_on_request():
    real = {"account": "0011004123456", "bin": "970436"}
    text = qr.build_dynamic(**real, amount_vnd=50_000, allow_real=True)
    assert qr.parse(text).bin == "970436"
    for change in ({"account": "SIM1"}, {"bin": qr.DEFAULT_BIN}):
        with pytest.raises(BadInputError):
            qr.build_dynamic(**(real | change), amount_vnd=50_000)


def test_building_gives_the_payloads_of_other_makers():
    """The official example 6.1.3 of NAPAS's document, and a published VietinBank code."""
    official = next(v for v in VECTORS if "section 6.1.3" in v["source"])
    made = qr.build_dynamic(
        account="0011012345678",
        bin="970403",
        amount_vnd=180_000,
        bill_number="NPS6869",
        purpose="thanh toan don hang",
        allow_real=True,
    )
    assert made == official["payload"]


def test_fictitious_banks_are_no_members_of_napas():
    with BANKS.open(encoding="utf-8", newline="") as table:
        rows = list(csv.DictReader(table))
    members = {row["bin"] for row in rows}
    assert len(members) == len(rows) > 60
    assert members.isdisjoint(qr.FICTITIOUS_BANKS)
    assert qr.DEFAULT_BIN in qr.FICTITIOUS_BANKS
    assert all(len(bank) == 6 and bank.isascii() and bank.isdigit() for bank in qr.FICTITIOUS_BANKS)
    assert b"\r" not in BANKS.read_bytes()
