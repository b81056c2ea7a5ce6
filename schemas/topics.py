"""The one table of topics: name, key, partitions, clean-up, who sends and receives. All else reads it.

In: nothing. Out: `TOPICS`, and the names as constants.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final, Literal

PAYMENTS = "quetma.payments"
DEAD_LETTERS = "quetma.payments.dead-letters"
CELLS = "quetma.cells"
QR_CODES = "quetma.qr-codes"
ACCOUNTS = "quetma.accounts"
ALERTS = "quetma.alerts"
TRUTH = "quetma.truth"
LEDGER = "quetma.ledger"
INTERVENTIONS = "quetma.interventions"
ADOPTION_MARKET = "quetma.adoption.market"
ADOPTION_COMMUNE = "quetma.adoption.commune"

STREAM_GROUP = "quetma-stream"
"""Consumer group (and Faust app) of the stream workers."""
STATE_CHANGELOG = f"{STREAM_GROUP}-cells-changelog"

GIB = 1 << 30
SEGMENT_BYTES = 16 << 20
"""Size of a segment of the state's changelog. A recovery reads all of it, and Kafka never compacts the newest segment,
which has 1 GiB by default."""
DELETE_RETENTION_MS = 86_400_000
"""For how long the state's changelog keeps a tombstone that has been compacted; Kafka's default. Workers that keep a
copy of the changelog rely on it."""
PROMPT_COMPACTION = {
    "segment.bytes": str(SEGMENT_BYTES),
    "min.cleanable.dirty.ratio": "0.1",
    "delete.retention.ms": str(DELETE_RETENTION_MS),
}
EVENT_TIME = {"retention.ms": "-1", "message.timestamp.after.max.ms": str(2**63 - 1)}
"""Timestamps are simulated: Kafka must neither delete what looks old nor refuse what looks future (4.x: 1 h)."""


Party = Literal["producer", "stream", "serve", "verify", "operator"]
PARTIES: Final[dict[Party, str]] = {
    "producer": "`quetma produce`: simulates, sends payments, and counts what Kafka acknowledged",
    "stream": "`quetma stream`: workers that check and fold payments, and keep their state in Kafka",
    "serve": "`quetma serve`: the exporter for Prometheus, the live page and its orders",
    "verify": "`quetma verify`: the ledger against the aggregates",
    "operator": "`quetma interventions`: what somebody tells a running scenario to do",
}
"""Who sends and receives."""

Media = Literal["application/json", "application/msgpack", "application/octet-stream"]
KEY_OR: Final = " or "


@dataclass(frozen=True)
class Topic:
    """A row of the table. ``partitions`` None: as many as the setting `kafka.partitions` says."""

    name: str
    key: str
    """Fields of the value, and words that are no field and stand for themselves (or one of several, parted by ``/``),
    parted by ``|``. Several are parted by ``or``: one for each model of its values, in their order, or all for the only
    one."""
    partitions: int | None
    cleanup: Literal["delete", "compact"]
    retention_bytes: int | None
    """Per partition, oldest records first; without end if None."""
    meaning: str
    senders: tuple[Party, ...]
    receivers: tuple[Party, ...]
    media: Media = "application/json"
    key_pattern: str | None = None
    """Regular expression of keys that are not made of the value's fields."""

    def partition_count(self, default: int) -> int:
        """Return its number of partitions where keyed topics have ``default``."""
        return self.partitions or default

    def config(self) -> dict[str, str]:
        """Return its settings on the broker, by Kafka's names."""
        settings: dict[str, str] = {"cleanup.policy": self.cleanup, **EVENT_TIME}
        if self.retention_bytes is not None:
            settings["retention.bytes"] = str(self.retention_bytes)
        if self.name == STATE_CHANGELOG:
            settings |= PROMPT_COMPACTION
        return settings


TOPICS: tuple[Topic, ...] = (
    Topic(
        PAYMENTS,
        "commune",
        None,
        "delete",
        4 * GIB,
        "every payment, cash included",
        senders=("producer",),
        receivers=("producer", "stream", "serve"),
    ),
    Topic(
        DEAD_LETTERS,
        "topic-partition-offset",
        None,
        "delete",
        GIB,
        "records set aside, as they came, with the reason in their headers",
        senders=("stream",),
        receivers=("serve", "verify"),
        media="application/octet-stream",
        key_pattern=rf"^{re.escape(PAYMENTS)}-[0-9]+-[0-9]+$",
    ),
    Topic(
        CELLS,
        "run|cell",
        1,
        "compact",
        None,
        "markets and commune sectors of each run",
        senders=("producer",),
        receivers=("stream", "serve"),
    ),
    Topic(
        QR_CODES,
        "run|code",
        None,
        "compact",
        None,
        "the codes that stalls and bills show",
        senders=("producer",),
        receivers=("serve",),
    ),
    Topic(
        ACCOUNTS,
        "run|source",
        None,
        "compact",
        None,
        "the accounts that tills have registered",
        senders=("producer",),
        receivers=("stream",),
    ),
    Topic(
        ALERTS,
        "run|payment_id",
        None,
        "compact",
        None,
        "payments to an account that was not registered",
        senders=("stream",),
        receivers=("serve",),
    ),
    Topic(
        TRUTH,
        "run|payment_id|label",
        None,
        "delete",
        GIB,
        "what is known of payments beyond their records, in their communes' partitions",
        senders=("producer",),
        receivers=(),
    ),
    Topic(
        LEDGER,
        "run or run|cell|day or run|faults|shard or run|checkpoint|shard",
        1,
        "compact",
        None,
        "what Kafka acknowledged, counted by the producer",
        senders=("producer",),
        receivers=("producer", "serve", "verify"),
    ),
    Topic(
        ADOPTION_MARKET,
        "run|market|total or run|market|window|start_at",
        None,
        "compact",
        None,
        "adoption by market",
        senders=("stream",),
        receivers=("serve", "verify"),
    ),
    Topic(
        INTERVENTIONS,
        "run|id or run|pace|speed/paused or run|id|shard or run|begun|shard",
        1,
        "compact",
        None,
        "what running scenarios are told to do, and what their producers made of it",
        senders=("producer", "operator", "serve"),
        receivers=("producer", "operator", "serve"),
    ),
    Topic(
        ADOPTION_COMMUNE,
        "run|commune|total or run|commune|window|start_at",
        None,
        "compact",
        None,
        "adoption by commune",
        senders=("stream",),
        receivers=("serve", "verify"),
    ),
    Topic(
        STATE_CHANGELOG,
        "partition|claim or partition|epoch| or partition|epoch|run|cell",
        None,
        "compact",
        None,
        "the stream workers' own state; a record without a value forgets its key",
        senders=("stream",),
        receivers=("stream",),
        media="application/msgpack",
        key_pattern=r"^[0-9]+\|(claim|[0-9]+\|([^|]+\|[^|]+)?)$",
    ),
)
