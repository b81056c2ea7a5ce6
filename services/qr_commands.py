"""`quetma qr`: arguments, or one JSON string a line, in; payloads, fields and images out.

Data goes to stdout, messages to stderr; errors rise as QuetmaError to `services.cli`.
"""

from __future__ import annotations

import csv
import io
import json
from functools import lru_cache
from importlib.resources import files
from itertools import count
from pathlib import Path
from typing import Annotated, BinaryIO, Final

import msgspec
import typer

from schemas import qr
from schemas.errors import BadInputError, CheckFailedError, ExitCode
from services import qr_images

app = typer.Typer(help="VietQR payloads: build, parse, draw.", no_args_is_help=True)

_BLOCK: Final = 1 << 16  # bytes read and answered at a time
_SHOWN: Final = 60  # characters of a bad line that a message repeats
_STDIN: Final = "-"
_TO_JSON: Final = msgspec.json.Encoder().encode


@app.command()
def build(
    *,
    account: Annotated[str, typer.Option(help="Account: SIM and up to 16 letters and digits.")],
    bank: Annotated[str, typer.Option("--bin", help="BIN of a fictitious bank, 6 digits.")] = qr.DEFAULT_BIN,
    amount_vnd: Annotated[int | None, typer.Option(help="Amount; with one the payload is dynamic.")] = None,
    bill_number: Annotated[str | None, typer.Option(help="Bill number; needs an amount.")] = None,
    name: Annotated[str | None, typer.Option(help="Merchant's name, at most 25 letters.")] = None,
    city: Annotated[str | None, typer.Option(help="Merchant's city, at most 15 letters.")] = None,
    purpose: Annotated[str | None, typer.Option(help="Purpose of the payment, ASCII.")] = None,
    allow_real: Annotated[
        bool, typer.Option("--allow-real", help="Accept real banks and accounts: real money can move.")
    ] = False,
) -> None:
    """Print a payload: dynamic for an amount, static without."""
    template = qr.PayloadTemplate(
        account=account, bin=bank, merchant_name=name, city=city, purpose=purpose, allow_real=allow_real
    )
    if amount_vnd is not None:
        typer.echo(template.dynamic(amount_vnd, bill_number))
    elif bill_number is None:
        typer.echo(template.static())
    else:
        raise BadInputError("qr build", "a bill number without an amount", "Add --amount-vnd")


@app.command()
def parse(
    payload: Annotated[str | None, typer.Argument(help="The text that a QR symbol carries.")] = None,
    *,
    jsonl: Annotated[
        str | None, typer.Option(help="File (- is stdin) with one JSON string a line; answers a line each.")
    ] = None,
    profile: Annotated[qr.Profile, typer.Option(help="The rules to hold payloads against.")] = "vietqr",
    lenient: Annotated[
        bool, typer.Option("--lenient", help="Accept a lower-case CRC, and letters beyond ASCII.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Print what payloads say; exit 1 when the one given is not valid."""
    if (payload is None) == (jsonl is None):
        raise BadInputError("qr parse", "not exactly one input", "Pass either a payload or --jsonl FILE")
    if jsonl is not None:
        _answer_lines_of(jsonl, profile, lenient=lenient)
    elif payload is not None:
        _show(payload, profile, lenient=lenient, as_json=as_json)


@app.command()
def image(
    payload: Annotated[str, typer.Argument(help="A payload, its objects and CRC sound.")],
    *,
    out: Annotated[Path, typer.Option(help="File to write, .svg or .png.")],
    scale: Annotated[int, typer.Option(help="Pixels a module, for PNG.")] = 8,
) -> None:
    """Draw a payload's QR symbol."""
    qr.parse(payload, profile="structural")
    match out.suffix.lower():
        case ".svg":
            content = qr_images.svg(payload).encode()
        case ".png":
            content = qr_images.png(payload, scale)
        case _:
            raise BadInputError("qr image", f"file {str(out)!r}", "Its name must end in .svg or .png")
    try:
        out.write_bytes(content)
    except OSError as error:
        raise BadInputError(
            "qr image", f"cannot write {str(out)!r}: {error.strerror}", "Choose another file"
        ) from error
    typer.echo(f"wrote {out}", err=True)


def _show(payload: str, profile: qr.Profile, *, lenient: bool, as_json: bool) -> None:
    if as_json:
        answer = qr.check(payload, profile=profile, lenient=lenient)
        typer.echo(_TO_JSON(answer))
        if not answer["valid"]:
            raise typer.Exit(ExitCode.CHECK_FAILED)
        return
    try:
        fields = qr.parse(payload, profile=profile, lenient=lenient).as_dict()
    except qr.QRError as error:
        raise CheckFailedError(error.stage, error.found, error.fix) from error
    width = max(map(len, fields))
    for name, value in fields.items():
        note = f"  ({_bank(value)})" if name == "bin" else ""
        typer.echo(f"{name:{width}}  {value}{note}")


def _answer_lines_of(source: str, profile: qr.Profile, *, lenient: bool) -> None:
    if source == _STDIN:
        _answer_lines(typer.get_binary_stream("stdin"), profile, lenient=lenient)
        return
    try:
        with Path(source).open("rb") as lines:
            _answer_lines(lines, profile, lenient=lenient)
    except OSError as error:
        raise BadInputError("qr parse", f"cannot read {source!r}: {error.strerror}", "Choose another file") from error


def _answer_lines(source: BinaryIO, profile: qr.Profile, *, lenient: bool) -> None:
    """Answer each line as it comes.

    Whatever is there is read, answered and flushed at once, so that a partner who waits for each answer gets
    it, and one who sends a million lines does not pay for a million writes.
    """
    out = typer.get_binary_stream("stdout")
    numbers, rest = count(1), b""
    try:
        while block := source.read1(_BLOCK):  # type: ignore[attr-defined]  # BinaryIO leaves it out
            *lines, rest = (rest + block).split(b"\n")
            for line in lines:
                out.write(_answer(line, next(numbers), profile, lenient=lenient))
            out.flush()
        if rest:
            out.write(_answer(rest, next(numbers), profile, lenient=lenient))
    finally:
        out.flush()


def _answer(line: bytes, number: int, profile: qr.Profile, *, lenient: bool) -> bytes:
    # The standard parser, not msgspec's, because it takes half a surrogate pair: such a payload has a verdict.
    try:
        payload = json.loads(line.decode())
    except (ValueError, RecursionError):
        payload = None
    if not isinstance(payload, str):
        shown = line[:_SHOWN].decode(errors="replace")
        raise BadInputError("qr parse", f"line {number} is {shown!r}", 'Each line holds one JSON string: "000201..."')
    return _TO_JSON(qr.check(payload, profile=profile, lenient=lenient)) + b"\n"


def _bank(bank: str) -> str:
    if bank in qr.FICTITIOUS_BANKS:
        return f"{qr.FICTITIOUS_BANKS[bank]}, fictitious"
    return _real_banks().get(bank, "unknown bank")


@lru_cache(maxsize=1)
def _real_banks() -> dict[str, str]:
    table = files("producers").joinpath("world/banks.csv").read_text(encoding="utf-8")
    return {row["bin"]: row["short_name"] for row in csv.DictReader(io.StringIO(table))}
