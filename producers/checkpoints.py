"""Where a run begins: at its first day, or behind what a process before has sent.

In: the plan of a run, ``quetma.ledger``, and ``quetma.payments`` behind the checkpoint. Out: a `Beginning`.
What is on the topic is the truth: not the acknowledgements, which may never have come.
"""

from __future__ import annotations

from array import array
from collections import defaultdict
from dataclasses import dataclass, replace

from aiokafka import TopicPartition

from producers.plan import Plan
from producers.recovery import Recovery, fingerprint
from producers.topic_tails import ends_at_most, read_to_end
from schemas.errors import BadInputError
from schemas.events import SCHEMA_VERSION, Checkpoint, RunStarted
from schemas.topics import LEDGER, PAYMENTS


@dataclass(frozen=True)
class Beginning:
    """Where a process begins."""

    checkpoint: Checkpoint
    recovery: Recovery
    resumes: bool
    """Whether a process before has begun this run."""


@dataclass(frozen=True)
class _Records:
    """What the ledger has of a run, beside its counts."""

    started: RunStarted | None = None
    checkpoints: tuple[Checkpoint, ...] = ()
    has_counts: bool = False


async def beginning_of(plan: Plan, started: RunStarted, servers: str, partitions: int) -> Beginning:
    """Find out where a run begins.

    Args:
        plan: what to produce.
        started: what the run would announce of itself.
        servers: the broker.
        partitions: of the payments topic.

    Raises:
        BadInputError: if the broker has a run of this name that is another, or was cut into other shards.
        UnreachableError: if the broker does not answer.
    """
    known = await _read_ledger(servers, plan.run)
    _refuse_another(plan, started, known)
    checkpoint = next((one for one in known.checkpoints if one.shard == plan.shard), None)
    places = [TopicPartition(PAYMENTS, number) for number in range(partitions)]
    if checkpoint is None:
        ends = await ends_at_most(servers, places)
        return Beginning(first_checkpoint(plan, [ends[place] for place in places]), Recovery({}), resumes=False)
    if len(checkpoint.offsets) != partitions:
        found = f"{PAYMENTS} had {len(checkpoint.offsets)} partitions when the run began, and has {partitions}"
        raise BadInputError("produce", found, "give another --run")
    recovery = await _read_tails(servers, plan.run, dict(zip(places, checkpoint.offsets, strict=True)))
    return Beginning(checkpoint, recovery, resumes=True)


def first_checkpoint(plan: Plan, offsets: list[int]) -> Checkpoint:
    """Return the checkpoint of a run of which nothing is sent."""
    return Checkpoint(
        schema_version=SCHEMA_VERSION,
        run=plan.run,
        shard=plan.shard,
        day=plan.world.scenario.start.isoformat(),
        offsets=offsets,
        payments=[0] * plan.world.source_count,
    )


async def _read_ledger(servers: str, run: str) -> _Records:
    known, checkpoints = _Records(), dict[str, Checkpoint]()
    begin, mark = f"{run}|".encode(), f"{run}|checkpoint|".encode()
    async for record in read_to_end(servers, {TopicPartition(LEDGER, 0): 0}):
        key = record.key or b""
        if key == run.encode():
            known = replace(known, started=RunStarted.model_validate_json(record.value))
        elif key.startswith(mark):
            one = Checkpoint.model_validate_json(record.value)
            checkpoints[one.shard] = one
        elif key.startswith(begin):
            known = replace(known, has_counts=True)
    return replace(known, checkpoints=tuple(checkpoints.values()))


def _refuse_another(plan: Plan, started: RunStarted, known: _Records) -> None:
    """Refuse to go on with what is not the same run: its payments would mix with others of the same ids."""
    before, name = known.started, f"run {plan.run}"
    if before is None:
        return
    differing = [
        f"{what} {getattr(before, field)}, now {getattr(started, field)}"
        for field, what in _SAME.items()
        if getattr(before, field) != getattr(started, field)
    ]
    if differing:
        found = f"{name} was begun with {'; '.join(differing)}"
        raise BadInputError("produce", found, "give the same scenario and --seed, or another --run")
    if known.has_counts and not known.checkpoints:
        raise BadInputError("produce", f"{name} left no checkpoint to go on from", "give another --run")
    shards = {one.shard.partition("/")[2] for one in known.checkpoints} - {plan.shard.partition("/")[2]}
    if shards:
        found = f"{name} is cut into {', '.join(sorted(shards))} shards, not as --shard {plan.shard} says"
        raise BadInputError("produce", found, "give --shard I/N with the same N, or another --run")


_SAME = {"scenario": "scenario", "scenario_hash": "scenario hash", "seed": "seed", "version": "Quetma's version"}
"""What must not change within a run, as fields of `RunStarted`, and how people call it."""


async def _read_tails(servers: str, run: str, begins: dict[TopicPartition, int]) -> Recovery:
    """Read what partitions hold of a run behind offsets."""
    there: dict[int, array[int]] = defaultdict(lambda: array("q"))
    name = f'"run":"{run}"'.encode()
    async for record in read_to_end(servers, begins):
        if name in (record.value or b""):
            there[record.partition].append(fingerprint(record.value))
    return Recovery(there)
