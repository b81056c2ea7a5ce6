"""Every image read back by a decoder that knows nothing of us, to the very text that went in."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest
import resvg_py
import zxingcpp
from PIL import Image

from schemas import qr
from schemas.errors import BadInputError
from services import qr_images

VECTORS = json.loads((Path(__file__).parent / "data" / "qr_vectors.json").read_text(encoding="utf-8"))
STALL = {"account": "SIM0968123456", "merchant_name": "Hàng rau cô Lan", "city": "Đà Lạt"}
BILLER = {"account": "SIM3100201012", "merchant_name": "Điện lực Hà Nội", "city": "Hà Nội", "purpose": "TIEN DIEN"}
PAYLOADS = [vector["payload"] for vector in VECTORS if vector["valid"]]
PAYLOADS += [qr.build_static(**STALL), qr.build_dynamic(**BILLER, amount_vnd=187_650, bill_number="DIEN-202611-1")]


def read(image: bytes) -> list[zxingcpp.Barcode]:
    with Image.open(io.BytesIO(image)) as picture:
        return zxingcpp.read_barcodes(picture.convert("L"), formats=zxingcpp.BarcodeFormat.QRCode)


@pytest.mark.parametrize("payload", PAYLOADS)
def test_svg_reads_back(payload):
    drawn = resvg_py.svg_to_bytes(svg_string=qr_images.svg(payload), zoom=4)
    assert [symbol.text for symbol in read(bytes(drawn))] == [payload]


@pytest.mark.parametrize("payload", PAYLOADS)
def test_png_reads_back(payload):
    assert [symbol.text for symbol in read(qr_images.png(payload, scale=4))] == [payload]


def test_error_correction_is_m():
    assert read(qr_images.png("12345678", scale=4))[0].ec_level == "M"


def test_quiet_zone_is_four_modules_and_scale_is_pixels_a_module():
    with Image.open(io.BytesIO(qr_images.png("12345678", scale=3))) as picture:
        assert picture.size == (3 * (21 + 8),) * 2
        bitmap = picture.convert("L")
    assert bitmap.getpixel((3 * 4 - 1, 3 * 4)) == 255
    assert bitmap.getpixel((3 * 4, 3 * 4)) == 0


def test_longest_payload_of_three_byte_letters_fits():
    text = "ệ" * qr.MAX_PAYLOAD
    assert [symbol.text for symbol in read(qr_images.png(text, scale=4))] == [text]


def test_images_are_cached_within_bounds():
    assert qr_images.svg(PAYLOADS[0]) is qr_images.svg(PAYLOADS[0])
    assert qr_images.svg.cache_info().maxsize
    assert qr_images.png.cache_info().maxsize


@pytest.mark.parametrize("payload", ["", "\ud800", "x" * 5000])
def test_what_no_symbol_can_carry(payload):
    with pytest.raises(BadInputError, match="1-512 characters"):
        qr_images.svg(payload)


@pytest.mark.parametrize("scale", [0, -1, 51])
def test_scales_refused(scale):
    with pytest.raises(BadInputError, match="1 to 50"):
        qr_images.png("12345678", scale=scale)
