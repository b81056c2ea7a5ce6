"""What travels on the topics: payments, cells, QR codes, truth, ledger entries, adoption, dead letters.

In: nothing. Out: one frozen pydantic model per kind of record, JSON on the wire, one record each.
The hot path decodes with msgspec structs derived from the same models.
"""

from __future__ import annotations

import hashlib
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Literal

import msgspec
from pydantic import Field

from schemas.types import (
    Attempt,
    Contract,
    Count,
    EpochMs,
    Identifier,
    PaymentVnd,
    SchemaVersion,
    SequenceNumber,
    Slug,
    TotalVnd,
    struct_of,
)

SCHEMA_VERSION: SchemaVersion = 1

Method = Literal["cash", "vietqr", "e_wallet", "card", "bank_transfer"]
METHODS: tuple[Method, ...] = ("cash", "vietqr", "e_wallet", "card", "bank_transfer")
"""How a payment is made; all but cash are cashless."""

Status = Literal["settled", "failed", "reversed"]
STATUSES: tuple[Status, ...] = ("settled", "failed", "reversed")
"""What became of a payment. A failed one moved no money and counts in no share. A reversal is a record of its own:
the money of the settled payment that it refers to went back."""

FailureReason = Literal["network", "insufficient_funds", "wrong_qr", "bank_away"]
FAILURE_REASONS: tuple[FailureReason, ...] = ("network", "insufficient_funds", "wrong_qr", "bank_away")

TruthLabel = Literal[
    "fraud", "outage_cash", "outage_retry", "cash_after_failure", "duplicate", "out_of_order", "late", "malformed"
]
TRUTH_LABELS: tuple[TruthLabel, ...] = (
    "fraud",
    "outage_cash",
    "outage_retry",
    "cash_after_failure",
    "duplicate",
    "out_of_order",
    "late",
    "malformed",
)
"""What may be true of a payment, and its record does not say:

- ``fraud``: its payer scanned a code that had been put over the stall's own; repeated attempts and the reversal too;
- ``outage_cash``: it would have been cashless but for an outage;
- ``outage_retry``: an outage put it off;
- ``cash_after_failure``: it was paid in cash when cashless attempts had failed;
- ``duplicate``: its record was sent a second time;
- ``out_of_order``: its record was held back for a little, and came behind younger ones;
- ``late``: its record was held back for long, and may have missed its windows;
- ``malformed``: a copy of its record that cannot be read was sent before it. The copy still names its run, as records
  do (``"run":"…"``), so that its dead letter can be told from those of other runs.
"""

Sector = Literal["market_stall", "electricity", "water", "tuition", "hospital", "public_service", "income", "ecommerce"]
SECTORS: tuple[Sector, ...] = (
    "market_stall",
    "electricity",
    "water",
    "tuition",
    "hospital",
    "public_service",
    "income",
    "ecommerce",
)


class Payment(Contract):
    """One purchase or bill paid, by whatever method, cash included. Key: commune."""

    schema_version: SchemaVersion
    run: Identifier
    """The run of the simulator that made it."""
    source: Identifier
    """The till that emits it: a stall, a biller's branch in a commune."""
    cell: Identifier
    """The unit of aggregation: a market, or a commune's sector."""
    commune: Identifier
    sector: Sector
    beneficiary: Identifier | None = None
    """The account that a scanned static code named; none where no such code was scanned."""
    payment_id: Identifier
    """Made from run, source and sequence: the same run gives the same ids."""
    sequence: SequenceNumber
    method: Method
    status: Status
    amount_vnd: PaymentVnd
    occurred_at: EpochMs
    bill_number: Identifier | None = None
    """The bill that it pays, the key of its code in ``quetma.qr-codes``; none at a stall."""
    failure_reason: FailureReason | None = None
    """Why a failed one failed."""
    attempt: Attempt | None = None
    """Number of the attempt from the second on: the payer tried before."""
    refers_to: Identifier | None = None
    """``payment_id`` of the attempt before this one, or of the payment that this one reverses; same source."""


if TYPE_CHECKING:
    PaymentRow = Payment
else:
    PaymentRow = struct_of(Payment)

decode_payment = msgspec.json.Decoder(PaymentRow).decode
"""Decode one payment from its wire form: bytes → row.

Raises ``msgspec.MsgspecError``, or ``UnicodeDecodeError`` (not one of the former) for text that is not UTF-8.
"""


def source_key(run: str, source: str) -> str:
    """Return the 12 hexadecimal digits that stand for a source of a run in its payments' ids."""
    return hashlib.blake2b(f"{run}\n{source}".encode(), digest_size=6).hexdigest()


def payment_id(run: str, source: str, sequence: int) -> str:
    """Return the id of a payment: the same run gives the same ids, whatever the number of processes."""
    return f"{source_key(run, source)}-{sequence}"


class Cell(Contract):
    """A unit of aggregation, announced before its first payment. Key: ``run|cell``."""

    schema_version: SchemaVersion
    run: Identifier
    cell: Slug
    kind: Literal["market", "commune_sector"]
    name: str
    commune: Slug
    commune_name: str
    province: Slug
    province_name: str
    sector: Sector
    sources: Count
    """Tills that may emit payments in this cell."""


class QrCode(Contract):
    """A VietQR code that is shown: static at a stall, dynamic on a bill. Key: ``run|code``."""

    schema_version: SchemaVersion
    run: Identifier
    code: Identifier
    """The stall's source id, or the bill number."""
    source: Identifier
    commune: Slug
    kind: Literal["static", "dynamic"]
    payload: str
    """EMVCo merchant-presented text, NAPAS VietQR profile."""
    amount_vnd: PaymentVnd | None = None
    issued_at: EpochMs


class Account(Contract):
    """The account that a till has registered for its static code. Key: ``run|source``; partition: its commune's.

    It is acknowledged before the first payment that scans the code, or little after.
    """

    schema_version: SchemaVersion
    run: Identifier
    source: Identifier
    commune: Slug
    account: Identifier
    registered_at: EpochMs


class Alert(Contract):
    """A payment by a scanned code to another account than the till has registered. Key: ``run|payment_id``.

    Partition: its commune's. A repeated record of the payment, or a restart, writes the same alert again.
    """

    schema_version: SchemaVersion
    kind: Literal["other_account", "unregistered"]
    """Whether the till has registered another account, or none until the payment's hour had closed."""
    run: Identifier
    source: Identifier
    cell: Identifier
    commune: Identifier
    payment_id: Identifier
    beneficiary: Identifier
    """Where the money went."""
    registered: Identifier | None = None
    """Where it should have gone."""
    amount_vnd: PaymentVnd
    occurred_at: EpochMs


class Truth(Contract):
    """What is known of a payment beyond its record. Key: ``run|payment_id|label``; partition: its commune's."""

    schema_version: SchemaVersion
    run: Identifier
    payment_id: Identifier
    source: Identifier
    commune: Identifier
    sector: Sector
    label: TruthLabel
    occurred_at: EpochMs
    """When the payment was made, whenever its record was sent."""
    detail: str | None = None
    """More about it, such as the outage's or the fraud's name."""


class MethodTally(Contract):
    """What was paid by one method. Gross: a payment that is reversed later stays among the settled ones.

    Adoption records leave out the two numbers of reversals where they are 0, as most are.
    """

    settled: Count = 0
    failed: Count = 0
    amount_vnd: TotalVnd = 0
    """Sum over the settled ones."""
    reversed: Count = 0
    """Reversals; each is a record of its own, at the time at which the money went back."""
    reversed_vnd: TotalVnd = 0
    """Sum over the reversals."""


Tallies = dict[Method, MethodTally]
"""Tallies by method; a method without payments is left out."""


LocalDate = Annotated[str, Field(pattern=r"^[0-9]{4}-[0-9]{2}-[0-9]{2}$")]
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class RunStarted(Contract):
    """The first record of a run in the ledger. Key: the run."""

    kind: Literal["run_started"] = "run_started"
    schema_version: SchemaVersion
    run: Identifier
    scenario: Slug
    province: Slug
    seed: int
    started_at: EpochMs
    version: str
    scenario_hash: Sha256 | None = None
    """SHA-256 of the scenario with all its figures and interventions, hexadecimal."""


class LedgerEntry(Contract):
    """What Kafka acknowledged of one cell and simulated day, so far. Key: ``run|cell|day``."""

    kind: Literal["cell_day"] = "cell_day"
    schema_version: SchemaVersion
    run: Identifier
    cell: Slug
    commune: Slug
    sector: Sector
    day: LocalDate
    """Local date, ISO 8601."""
    tallies: Tallies


class RunFaults(Contract):
    """Faults that a shard of a run put on the wire, as far as acknowledged. Key: ``run|faults|shard``.

    Copies are records beside the payments that other entries count: neither duplicates nor malformed ones are there.
    """

    kind: Literal["run_faults"] = "run_faults"
    schema_version: SchemaVersion
    run: Identifier
    shard: Slug
    """First cell of the process that tells: processes that share a run differ in it."""
    duplicates: Count = 0
    """Second copies of payments."""
    malformed: Count = 0
    """Spoiled copies."""
    late: Count = 0
    """Payments held back for long."""
    out_of_order: Count = 0
    """Payments held back for a little."""


class Checkpoint(Contract):
    """Where a shard of a run begins again after a restart: a day before which everything is acknowledged.

    Key: ``run|checkpoint|shard``. It stands behind the ledger entries of the days before its own.
    """

    kind: Literal["checkpoint"] = "checkpoint"
    schema_version: SchemaVersion
    run: Identifier
    shard: Annotated[str, Field(pattern=r"^[0-9]+/[0-9]+$")]
    """``I/N``: every N-th commune from the I-th."""
    day: LocalDate
    """First local date of which not all was acknowledged, ISO 8601."""
    offsets: list[Count]
    """By partition of ``quetma.payments``: no record of the day or of a later one lies before it."""
    payments: list[Count]
    """By source, in the order in which the scenario numbers them: payments before the day."""
    duplicates: Count = 0
    """Faults before the day, as in `RunFaults`."""
    malformed: Count = 0
    late: Count = 0
    out_of_order: Count = 0


WindowKind = Literal["total", "day", "hour"]


class Adoption(Contract):
    """Adoption in one window of a market or commune. Key: run, place and window; the last one counts."""

    schema_version: SchemaVersion
    run: Identifier
    province: Slug
    commune: Slug
    market: Slug | None = None
    """The market's cell; none for a commune as a whole."""
    window: WindowKind
    start_at: EpochMs | None = None
    """Begin of the window; none for the total."""
    end_at: EpochMs | None = None
    tallies: Tallies
    by_sector: dict[Sector, Tallies] = Field(default_factory=dict)
    """For communes: the same, by sector."""
    cashless_share_count: float | None = None
    """Settled cashless payments over all settled ones, later reversed or not; none where there is none."""
    cashless_share_value: float | None = None
    duplicates: Count = 0
    """For totals: repeated payments that were dropped."""
    late: Count = 0
    """For totals: payments that came after one of their windows had closed; they are in the total."""
    outside_windows: Tallies = Field(default_factory=dict)
    """For totals: what is in the total and in no daily window, since it came too late."""
    revision: Count
    """Number of payments in the window, settled, failed and reversals: it grows, and a worker's restart does not
    change it."""
    final: bool
    """Whether the window has closed: its numbers do not change any more."""
    emitted_at: EpochMs


class DeadLetterReason(StrEnum):
    """Why a record was set aside. The worker lives on."""

    MALFORMED = "malformed"
    """Not JSON, a missing or unknown field, a value of the wrong type."""
    VERSION = "version"
    AMOUNT = "amount"
    TIME = "time"
    UNKNOWN_CELL = "unknown_cell"
    """A cell that its run did not announce, or one of another commune or sector."""
    MISROUTED = "misrouted"
    """On another partition than its commune's, where its cell's state is not."""
    ENDED_RUN = "ended_run"
    """Of a run that was idle for so long that its state was given up."""


def encode(record: Contract) -> bytes:
    """Return the wire form of a record: compact JSON, fields without a value left out."""
    return record.model_dump_json(exclude_none=True).encode()
