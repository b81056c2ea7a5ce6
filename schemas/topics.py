"""The one table of topics: name, key, partitions, clean-up, schema. All else reads it.

In: nothing. Out: `TOPICS`, and the names as constants.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from schemas.events import (
    Account,
    Adoption,
    Alert,
    Cell,
    Checkpoint,
    LedgerEntry,
    Payment,
    QrCode,
    RunFaults,
    RunStarted,
    Truth,
)
from schemas.types import Contract

PAYMENTS = "quetma.payments"
DEAD_LETTERS = "quetma.payments.dead-letters"
CELLS = "quetma.cells"
QR_CODES = "quetma.qr-codes"
ACCOUNTS = "quetma.accounts"
ALERTS = "quetma.alerts"
TRUTH = "quetma.truth"
LEDGER = "quetma.ledger"
ADOPTION_MARKET = "quetma.adoption.market"
ADOPTION_COMMUNE = "quetma.adoption.commune"

STREAM_GROUP = "quetma-stream"
"""Consumer group (and Faust app) of the stream workers."""
STATE_CHANGELOG = f"{STREAM_GROUP}-cells-changelog"

GIB = 1 << 30
SEGMENT_BYTES = 16 << 20
"""Size of a segment of the state's changelog. A recovery reads all of it, and Kafka never compacts the newest segment,
which has 1 GiB by default."""
PROMPT_COMPACTION = {"segment.bytes": str(SEGMENT_BYTES), "min.cleanable.dirty.ratio": "0.1"}
EVENT_TIME = {"retention.ms": "-1", "message.timestamp.after.max.ms": str(2**63 - 1)}
"""Timestamps are simulated: Kafka must neither delete what looks old nor refuse what looks future (4.x: 1 h)."""


@dataclass(frozen=True)
class Topic:
    """A row of the table. ``partitions`` None: as many as the setting `kafka.partitions` says."""

    name: str
    key: str
    partitions: int | None
    cleanup: Literal["delete", "compact"]
    retention_bytes: int | None
    """Per partition, oldest records first; without end if None."""
    schemas: tuple[type[Contract], ...]
    meaning: str

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
    Topic(PAYMENTS, "commune", None, "delete", 4 * GIB, (Payment,), "every payment, cash included"),
    Topic(
        DEAD_LETTERS,
        "topic-partition-offset",
        None,
        "delete",
        GIB,
        (),
        "records set aside, as they came, with the reason in their headers",
    ),
    Topic(CELLS, "run|cell", 1, "compact", None, (Cell,), "markets and commune sectors of each run"),
    Topic(QR_CODES, "run|code", None, "compact", None, (QrCode,), "the codes that stalls and bills show"),
    Topic(ACCOUNTS, "run|source", None, "compact", None, (Account,), "the accounts that tills have registered"),
    Topic(ALERTS, "run|payment_id", None, "compact", None, (Alert,), "payments to an account that was not registered"),
    Topic(
        TRUTH,
        "run|payment_id|label",
        None,
        "delete",
        GIB,
        (Truth,),
        "what is known of payments beyond their records, in their communes' partitions",
    ),
    Topic(
        LEDGER,
        "run, run|cell|day, run|faults|shard, or run|checkpoint|shard",
        1,
        "compact",
        None,
        (RunStarted, LedgerEntry, RunFaults, Checkpoint),
        "what Kafka acknowledged, counted by the producer",
    ),
    Topic(ADOPTION_MARKET, "run|market|window|start", None, "compact", None, (Adoption,), "adoption by market"),
    Topic(
        ADOPTION_COMMUNE,
        "run|commune|window|start",
        None,
        "compact",
        None,
        (Adoption,),
        "adoption by commune",
    ),
    Topic(STATE_CHANGELOG, "partition|epoch|cell", None, "compact", None, (), "the stream workers' own state"),
)
