"""How fast columns become records: seconds in, the rate of payments and of QR codes encoded out."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import cycle

from producers.encoding import PaymentEncoder
from producers.engine import DayOfPayments, ProvinceSimulation
from producers.qr_codes import CodeEncoder
from producers.simulation.transmission import Transmission, transmit
from producers.simulation.world import World
from schemas.settings import Settings
from tests.benchmarks.measuring import Row, Stopwatch, in_own_process, world_of

DAYS = 3
"""Days encoded over and over."""
RUN = "bench"


def run(seconds: float = 5.0) -> Iterator[Row]:
    """Encode for about `seconds`, twice."""
    yield in_own_process(payments, seconds=seconds)
    yield in_own_process(codes, seconds=seconds)


def payments(seconds: float) -> Row:
    """Encode payments to record blocks, as large as the setting says."""
    world, days = _days()
    sent = [(day, _sending(world, day)) for day in days]
    settings = Settings()
    encoder = PaymentEncoder(world, RUN, settings.kafka.partitions, cloud_events=settings.producer.headers)
    size = settings.producer.block_events
    events = 0
    watch = Stopwatch()
    for block in (block for day, sending in cycle(sent) for block in encoder.blocks(day, sending, size)):
        events += len(block)
        if watch.seconds >= seconds:
            break
    return watch.row("encode", "encoder", events, block_events=size)


def codes(seconds: float) -> Row:
    """Encode the QR codes of the days that have any: an event is a code, with its VietQR payload."""
    world, days = _days()
    encoder = CodeEncoder(world, RUN, Settings().kafka.partitions)
    events = 0
    watch = Stopwatch()
    for issued in cycle([issued for day in days for issued in day.codes]):
        events += len(encoder.block(issued))
        if watch.seconds >= seconds:
            break
    return watch.row("encode codes", "encoder", events)


def _days() -> tuple[World, list[DayOfPayments]]:
    world = world_of()
    return world, list(ProvinceSimulation(world).days(DAYS))


def _sending(world: World, day: DayOfPayments) -> Transmission:
    return transmit(day.day, day.payments, day.sequence, world, world.scenario.stream_faults)[0]
