"""How fast payloads are built, read and drawn: seconds in, one row a path out.

Every payload differs from the one before, so no path can answer from memory.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import count

from schemas import qr
from services import qr_images
from tests.benchmarks.measuring import Row, Stopwatch

BILLER: qr.Payee = {
    "account": "SIM3100201012345",
    "merchant_name": "DIEN LUC HA NOI",
    "mcc": "4900",
    "purpose": "TIEN DIEN T11",
}
IN_TWO_SCRIPTS: qr.Payee = {**BILLER, "merchant_name": "Điện lực Hà Nội", "city": "Hà Nội"}
BATCH = 1_000  # events between two looks at the clock
POOL = 200_000  # payloads ready to be read, all different


def run(seconds: float) -> Iterator[Row]:
    """Time each path for about `seconds` and give its row as soon as it is there."""
    template = qr.PayloadTemplate(**BILLER)
    plain = [template.dynamic(1_000 + i, f"HD-202611-{i:06}") for i in range(POOL)]
    accented = qr.PayloadTemplate(**IN_TWO_SCRIPTS)
    named = [accented.dynamic(1_000 + i, f"HD-202611-{i:06}") for i in range(POOL // 10)]

    def build(i: int) -> object:
        return qr.build_dynamic(**BILLER, amount_vnd=1_000 + i, bill_number=f"HD-202611-{i:06}")

    yield _time("qr build", seconds, build, BATCH)
    yield _time("qr build bulk", seconds, lambda i: template.dynamic(1_000 + i, f"HD-202611-{i:06}"), BATCH)
    yield _time("qr parse", seconds, lambda i: qr.parse(plain[i % POOL]), BATCH)
    yield _time("qr parse two scripts", seconds, lambda i: qr.parse(named[i % len(named)]), BATCH)
    yield _time("qr parse structural", seconds, lambda i: qr.check(plain[i % POOL], profile="structural"), BATCH)
    yield _time("qr image svg", seconds, lambda i: qr_images.svg.__wrapped__(plain[i % POOL]), 1)
    yield _time("qr image png", seconds, lambda i: qr_images.png.__wrapped__(plain[i % POOL]), 1)


def _time(name: str, seconds: float, event: Callable[[int], object], batch: int) -> Row:
    watch = Stopwatch()
    for first in count(0, batch):
        for i in range(first, first + batch):
            event(i)
        if watch.seconds >= seconds:
            return watch.row(name, "qr", first + batch)
    raise AssertionError("count() never ends")
