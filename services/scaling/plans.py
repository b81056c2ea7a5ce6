"""Plans: how much of everything a load needs.

In: a `Load`, and prices. Out: its `Plan`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from schemas.topics import SEGMENT_BYTES
from services.scaling.figures import (
    BATCH_HEAD_BYTES,
    FAST,
    IDLE,
    LOOK_US,
    PARTITIONS,
    PRODUCER_US,
    PROVINCE,
    SLOW,
    STEADY,
    WINDOWS,
    Footprint,
    Keys,
    per_second,
    vietnam,
)
from services.scaling.prices import Prices, prices

DAY = 86_400
GIB = 1 << 30
HEADROOM = 0.6
"""Share of a core that a plan uses: the rest is for peaks within a second, for catching up and for the system."""
CELL_KB = (STEADY.recovered_mb - IDLE.recovered_mb) * 1e3 / STEADY.cells
OTHER_BYTES = FAST.disk["others"] / FAST.payments
"""Of a payment, on topics of codes, truth and the ledger."""
STEADY_RATE = STEADY.payments / STEADY.producing
CORES_A_MACHINE = 16
REPLICATION = 3
LEAST_WORKERS = 2
PARTITIONS_A_WORKER = 2
"""At least, so that workers can be dealt even shares, and more of them started."""
INTERVALS = (0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 20.0)
RETAINED_BYTES = 4 * GIB
"""Payments of a partition that Kafka keeps: `quetma.payments` of schemas/topics.py."""


@dataclass(frozen=True)
class Load:
    """What comes in."""

    name: str
    mean: float
    """Payments a second."""
    peak: float
    """In the busiest hour; machines are for that, disks for the mean."""
    speed: float
    """Simulated seconds in a second."""
    keys: Keys


@dataclass(frozen=True)
class Plan:
    """What a load needs with so many partitions, and so long between two flushes."""

    load: Load
    partitions: int
    interval: float
    price: Prices

    @property
    def changed(self) -> float:
        """Return states of cells written, a second, at most."""
        return per_second(self.load.peak, self.load.keys.cells, self.interval)

    @property
    def flushes(self) -> float:
        """Flushes of partitions a second."""
        return per_second(self.load.peak, self.partitions, self.interval)

    @property
    def adoption(self) -> float:
        """Records of adoption a second, at most: the faster simulated time, the more hours in one flush."""
        hours = self.load.speed * self.interval / 3600
        places = (self.load.keys.communes, self.load.keys.markets)
        return sum(per_second(self.load.peak, count, self.interval) for count in places) * (WINDOWS + hours)

    @property
    def changelog(self) -> float:
        """Records of the changelog a second, at most."""
        return self.changed + self.flushes

    @property
    def exporter_cores(self) -> float:
        """Of its one process."""
        return self.price.exporter_idle + self.adoption * self.price.exporter_record

    @property
    def worker_cores(self) -> float:
        """Of all workers. What a flush looks at beyond the cells of the measured partitions comes on top."""
        more = max(0.0, self.load.keys.cells / self.partitions - FAST.cells / PARTITIONS)
        looks = self.flushes * more * LOOK_US / 1e6
        return looks + self.price.worker(0, self.load.peak, self.flushes, self.adoption + self.changelog)

    @property
    def workers(self) -> int:
        """One core each; the one with the largest partitions must keep up too, and one must be able to die."""
        needed = self.worker_cores * self.load.keys.largest_partition[self.partitions] / HEADROOM
        return max(LEAST_WORKERS, math.ceil(needed))

    @property
    def producer_cores(self) -> float:
        """Of all producers."""
        return self.load.peak * PRODUCER_US / 1e6

    @property
    def producers(self) -> int:
        """A process for each province at least; more are shards of it."""
        return self.load.keys.provinces * self.shards

    @property
    def shards(self) -> int:
        """N of `--shard I/N`."""
        return math.ceil(self.producer_cores / HEADROOM / self.load.keys.provinces)

    @property
    def broker_cores(self) -> float:
        """Of all brokers. A follower writes what its leader writes: taken as the same work."""
        busy = self.load.peak * self.price.broker_payment + self.flushes * self.price.broker_flush
        return REPLICATION * (busy + self.price.broker_idle)

    @property
    def cores(self) -> float:
        """Of everything."""
        return self.producer_cores + self.worker_cores + self.broker_cores + self.exporter_cores

    @property
    def machines(self) -> int:
        """Three at least, for three copies."""
        return max(REPLICATION, math.ceil(self.cores / HEADROOM / CORES_A_MACHINE))

    @property
    def worker_mb(self) -> float:
        """Memory of one worker: what it has at full speed, and the state of its share of the cells."""
        return FAST.peak_mb["worker"] + (self.load.keys.cells / self.workers) * CELL_KB / 1e3

    @property
    def memory_gb(self) -> float:
        """Of all but brokers, whose memory is the page cache."""
        return (self.workers * self.worker_mb + self.producers * FAST.peak_mb["producer"] + self.exporter_mb) / 1e3

    @property
    def exporter_mb(self) -> float:
        """What it grew by in the runs, times the communes."""
        least = IDLE.peak_mb["exporter"]
        return least + (FAST.peak_mb["exporter"] - least) * self.load.keys.communes / PROVINCE.communes

    @property
    def payment_bytes(self) -> float:
        """Of one on wire and disk: the fuller the batches, the better they compress."""
        each = self.load.peak / self.partitions
        known = [run for run in (SLOW, STEADY, FAST) if run.payments / run.producing / PARTITIONS <= each]
        return payment_bytes(known[-1]) if known else alone_bytes()

    @property
    def changelog_bytes(self) -> float:
        """Written a second."""
        return self.changelog * bytes_a_record(SLOW if self.load.peak < STEADY_RATE else STEADY)

    @property
    def adoption_bytes(self) -> float:
        """Written a second."""
        run = SLOW if self.load.peak < STEADY_RATE else STEADY
        return self.adoption * (run.disk["market"] + run.disk["commune"]) / run.adoption

    @property
    def written_bytes(self) -> float:
        """All that clients send to brokers in a second, at the peak."""
        return self.load.peak * (self.payment_bytes + OTHER_BYTES) + self.changelog_bytes + self.adoption_bytes

    @property
    def read_bytes(self) -> float:
        """What brokers send to workers and the exporter in a second, at the peak."""
        return self.load.peak * self.payment_bytes + self.adoption_bytes

    @property
    def payments_a_day_bytes(self) -> float:
        """On all disks, of the payments of a day."""
        return self.load.mean * DAY * self.payment_bytes * REPLICATION

    @property
    def retained_hours(self) -> float:
        """How far back the payments topic goes."""
        return self.partitions * RETAINED_BYTES / (self.load.mean * self.payment_bytes) / 3600

    @property
    def retained_gb(self) -> float:
        """On all disks, when the payments topic is full."""
        return self.partitions * RETAINED_BYTES * REPLICATION / 1e9

    @property
    def state_mb(self) -> float:
        """Of all workers, as it is on Kafka, before compression."""
        return self.load.keys.cells * STEADY.state_bytes / STEADY.cells / 1e6

    @property
    def recovery_seconds(self) -> float:
        """Of one worker of equal ones, its changelog compacted."""
        return IDLE.recovery_seconds + self.load.keys.cells / self.workers * record_seconds()

    @property
    def uncompacted_seconds(self) -> float:
        """The same at worst: of each partition a whole newest segment, or a day of changelog if that is less."""
        size = min(SEGMENT_BYTES * self.partitions, self.changelog_bytes * DAY)
        records = size / (self.changelog_bytes / self.changelog)
        return self.recovery_seconds + records / self.workers * record_seconds()


def plan(load: Load) -> Plan:
    """Return the plan of fewest partitions, with the shortest interval at which the exporter keeps up.

    Raises:
        ValueError: if there is none.
    """
    price = prices()
    for interval in INTERVALS:
        for partitions in sorted(load.keys.largest_partition):
            one = Plan(load, partitions, interval, price)
            if one.exporter_cores <= HEADROOM and one.partitions >= PARTITIONS_A_WORKER * one.workers:
                return one
    raise ValueError(f"{load.name}: more than one exporter, or more partitions than were tried")


def payment_bytes(run: Footprint) -> float:
    """Return what a payment took on disk, which is what it took on the wire."""
    return run.disk["payments"] / run.payments


def alone_bytes() -> float:
    """Return what a payment takes alone in its batch: nothing to compress it with, and a batch's 61 bytes of head."""
    return SLOW.plain["payments"] / SLOW.payments + BATCH_HEAD_BYTES


def bytes_a_record(run: Footprint) -> float:
    """Return what a record of the changelog took on disk."""
    return run.disk["changelog"] / run.records["changelog"]


def record_seconds() -> float:
    """Return the CPU time that recovery takes for a record of the changelog."""
    return (STEADY.recovery_cpu - IDLE.recovery_cpu) / STEADY.changelog_records


def loads() -> tuple[Load, ...]:
    """Return what the page plans for."""
    country = vietnam()
    real = country.payments_a_day / DAY

    def of_country(name: str, speed: float) -> Load:
        return Load(name, real * speed, real * speed * country.peak_hour, speed, country)

    return (
        Load("10⁶ events/s", 1e6, 1e6, 1e6 / real, country),
        of_country("Vietnam, real time", 1.0),
        of_country("Vietnam, 1 000×", 1000.0),
    )
