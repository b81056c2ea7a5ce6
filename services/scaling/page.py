"""The page, as Markdown.

In: figures, prices and plans. Out: docs/scaling.md.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from textwrap import fill

from schemas.topics import SEGMENT_BYTES
from services.scaling.figures import (
    CASHLESS_DAYS,
    CASHLESS_OF_VIETNAM,
    CATCH_UP_SECONDS,
    COMMUNES_OF_VIETNAM,
    COUNTRY,
    FAST,
    FOOTPRINT,
    HOUSEHOLDS,
    HOUSEHOLDS_OF_VIETNAM,
    IDLE,
    LOOK_US,
    PARTITIONS,
    PRODUCER_US,
    PROVINCE,
    SCALE,
    SKEW,
    SLOW,
    STEADY,
    STREAM,
    Footprint,
    Keys,
    per_second,
    vietnam,
)
from services.scaling.plans import (
    CELL_KB,
    CORES_A_MACHINE,
    HEADROOM,
    OTHER_BYTES,
    REPLICATION,
    Plan,
    bytes_a_record,
    loads,
    plan,
    record_seconds,
)
from services.scaling.prices import Prices, prices

HEAD = """# Scaling

What Quetma needs beyond one machine, computed from what it takes on one. Written by `python -m services.scaling`, which
holds the figures and the formulas; a test holds the page to it.
"""
COUNTRY_PAGE_MB = FAST.exposition_bytes * COMMUNES_OF_VIETNAM / PROVINCE.communes / 1e6
SHARD_RATE = HEADROOM * 1e3 / PRODUCER_US
LIMITS = f"""## What limits

- **Keys are communes.** A commune's payments are in one partition, so that one worker sees them in order and one
  watermark closes its windows. More partitions than communes stand empty, and long before that the hash is uneven: see
  "Keys". The largest commune is the floor of its partition, and so of the worker that has it.
- **One exporter** reads all of adoption; a second one would say everything twice. What it can read bounds adoption, so
  the plans flush less often where it would fall behind: that is how old a figure on `/metrics` may be. Set both
  `QUETMA_STREAM__EMIT_INTERVAL_SECONDS` and `QUETMA_STREAM__CATCH_UP_INTERVAL_SECONDS`. Its page grows with the places,
  to {COUNTRY_PAGE_MB:.1f} MB for the country: let Prometheus ask every 15 s or less often.
- **Workers write at each flush** all that changed: a cell's whole state, and each window of its market and commune,
  whether by one payment or by a thousand. Few partitions and long intervals save work; short ones are fresh.
- **A changelog's newest segment is not compacted.** It has up to {SEGMENT_BYTES >> 20} MiB (Kafka's default is 1 GiB);
  recovery reads it all. What the plans call recovery begins when a worker is dealt its partitions: those of a worker
  that was killed are dealt when its session has ended, 6 s by default.
- **The number of partitions is fixed** once there are payments, and that of shards once a run has begun. Take those of
  the largest day.
- **One shard is one process**, planned for {SHARD_RATE:.0f} 000 payments/s. Provinces are taken as equal; a large
  one takes more shards, but no more than it has communes.
- **The embedded broker is not for this**: one process, one copy, all in memory. Use three brokers at least, and set
  `QUETMA_KAFKA__REPLICATION={REPLICATION}` before `quetma topics create`.

## What the plans leave out

Prometheus and Grafana; brokers' page cache; more than one run of a province at a time (each has state of its own, which
stays until its topics are deleted); consumers besides Quetma's, each of which reads what the workers read once more.
Adoption stays on its compacted topics for ever, 25 keys a place and day at most. Nothing here was run on more than one
machine: what was run is `tests/contract/test_scale_out.py`, four producers and three workers.
"""
WIDTH, HARD_SPACE = 120, "\xa0"
SLOWER = "the slower the pace, the fewer payments share a record."


def render() -> str:
    """Return the page."""
    price = prices()
    plans = [plan(load) for load in loads()]
    return "\n".join([HEAD, *_measured(), *_prices(price), *_keys(), *_plans(plans), LIMITS])


def _table(header: Iterable[str], rows: Iterable[Iterable[str]]) -> Iterator[str]:
    names = list(header)
    yield f"| {' | '.join(names)} |"
    yield f"|{'---|' * len(names)}"
    for row in rows:
        yield f"| {' | '.join(row)} |"
    yield ""


def _paragraph(*sentences: str) -> str:
    """Lines of a paragraph; numbers and code are not broken."""
    held = re.sub(r"`[^`]*`|\d+(?: \d{3})+", lambda found: found[0].replace(" ", HARD_SPACE), " ".join(sentences))
    return fill(held, WIDTH, break_long_words=False, break_on_hyphens=False).replace(HARD_SPACE, " ") + "\n"


def _measured() -> Iterator[str]:
    runs = (IDLE, SLOW, STEADY, FAST)
    yield "## Measured\n"
    yield _paragraph(
        "On two cores of a shared virtual machine, with other work beside: CPU time and bytes, no rates.",
        f"Scenario `an-giang` ({PROVINCE.communes} communes, scale {SCALE}), Apache Kafka 4, {PARTITIONS} partitions,",
        f"one worker, one exporter, one producer: `{FOOTPRINT} DAYS SECONDS …`. From one run each.",
        "They are of the worker before it folded whole batches, and of the exporter before it served the live page.",
        "The same runs of 2026-11-22, on a busier machine, give 2.9 µs a payment of the worker, not 3.8, and some 7%",
        "of a core more for the exporter, whatever the load: codes and samples for the page. The plans keep the dearer",
        "worker.",
    )
    rows: list[tuple[str, ...]] = [
        ("payments", *(number(run.payments) for run in runs)),
        *(
            (f"CPU s, {process}", *(f"{run.cpu[process]:.2f}" if process in run.cpu else "–" for run in runs))
            for process in ("producer", "worker", "exporter", "broker")
        ),
        *(
            (f"peak MB, {process}", *(str(run.peak_mb.get(process, "–")) for run in runs))
            for process in ("producer", "worker", "exporter", "broker")
        ),
        ("adoption records", *(number(run.adoption) if run.records else "–" for run in runs)),
        ("changelog records", *(number(run.records["changelog"]) if run.records else "–" for run in runs)),
        ("bytes a payment, plain", *(_each(run, run.plain, "payments", run.payments) for run in runs)),
        ("bytes a payment, on the wire", *(_each(run, run.disk, "payments", run.payments) for run in runs)),
        ("bytes an adoption record, on the wire", *(_adoption_bytes(run) for run in runs)),
        ("bytes a changelog record, on the wire", *(_changelog_bytes(run) for run in runs)),
        ("state, bytes a cell", *(number(run.state_bytes / run.cells) if run.cells else "–" for run in runs)),
        ("state, kB a commune", *(_commune(run) for run in runs)),
        ("`/metrics` of the exporter, kB", *(number(run.exposition_bytes / 1e3) for run in runs)),
    ]
    yield from _table(["", *(f"`{run.arguments}`" for run in runs)], rows)
    yield _paragraph("Of a simulated day and province that is", *map(_a_day, (FAST, STEADY, SLOW)), SLOWER)


def _a_day(run: Footprint) -> str:
    days = run.payments / PROVINCE.payments_a_day
    adoption, changelog = run.adoption / days, run.records["changelog"] / days
    bytes_ = (run.disk["market"] + run.disk["commune"]) / days, run.disk["changelog"] / days
    return (
        f"{number(adoption)} adoption and {number(changelog)} changelog records ({number(bytes_[0] / 1e6)} and"
        f" {number(bytes_[1] / 1e6)} MB) at `{run.arguments}`;"
    )


def _each(run: Footprint, of: Mapping[str, int], topic: str, by: int) -> str:
    return number(of[topic] / by) if run.records else "–"


def _adoption_bytes(run: Footprint) -> str:
    return number((run.disk["market"] + run.disk["commune"]) / run.adoption) if run.records else "–"


def _changelog_bytes(run: Footprint) -> str:
    return number(bytes_a_record(run)) if run.records else "–"


def _commune(run: Footprint) -> str:
    return f"{run.state_bytes / PROVINCE.communes / 1e3:.1f}" if run.cells else "–"


def _prices(price: Prices) -> Iterator[str]:
    yield "## Prices\n"
    yield "From the table, what one of each takes; of the worker the three that explain the three runs that produced.\n"
    rows = [
        ("producer, a payment", f"{PRODUCER_US:.1f} µs", "`quetma bench publish`, `publish simulated`"),
        ("worker, a payment", _us(price.worker_payment), "fold and everything around it"),
        ("worker, a flush of a partition", _us(price.worker_flush), "at least one of its cells changed"),
        ("worker, a cell at a flush, changed or not", f"{LOOK_US} µs", "`python -m tests.benchmarks.grouping`"),
        ("worker, a record written", _us(price.worker_record), "adoption or state"),
        ("broker, a payment", _us(price.broker_payment), "JVM of the tests: first compiler only"),
        ("broker, a flush of a partition", _us(price.broker_flush), "its small batches"),
        ("exporter, an adoption record", _us(price.exporter_record), f"`{STEADY.arguments}`"),
        ("worker, exporter, broker, nothing to do", _idle(price), "of a core"),
        (
            "worker, memory of a cell",
            f"{CELL_KB:.0f} kB",
            f"after a restart, `{STEADY.arguments}` less `{IDLE.arguments}`",
        ),
        ("recovery", f"{IDLE.recovery_seconds:.1f} s + {_us(record_seconds())} a changelog record", "the same two"),
        ("other topics, a payment", f"{OTHER_BYTES:.1f} bytes", "codes, truth, ledger, on the wire"),
    ]
    yield from _table(["", "price", "from"], rows)
    flushes = STREAM["seconds"] * per_second(STREAM["payments"] / STREAM["seconds"], PARTITIONS, CATCH_UP_SECONDS)
    told = price.worker(STREAM["seconds"], STREAM["payments"], flushes, STREAM["written"])
    yield _paragraph(
        f"Held against a run that they are not from, `quetma bench stream --events {STREAM['payments']:.0f}`:",
        f"{told:.1f} s of CPU time by these prices, {STREAM['cpu']:.1f} s measured.",
    )


def _idle(price: Prices) -> str:
    return ", ".join(f"{share:.1%}" for share in (price.worker_idle, price.exporter_idle, price.broker_idle))


def _keys() -> Iterator[str]:
    yield "## Keys\n"
    yield _paragraph(
        f"`{SKEW}`: payments of the largest of 4, 8, … partitions over those of the mean one; payments by",
        "commune are of two simulated weeks. The country is the four scenarios over and over, under 34 names.",
    )
    counts = sorted(PROVINCE.largest_partition)
    names = ["", "communes", "largest commune", "busiest hour", *(f"{count}" for count in counts)]
    yield from _table(
        names, (_keys_row(name, keys, counts) for name, keys in (("an-giang", PROVINCE), ("the country", COUNTRY)))
    )
    yield _paragraph(
        "So one province fills some 16 partitions well; beyond that each doubling buys less, and past 64 nothing:",
        f"the largest commune has a {1 / PROVINCE.largest_commune:.0f}th of the province.",
    )


def _keys_row(name: str, keys: Keys, counts: Iterable[int]) -> tuple[str, ...]:
    shares = (f"{keys.largest_partition[count]:.2f}" for count in counts)
    return name, number(keys.communes), f"{keys.largest_commune:.2%}", f"{keys.peak_hour:.2f} × mean", *shares


def _plans(plans: list[Plan]) -> Iterator[str]:
    yield "## Plans\n"
    yield _paragraph(*_assumptions(vietnam()))
    yield from _table(["", *(one.load.name for one in plans)], ([name, *map(cell, plans)] for name, cell in PLAN_ROWS))


def _assumptions(country: Keys) -> Iterator[str]:
    each = PROVINCE.payments_a_day / SCALE / HOUSEHOLDS
    cashless = CASHLESS_OF_VIETNAM / CASHLESS_DAYS / country.payments_a_day
    yield f"Vietnam: {country.provinces} provinces, {number(country.communes)} communes;"
    yield f"{number(country.markets)} markets and {number(country.cells)} cells, as many a commune as An Giang;"
    yield f"{number(HOUSEHOLDS_OF_VIETNAM)} households (assumed) that pay as An Giang's do,"
    yield f"{each:.2f} payments a day each at scale 1: {number(country.payments_a_day)} a day, cash included."
    yield "All cashless payments of the country in nine months of 2025 (thanhnien: 17.8 · 10⁹) are"
    yield f"{cashless:.0f} times as many: transfers, and all else that is not simulated."
    yield f"Cores and wires are for the busiest hour ({country.peak_hour} × the mean; 10⁶ is taken as constant), disks"
    yield f"for the mean; a core is planned to {HEADROOM:.0%}; {REPLICATION} copies."
    yield "Places are taken as equally busy, which overstates adoption, state and changelog."


PLAN_ROWS: tuple[tuple[str, Callable[[Plan], str]], ...] = (
    ("payments/s, mean / peak", lambda one: f"{number(one.load.mean)} / {number(one.load.peak)}"),
    ("simulated time", lambda one: f"{number(one.load.speed)} ×"),
    ("emit interval, s", lambda one: f"{one.interval:g}"),
    ("**partitions**", lambda one: str(one.partitions)),
    ("**workers**", lambda one: str(one.workers)),
    ("**producers**, as provinces × N of `--shard I/N`", lambda one: f"{one.load.keys.provinces} × {one.shards}"),
    ("cores busy: producers", lambda one: f"{one.producer_cores:.2f}"),
    ("cores busy: workers", lambda one: f"{one.worker_cores:.2f}"),
    ("cores busy: brokers", lambda one: f"{one.broker_cores:.2f}"),
    ("cores busy: exporter", lambda one: f"{one.exporter_cores:.2f}"),
    (f"**machines** of {CORES_A_MACHINE} cores", lambda one: str(one.machines)),
    ("memory of a worker, MB", lambda one: number(one.worker_mb)),
    ("memory of the exporter, MB", lambda one: number(one.exporter_mb)),
    ("memory of all but brokers, GB", lambda one: f"{one.memory_gb:.1f}"),
    ("state, MB in all / a worker", lambda one: f"{one.state_mb:.0f} / {one.state_mb / one.workers:.1f}"),
    ("bytes a payment, on the wire", lambda one: number(one.payment_bytes)),
    ("adoption records/s, at most", lambda one: number(one.adoption)),
    ("changelog records/s, at most", lambda one: number(one.changelog)),
    ("changelog, MB/s", lambda one: f"{one.changelog_bytes / 1e6:.2f}"),
    ("network into brokers, MB/s", lambda one: f"{one.written_bytes / 1e6:.2f}"),
    ("between brokers, MB/s", lambda one: f"{one.written_bytes * (REPLICATION - 1) / 1e6:.2f}"),
    ("out of brokers, MB/s", lambda one: f"{one.read_bytes / 1e6:.2f}"),
    ("disk for payments, GB a day, all copies", lambda one: number(one.payments_a_day_bytes / 1e9)),
    ("payments kept (4 GiB a partition), hours", lambda one: number(one.retained_hours)),
    ("disk for kept payments at most, GB, all copies", lambda one: number(one.retained_gb)),
    ("recovery of a worker, changelog compacted, s", lambda one: f"{one.recovery_seconds:.1f}"),
    ("recovery, at worst, s", lambda one: number(one.uncompacted_seconds)),
)


LARGE = 100
"""From here on numbers are whole."""


def number(value: float) -> str:
    """Return a number to read: thousands set apart, three figures where there are no thousands."""
    small = 0 < value < LARGE and value != int(value)
    return f"{value:.3g}" if small else f"{value:,.0f}".replace(",", " ")


def _us(seconds: float) -> str:
    return f"{number(seconds * 1e6)} µs"
