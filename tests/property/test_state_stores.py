"""A recovery from a copy gives what reading the whole changelog gives, whatever happened to either before."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from hypothesis import example, given, settings
from hypothesis import strategies as st

from streams.changelog_copy import Tail, apply
from streams.copying_store import Copy
from streams.lineage import identity_key
from streams.rocksdb_store import RocksDBCopy
from tests.changelog_model import HOUR_MS, PARTITION, DictCopy, ModelChangelog, Worker

KEYS = [f"{PARTITION}|0|{cell}".encode() for cell in ("", "r|a", "r|b")]
IDENTITY = identity_key(PARTITION)
Step = tuple[Any, ...]
WRITES = st.tuples(st.just("write"), st.sampled_from(KEYS), st.none() | st.sampled_from([b"x", b"y", b"z"]))
SHARES = st.sampled_from([0.5, 1.0])
CHANGES = st.one_of(
    WRITES,
    WRITES,
    st.tuples(st.just("compact"), SHARES),
    st.tuples(st.just("wait"), st.sampled_from([0.1, 5, 11, 13, 25])),
    st.tuples(st.just("meanwhile"), WRITES | st.tuples(st.just("clean"), SHARES)),
    st.sampled_from([("make anew",), ("name",)]),
)
OWNERSHIPS = st.tuples(
    st.just([("recover",)]),
    st.lists(CHANGES, max_size=5),
    st.sampled_from([[], [("follow",)]]),
    st.lists(CHANGES, max_size=5),
    st.sampled_from([[("kill",)], [("release",)], [("release",), ("kill",)]]),
    st.lists(CHANGES, max_size=5),
)
"""A worker has the partition, loses it, and much happens in between."""
LIVES = st.lists(OWNERSHIPS, max_size=4).map(
    lambda lives: [step for ownership in lives for part in ownership for step in part]
)


KEY, OTHER = KEYS[:2]
X, GONE = ("write", KEY, b"x"), ("write", KEY, None)
FORGOTTEN_WHILE_AWAY = [X, ("recover",), ("kill",), GONE, ("wait", 25)]
FORGOTTEN_WHILE_ASLEEP = [X, ("recover",), GONE, ("wait", 25), ("follow",), ("kill",)]
MADE_ANEW_AND_NAMED = [
    X,
    ("recover",),
    ("make anew",),
    *[("write", OTHER, b"y")] * 3,
    ("name",),
    ("follow",),
    ("kill",),
]
"""Of such, a random life is seldom one: what each of three checks is for."""


class Machine:
    """A worker, its changelog, and what happens to both."""

    def __init__(self, new_copy: Callable[[], Copy]) -> None:
        self.changelog = ModelChangelog()
        self.worker = Worker(self.changelog, new_copy)

    async def run(self, steps: list[Step]) -> None:
        for what, *details in steps:
            match what:
                case "kill":
                    self.worker.begin()
                case "follow":
                    await self.worker.store.follow()
                case "release":
                    await self.worker.store.release([PARTITION])
                case "recover":
                    await self.recover()
                case _:
                    self.change(what, *details)
        await self.recover()

    def change(self, what: str, *details: Any) -> None:
        match what:
            case "write":
                self.changelog.write(*details)
            case "compact":
                self.changelog.compact(*details)
            case "clean":  # no reader is so slow that a tombstone is given up while it reads
                self.changelog.compact(*details, tombstones=False)
            case "wait":
                self.changelog.now += int(details[0] * HOUR_MS)
                self.changelog.compact()
            case "make anew":
                self.changelog.make_anew()
            case "name":  # another owner has found no identity
                self.changelog.write(IDENTITY, b"another name")
            case "meanwhile":
                self.changelog.meanwhile.append(lambda: self.change(*details[0]))

    async def recover(self) -> None:
        """Recover, and compare with all that there is to read; the identity is written behind it."""
        self.changelog.write(b"3|claim", b"somebody")  # an owner claims first
        rebuilt = await self.worker.recover()
        self.changelog.meanwhile = []
        everything = await self.worker.everything()
        if IDENTITY not in rebuilt.table:
            del everything[IDENTITY]
        assert rebuilt.table == everything


@given(LIVES)
@example(FORGOTTEN_WHILE_AWAY)
@example(FORGOTTEN_WHILE_ASLEEP)
@example(MADE_ANEW_AND_NAMED)
@settings(max_examples=300)
def test_a_recovery_from_a_copy_is_one_from_everything(steps: list[Step]) -> None:
    disk: dict[bytes, bytes] = {}
    asyncio.run(Machine(lambda: DictCopy(disk)).run(steps))


@given(LIVES)
@settings(max_examples=20)
def test_a_recovery_from_rocksdb_is_one_from_everything(steps: list[Step]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        machine = Machine(lambda: RocksDBCopy(Path(folder) / "changelog-copy" / "3"))
        asyncio.run(machine.run(steps))
        machine.worker.begin()


@given(st.lists(WRITES, max_size=30), st.data())
def test_a_table_is_the_same_in_one_stretch_and_in_many(writes: list[Step], data: st.DataObject) -> None:
    table, truth = dict[bytes, bytes](), dict[bytes, bytes]()
    borders = sorted(data.draw(st.lists(st.integers(0, len(writes)))))
    for begin, end in zip([0, *borders], [*borders, len(writes)], strict=True):
        tail = Tail(PARTITION, begin)
        for offset in range(begin, end):
            tail.learn(offset, *writes[offset][1:])
        apply(table, tail.changes.items())
    for _, key, value in writes:
        apply(truth, [(key, value)])
    assert table == truth
