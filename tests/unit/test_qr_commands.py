"""`quetma qr` from arguments and lines to stdout, stderr, files and exit codes."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from pathlib import Path

import pytest
import zxingcpp
from PIL import Image
from typer.testing import CliRunner

from schemas import qr
from schemas.errors import BadInputError, CheckFailedError
from services.qr_commands import app

VECTORS = json.loads((Path(__file__).parent / "data" / "qr_vectors.json").read_text(encoding="utf-8"))
GOOD = qr.build_dynamic(account="SIM1", amount_vnd=50_000, merchant_name="Phở Thìn")
BAD = GOOD[:-4] + "0000"


def run(*arguments: str, stdin: str | bytes | None = None):
    return CliRunner().invoke(app, arguments, input=stdin)


def test_build_dynamic():
    result = run(
        *("build", "--account", "SIM42", "--amount-vnd", "187650", "--bill-number", "HD1"),
        *("--name", "Điện lực Hà Nội", "--city", "Hà Nội", "--purpose", "TIEN DIEN", "--bin", "999003"),
    )
    assert result.exit_code == 0
    fields = qr.parse(result.stdout.removesuffix("\n"))
    assert (fields.amount_vnd, fields.bill_number, fields.bin) == (187_650, "HD1", "999003")
    assert (fields.merchant_name_alt, fields.merchant_city_alt, fields.purpose) == (
        "Điện lực Hà Nội",
        "Hà Nội",
        "TIEN DIEN",
    )


def test_build_static():
    assert run("build", "--account", "SIM42").stdout == qr.build_static(account="SIM42") + "\n"


def test_build_needs_leave_for_real_banks():
    real = ("build", "--account", "0011004123456", "--bin", "970436")
    assert isinstance(run(*real).exception, BadInputError)
    assert qr.parse(run(*real, "--allow-real").stdout.strip()).bin == "970436"


def test_build_wants_an_amount_with_a_bill():
    result = run("build", "--account", "SIM42", "--bill-number", "HD1")
    assert isinstance(result.exception, BadInputError)
    assert "--amount-vnd" in str(result.exception)


def test_parse_shows_fields():
    result = run("parse", GOOD)
    assert result.exit_code == 0
    shown = dict(line.split(maxsplit=1) for line in result.stdout.splitlines())
    assert shown["amount"] == "50000"
    assert shown["merchant_name_alt"] == "Phở Thìn"
    assert shown["bin"] == "999001  (Ngân hàng Mô phỏng Sông Hồng, fictitious)"


@pytest.mark.parametrize(("bank", "name"), [("970436", "Vietcombank"), ("123456", "unknown bank")])
def test_parse_names_the_bank(bank, name):
    payload = qr.build_static(account="1", bin=bank, allow_real=True)
    assert f"{bank}  ({name})" in run("parse", payload).stdout


def test_parse_json():
    result = run("parse", GOOD, "--json")
    assert json.loads(result.stdout) == {"valid": True, "error": None, "fields": qr.parse(GOOD).as_dict()}
    assert result.exit_code == 0


def test_parse_of_an_invalid_payload_exits_1():
    result = run("parse", BAD)
    assert isinstance(result.exception, CheckFailedError)
    assert result.exception.exit_code == 1
    assert "crc_mismatch" in str(result.exception)
    assert result.stdout == ""

    result = run("parse", BAD, "--json")
    assert json.loads(result.stdout) == {"valid": False, "error": "crc_mismatch", "fields": {}}
    assert result.exit_code == 1


def test_parse_takes_exactly_one_input():
    assert isinstance(run("parse").exception, BadInputError)
    assert isinstance(run("parse", GOOD, "--jsonl", "-").exception, BadInputError)


def test_profile_and_lenient():
    payload = next(v["payload"] for v in VECTORS if v["error"] == "crc_lowercase")
    assert run("parse", payload, "--json").exit_code == 1
    assert run("parse", payload, "--json", "--lenient").exit_code == 0
    assert json.loads(run("parse", payload, "--json", "--lenient", "--profile", "emv").stdout)["error"] == (
        "missing_mandatory"
    )
    assert run("parse", payload, "--profile", "upi").exit_code == 2


@pytest.mark.parametrize("profile", qr.PROFILES)
@pytest.mark.parametrize("lenient", [False, True])
def test_jsonl_answers_every_vector(profile, lenient):
    chosen = [vector for vector in VECTORS if vector["profile"] == profile]
    lines = "".join(json.dumps(vector["payload"]) + "\n" for vector in chosen)
    result = run("parse", "--jsonl", "-", "--profile", profile, *["--lenient"] * lenient, stdin=lines)
    assert result.exit_code == 0
    answers = [json.loads(line) for line in result.stdout_bytes.decode().splitlines()]
    assert len(answers) == len(chosen)
    for vector, answer in zip(chosen, answers, strict=True):
        valid = vector["lenient_valid" if lenient else "valid"]
        assert answer["valid"] == valid
        assert answer["fields"] == (vector["fields"] if valid else {})
        assert lenient or answer["error"] == vector["error"]


def test_jsonl_from_a_file_without_a_last_line_end(tmp_path):
    lines = tmp_path / "payloads.jsonl"
    lines.write_bytes(json.dumps(GOOD, ensure_ascii=False).encode() + b"\r\n" + json.dumps(BAD).encode())
    answers = [json.loads(line) for line in run("parse", "--jsonl", str(lines)).stdout.splitlines()]
    assert [answer["valid"] for answer in answers] == [True, False]


def test_jsonl_of_many_blocks():
    payloads = [qr.build_dynamic(account="SIM1", amount_vnd=amount) for amount in range(1, 2001)]
    result = run("parse", "--jsonl", "-", stdin="".join(f"{json.dumps(payload)}\n" for payload in payloads))
    amounts = [json.loads(line)["fields"]["amount"] for line in result.stdout.splitlines()]
    assert amounts == [str(amount) for amount in range(1, 2001)]


def test_jsonl_answers_before_the_input_ends():
    command = [sys.executable, "-c", "from services.qr_commands import app; app()", "parse", "--jsonl", "-"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin
        assert process.stdout
        for payload in (GOOD, BAD):
            process.stdin.write(json.dumps(payload).encode() + b"\n")
            process.stdin.flush()
            assert json.loads(process.stdout.readline())["valid"] == (payload is GOOD)
        process.stdin.close()
        assert process.wait(timeout=60) == 0


def test_jsonl_takes_half_a_surrogate_pair():
    answer = json.loads(run("parse", "--jsonl", "-", stdin='"000201\\ud800"\n').stdout)
    assert answer == {"valid": False, "error": "tlv_truncated_header", "fields": {}}


@pytest.mark.parametrize("bad", [b"000201", b'{"a": 1}', b"", b"null", b'"\xff"', b"[" * 100_000, b"1" * 10_000])
def test_jsonl_stops_at_a_line_that_is_no_string(bad):
    good = json.dumps(GOOD).encode()
    result = run("parse", "--jsonl", "-", stdin=good + b"\n" + bad + b"\n" + good + b"\n")
    assert isinstance(result.exception, BadInputError)
    assert result.exception.exit_code == 2
    assert "line 2 is" in str(result.exception)
    assert len(str(result.exception)) < 300
    assert len(result.stdout.splitlines()) == 1


def test_jsonl_of_a_missing_file(tmp_path):
    result = run("parse", "--jsonl", str(tmp_path / "none.jsonl"))
    assert isinstance(result.exception, BadInputError)
    assert "cannot read" in str(result.exception)


def test_image_png(tmp_path):
    out = tmp_path / "code.PNG"
    result = run("image", GOOD, "--out", str(out), "--scale", "4")
    assert (result.exit_code, result.stdout) == (0, "")
    assert "code.PNG" in result.stderr
    with Image.open(io.BytesIO(out.read_bytes())) as picture:
        assert zxingcpp.read_barcodes(picture.convert("L"))[0].text == GOOD


def test_image_svg(tmp_path):
    out = tmp_path / "code.svg"
    assert run("image", GOOD, "--out", str(out)).exit_code == 0
    assert out.read_text(encoding="utf-8").startswith("<svg")


@pytest.mark.parametrize(
    ("payload", "name", "words"),
    [(BAD, "code.svg", "crc_mismatch"), (GOOD, "code.gif", ".svg or .png"), (GOOD, "none/code.svg", "cannot write")],
)
def test_image_refused(tmp_path, payload, name, words):
    result = run("image", payload, "--out", str(tmp_path / name))
    assert isinstance(result.exception, BadInputError)
    assert words in str(result.exception)
    assert not (tmp_path / name).exists()
