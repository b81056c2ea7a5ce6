"""The figures: what commands printed on one machine, and what is assumed.

In: nothing. Out: `Footprint`s, `Keys`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace

PARTITIONS = 4
"""Of all measurements."""
FOOTPRINT, SKEW = "python -m tests.benchmarks.footprint", "python -m tests.benchmarks.skew"


@dataclass(frozen=True)
class Footprint:
    """What one run of `tests.benchmarks.footprint` printed: An Giang on Apache Kafka, four partitions, one worker."""

    arguments: str
    producing: float
    """Seconds, as the arguments say."""
    seconds: float
    """All that was measured, start and reconciliation included."""
    payments: int
    cpu: Mapping[str, float]
    """Seconds, by process."""
    records: Mapping[str, int]
    """Written, by topic: market, commune, changelog."""
    disk: Mapping[str, int]
    """Bytes of batches, compressed, by topic."""
    plain: Mapping[str, int]
    """Bytes of keys and values."""
    cells: int
    state_bytes: int
    exposition_bytes: int
    peak_mb: Mapping[str, int]
    changelog_records: int = 0
    """Read by the worker that was started again; 0 where that was not looked at."""
    recovery_seconds: float = 0.0
    """From being dealt its partitions to being at work."""
    recovery_cpu: float = 0.0
    """Its whole start included."""
    recovered_mb: int = 0
    """Memory of that worker: state, and nothing else."""

    @property
    def command(self) -> str:
        """What printed it."""
        return f"`{FOOTPRINT} {self.arguments}`"

    @property
    def adoption(self) -> int:
        """Records of adoption."""
        return self.records.get("market", 0) + self.records.get("commune", 0)

    @property
    def flushes(self) -> float:
        """Flushes of a partition, each of which wrote the partition's own state too."""
        interval = CATCH_UP_SECONDS if self is FAST else EMIT_SECONDS
        return self.producing * per_second(self.payments / self.producing, PARTITIONS, interval)

    @property
    def written(self) -> int:
        """Records that the worker wrote."""
        return self.adoption + self.records["changelog"]


EMIT_SECONDS, CATCH_UP_SECONDS = 0.2, 1.0
"""Between two flushes of a partition, as the settings are by default; the second while a worker is behind."""


def per_second(rate: float, things: float, interval: float) -> float:
    """Return how many of so many things change an interval, per second, if changes hit them evenly and by chance.

    Uneven ones are fewer: what is hit often is hit twice in one interval.
    """
    return things * -math.expm1(-rate * interval / things) / interval


IDLE = Footprint(
    "0 0",
    producing=0,
    seconds=20.0,
    payments=0,
    cpu={"worker": 0.26, "exporter": 0.24, "broker": 1.61},
    records={},
    disk={},
    plain={},
    cells=0,
    state_bytes=0,
    changelog_records=8,
    recovery_seconds=2.133,
    recovery_cpu=0.74,
    recovered_mb=76,
    exposition_bytes=4_366,
    peak_mb={"worker": 76, "exporter": 63, "broker": 203},
)
SLOW = Footprint(
    "7 30 --rate 100",
    producing=30.0,
    seconds=35.8,
    payments=2_997,
    cpu={"worker": 3.62, "exporter": 1.12, "broker": 4.01, "producer": 4.34},
    records={"market": 7_230, "commune": 8_188, "changelog": 4_722},
    disk={"payments": 583_308, "market": 583_309, "commune": 1_644_849, "changelog": 1_998_853},
    plain={"payments": 870_178, "market": 3_658_285, "commune": 10_507_923, "changelog": 9_329_902},
    cells=900,
    state_bytes=953_661,
    changelog_records=7_379,
    recovery_seconds=2.216,
    recovery_cpu=0.90,
    recovered_mb=90,
    exposition_bytes=108_635,
    peak_mb={"worker": 148, "exporter": 74, "broker": 222, "producer": 479},
)
STEADY = Footprint(
    "7 20 --rate 2000",
    producing=20.0,
    seconds=25.7,
    payments=39_918,
    cpu={"worker": 4.04, "exporter": 1.14, "broker": 2.58, "producer": 3.65},
    records={"market": 30_671, "commune": 18_316, "changelog": 13_727},
    disk={"payments": 2_208_664, "market": 2_033_786, "commune": 3_726_865, "changelog": 6_686_532},
    plain={"payments": 11_460_997, "market": 16_677_601, "commune": 26_792_472, "changelog": 32_848_795},
    cells=900,
    state_bytes=1_006_702,
    changelog_records=19_648,
    recovery_seconds=1.957,
    recovery_cpu=1.03,
    recovered_mb=90,
    exposition_bytes=112_442,
    peak_mb={"worker": 126, "exporter": 79, "broker": 221, "producer": 482},
)
FAST = Footprint(
    "0 20 --speed max",
    producing=20.0,
    seconds=50.7,
    payments=2_058_933,
    cpu={"worker": 11.47, "exporter": 1.74, "broker": 6.92, "producer": 11.88},
    records={"market": 42_726, "commune": 35_375, "changelog": 8_572},
    disk={
        "payments": 76_565_757,
        "market": 2_425_035,
        "commune": 5_090_100,
        "changelog": 3_696_269,
        "others": 11_289_883,
    },
    plain={"payments": 605_211_696, "market": 21_360_379, "commune": 41_128_631, "changelog": 14_803_696},
    cells=928,
    state_bytes=1_032_058,
    exposition_bytes=112_363,
    peak_mb={"worker": 149, "exporter": 80, "broker": 236, "producer": 619},
)
PRODUCER_US = 5.066
"""CPU time of a payment, simulated, encoded, sent and acknowledged: `quetma bench publish`, on a busy machine."""
STREAM = {"payments": 2_000_000, "seconds": 11.645, "cpu": 8.8, "written": 69_884 + 3_974}
"""`quetma bench stream --events 2000000`: nothing is computed from it, the prices are held against it."""
LOOK_US = 0.202
"""CPU time of a flush for each cell of its partition, changed or not: `python -m tests.benchmarks.grouping`."""
BATCH_HEAD_BYTES = 61
"""Of Kafka's record batches."""
WINDOWS = 3
"""A place tells of its total, the day and the hour."""


@dataclass(frozen=True)
class Keys:
    """Places, and how uneven they are: what `tests.benchmarks.skew` printed."""

    provinces: int
    communes: int
    markets: int
    cells: int
    payments_a_day: int
    """With the scenarios' own `scale`."""
    peak_hour: float
    """Times the mean hour."""
    largest_commune: float
    """Share of all payments."""
    largest_partition: Mapping[int, float]
    """Times the mean one, by number of partitions."""


PROVINCE = Keys(
    provinces=1,
    communes=102,
    markets=202,
    cells=916,
    payments_a_day=144_136,
    peak_hour=2.87,
    largest_commune=0.02274,
    largest_partition={4: 1.16, 8: 1.48, 16: 1.67, 32: 2.06, 64: 2.77, 128: 5.55, 256: 9.49},
)
COUNTRY = Keys(
    provinces=34,
    communes=3_825,
    markets=0,
    cells=33_336,
    payments_a_day=4_575_518,
    peak_hour=3.07,
    largest_commune=0.00083,
    largest_partition={4: 1.03, 8: 1.07, 16: 1.10, 32: 1.23, 64: 1.35, 128: 1.53, 256: 1.98},
)
COMMUNES_OF_VIETNAM = 3_321
HOUSEHOLDS_OF_VIETNAM = 28_000_000
"""Assumed."""
CASHLESS_OF_VIETNAM, CASHLESS_DAYS = 17.8e9, 273
"""All cashless payments, January to September 2025 (thanhnien)."""
HOUSEHOLDS, SCALE = 1_200_000, 0.4
"""Of the scenario an-giang: both assumed there."""


def vietnam() -> Keys:
    """Return the country with as many communes as it has, places in proportion, and every household's payments."""
    return replace(
        COUNTRY,
        communes=COMMUNES_OF_VIETNAM,
        markets=round(PROVINCE.markets / PROVINCE.communes * COMMUNES_OF_VIETNAM),
        cells=round(PROVINCE.cells / PROVINCE.communes * COMMUNES_OF_VIETNAM),
        payments_a_day=round(PROVINCE.payments_a_day / SCALE / HOUSEHOLDS * HOUSEHOLDS_OF_VIETNAM),
    )
