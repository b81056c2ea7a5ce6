"""What holds for all payloads: round trips, one changed character, arbitrary text, the two ways to build."""

from __future__ import annotations

import string

from hypothesis import given
from hypothesis import strategies as st

from schemas import qr
from schemas.qr.crc import seal
from schemas.qr.parse import read_fully
from schemas.qr.tlv import encode, scan
from schemas.qr.usual import read_usual

PRINTABLE = string.ascii_letters + string.digits + string.punctuation
VIETNAMESE = "àảãáạăằẳẵắặâầẩẫấậèẻẽéẹêềểễếệìỉĩíịòỏõóọôồổỗốộơờởỡớợùủũúụưừửữứựỳỷỹýỵđĐƠƯÂ"

labels = st.text(PRINTABLE, min_size=1, max_size=18)
payees = st.fixed_dictionaries(
    {"account": st.text(string.ascii_letters + string.digits, max_size=16).map("SIM{}".format)},
    optional={
        "bin": st.sampled_from(sorted(qr.FICTITIOUS_BANKS)),
        "service": st.sampled_from(sorted(qr.SERVICES)),
        "merchant_name": st.text(PRINTABLE + VIETNAMESE, min_size=1, max_size=25),
        "city": st.text(PRINTABLE + VIETNAMESE, min_size=1, max_size=15),
        "mcc": st.from_regex("[0-9]{4}", fullmatch=True),
        "store_label": labels,
        "terminal_label": labels,
        "purpose": labels,
    },
)
amounts = st.integers(1, qr.MAX_AMOUNT_VND)
bills = st.none() | labels
payloads = st.builds(
    lambda payee, amount, bill: qr.PayloadTemplate(**payee).dynamic(amount, bill), payees, amounts, bills
)
profiles = st.sampled_from(qr.PROFILES)
# Text that gets past the first steps of a reader: objects with right lengths, under a right CRC.
objects = st.lists(st.tuples(st.integers(0, 99), st.text(min_size=1, max_size=12)), max_size=8).map(
    lambda pairs: "".join(encode(f"{tag:02}", value) for tag, value in pairs)
)
nested = st.builds(lambda tag, inner: encode(tag, inner[:99]), st.sampled_from(["26", "38", "62", "64", "80"]), objects)


@given(payees, amounts, bills)
def test_what_is_built_reads_back(payee, amount, bill):
    fields = qr.parse(qr.build_dynamic(**payee, amount_vnd=amount, bill_number=bill))
    name, city = payee.get("merchant_name"), payee.get("city")
    assert fields.amount_vnd == amount
    assert fields.bill_number == bill
    assert fields.init_method == "12"
    assert fields.bin == payee.get("bin", qr.DEFAULT_BIN)
    for key in ("account", "mcc", "store_label", "terminal_label", "purpose"):
        assert getattr(fields, key) == payee.get(key)
    assert fields.merchant_name == (name and qr.plain_ascii(name))
    assert fields.merchant_city == (city and qr.plain_ascii(city))
    if name and not (name + (city or "")).isascii():
        assert (fields.merchant_name_alt, fields.merchant_city_alt) == (name, city)
    else:
        assert fields.language is None


@given(payees)
def test_static_reads_back(payee):
    fields = qr.parse(qr.build_static(**payee))
    assert (fields.init_method, fields.amount, fields.account) == ("11", None, payee["account"])


@given(payees, st.lists(st.tuples(amounts, bills), max_size=5))
def test_a_template_builds_what_single_calls_build(payee, rows):
    template = qr.PayloadTemplate(**payee)
    bulk = [template.dynamic(amount, bill) for amount, bill in rows]
    assert bulk == [qr.build_dynamic(**payee, amount_vnd=amount, bill_number=bill) for amount, bill in rows]
    assert template.static() == qr.build_static(**payee)


@given(payloads, st.data())
def test_one_changed_character_is_noticed(payload, data):
    at = data.draw(st.integers(0, len(payload) - 1))
    other = data.draw(st.sampled_from(string.printable.replace(payload[at], "")))
    changed = payload[:at] + other + payload[at + 1 :]
    for profile in qr.PROFILES:
        assert not qr.check(changed, profile=profile)["valid"]


@given(payloads, st.data())
def test_one_lost_character_is_noticed(payload, data):
    at = data.draw(st.integers(0, len(payload) - 1))
    assert not qr.check(payload[:at] + payload[at + 1 :])["valid"]


@given(
    st.text() | objects | st.builds(lambda a, b: seal(f"000201{a}{b}6304"), objects, nested), profiles, st.booleans()
)
def test_any_text_gets_fields_or_an_error_with_a_place(text, profile, lenient):
    answer = qr.check(text, profile=profile, lenient=lenient)
    error = None
    try:
        fields = qr.parse(text, profile=profile, lenient=lenient).as_dict()
    except qr.QRError as raised:
        error, fields = raised, {}
    assert answer == {"valid": error is None, "error": error and error.code, "fields": fields}
    assert error is None or 0 <= error.position <= len(text)


@given(payloads, objects | nested | st.just(""), st.data())
def test_the_short_way_takes_what_the_full_reader_takes(payload, extra, data):
    """Around a right payload: an object more, a value changed, always under a right CRC."""
    body = payload[:-8]
    at = data.draw(st.integers(6, len(body) - 1))
    letter = data.draw(st.sampled_from([body[at], "0", "1", " ", "x", "é"]))
    text = seal(body[:at] + letter + body[at + 1 :] + extra + "6304")
    usual = read_usual(text) if len(text) <= qr.MAX_PAYLOAD else None
    if usual is not None:
        assert read_fully(text, "vietqr", lenient=False) == (usual, {})


@given(payloads)
def test_the_short_way_takes_what_we_build(payload):
    assert read_usual(payload) is not None


@given(st.dictionaries(st.integers(0, 99).map("{:02}".format), st.text(min_size=1, max_size=99), max_size=10))
def test_objects_are_split_as_they_were_joined(pairs):
    assert scan("".join(encode(tag, value) for tag, value in pairs.items())) == pairs
