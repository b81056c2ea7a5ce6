"""The orders of one run, and what its producers made of them.

In: records of ``quetma.interventions``, as documents. Out: rows for the page: waiting, applied from a day, refused.
Pure.
"""

from __future__ import annotations

from typing import Any, Final

SHOWN: Final = 10
MAX_ORDERS: Final = 500
"""Orders that are kept, the newest."""

Document = dict[str, Any]


class OrderBook:
    """Orders by id, with an answer of each shard."""

    def __init__(self) -> None:
        self._orders: dict[str, Document] = {}
        self._answers: dict[str, dict[str, Document]] = {}
        self.speed: float | str | None = None
        """The speed that was ordered last."""
        self.paused: bool | None = None

    def learn(self, record: Document) -> None:
        """Take a record; producers' answers may be read before the order, and either more than once."""
        match record["kind"]:
            case "intervention":
                self._orders[record["id"]] = record
            case "pace":
                self._orders[record["id"]] = record
                self._pace(record)
            case "applied":
                self._answers.setdefault(record["id"], {})[record["shard"]] = record
        if len(self._orders) > MAX_ORDERS:
            oldest = min(self._orders, key=lambda id_: self._orders[id_]["ordered_at"])
            del self._orders[oldest]
            self._answers.pop(oldest, None)

    def _pace(self, record: Document) -> None:
        if record.get("speed") is not None:
            self.speed = record["speed"]
        if record.get("paused") is not None:
            self.paused = record["paused"]

    def rows(self) -> list[Document]:
        """Return the newest orders, the newest first."""
        newest = sorted(self._orders.values(), key=lambda one: (-one["ordered_at"], one["id"]))[:SHOWN]
        return [self._row(order) for order in newest]

    def _row(self, order: Document) -> Document:
        about = {"id": order["id"], "ordered_at": order["ordered_at"]}
        if order["kind"] == "pace":  # producers obey at once, and do not answer
            return {**about, "kind": "pace", "speed": order.get("speed"), "paused": order.get("paused")}
        answers = list(self._answers.get(order["id"], {}).values())
        days = sorted({one["from_day"] for one in answers if one.get("from_day")})
        return {
            **about,
            "kind": order["intervention"]["kind"],
            "place": order["intervention"].get("place", []),
            "start": order.get("start"),
            "from_days": days,
            "refused": sorted({one["refused"] for one in answers if one.get("refused")}),
        }
