"""The newest payments and alerts of a run, with the VietQR codes that were scanned.

In: payments, QR codes and alerts, as records of their topics. Out: rows for the page; each symbol is drawn by segno.
Pure. A payment by VietQR is shown with the code of its bill, or of its stall. The codes come from the producer: their
banks are fictitious and their accounts begin with ``SIM``, so that no symbol on the page can move money. Any other
payload is not drawn.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from typing import Any, Final

from schemas.errors import BadInputError
from schemas.qr import ACCOUNT_PREFIX, FICTITIOUS_BANKS, parse
from services.qr_images import svg

SHOWN: Final = 15
"""Payments on the page."""
ALERTS_SHOWN: Final = 8
MAX_ALERTS: Final = 100_000
"""Alerts that are told apart; so many, and more, are shown as so many."""
MAX_STATIC, MAX_DYNAMIC = 60_000, 40_000
"""Codes that are kept, of stalls and of bills: about 40 MB. Of what is over, the oldest go."""

Document = dict[str, Any]


class CodeBook:
    """The codes that payments may have scanned, as many as memory may be spent on."""

    def __init__(self, max_static: int = MAX_STATIC, max_dynamic: int = MAX_DYNAMIC) -> None:
        self._kinds: dict[str, OrderedDict[tuple[str, str], str]] = {"static": OrderedDict(), "dynamic": OrderedDict()}
        self._most = {"static": max_static, "dynamic": max_dynamic}

    def learn(self, code: Document) -> None:
        """Take a code; one that is there already counts as new."""
        kept = self._kinds[code["kind"]]
        key = code["run"], code["code"]
        kept[key] = code["payload"]
        kept.move_to_end(key)
        if len(kept) > self._most[code["kind"]]:
            kept.popitem(last=False)

    def payload(self, payment: Document) -> str | None:
        """Return the code that a payment scanned, none where it scanned none or it is not at hand."""
        if payment["method"] != "vietqr":
            return None
        bill = payment.get("bill_number")
        kind, code = ("static", payment["source"]) if bill is None else ("dynamic", bill)
        return self._kinds[kind].get((payment["run"], code))

    def __len__(self) -> int:
        return sum(map(len, self._kinds.values()))


def is_harmless(payload: str) -> bool:
    """Return whether a payload names a fictitious bank and an account that no bank gives: it moves no money."""
    try:
        code = parse(payload)
    except BadInputError:
        return False
    return code.bin in FICTITIOUS_BANKS and (code.account or "").startswith(ACCOUNT_PREFIX)


def symbol(payload: str) -> str | None:
    """Return the symbol of a payload that can move no money, as SVG; none for any other."""
    return svg(payload) if is_harmless(payload) else None


class Feed:
    """The newest payments and alerts of one run."""

    def __init__(self) -> None:
        self.payments: deque[Document] = deque(maxlen=SHOWN)
        self.alerts: OrderedDict[str, Document] = OrderedDict()
        self.alert_count = 0
        self._alerted: set[str] = set()

    def pay(self, payment: Document) -> None:
        """Take a payment, the newest so far."""
        self.payments.appendleft(payment)

    def alert(self, alert: Document) -> None:
        """Take an alert; one that is told again counts once."""
        id_ = alert["payment_id"]
        if id_ not in self._alerted and self.alert_count < MAX_ALERTS:
            self._alerted.add(id_)
            self.alerts[id_] = alert
            if len(self.alerts) > ALERTS_SHOWN:
                oldest = min(self.alerts, key=lambda one: self.alerts[one]["occurred_at"])
                del self.alerts[oldest]
        self.alert_count = len(self._alerted)

    def alert_rows(self) -> list[Document]:
        """Return the newest alerts, the newest first."""
        return sorted(self.alerts.values(), key=lambda one: -one["occurred_at"])
