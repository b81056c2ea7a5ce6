"""State stores: what a second start reads, each reason to begin a copy anew, and what is refused."""

from __future__ import annotations

import asyncio
import builtins
import hashlib
import logging
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from aiokafka.errors import KafkaConnectionError
from rocksdict import Options, Rdict

from schemas.errors import BadInputError, ExitCode
from schemas.settings import StreamSettings
from schemas.topics import DELETE_RETENTION_MS, STATE_CHANGELOG, TOPICS
from streams import copying_store
from streams.changelog_copy import CopyUnfitError, Identity, Mark, encode_mark
from streams.rocksdb_store import FOLDER, MARK_KEY, RocksDBCopy, rocksdb_store
from streams.state_store import MemoryStore, open_store
from tests.changelog_model import HOUR_MS, PARTITION, ModelChangelog, Worker

MARK = Mark(1, 5, 0, Identity("name", 2))


class System:
    """A changelog with 20 keys, and a worker that has recovered from it once."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.changelog = ModelChangelog()
        self.worker = Worker(self.changelog, lambda: RocksDBCopy(path))
        for number in range(20):
            self.write(number, b"first")

    def write(self, number: int, value: bytes | None) -> None:
        self.changelog.write(f"{PARTITION}|0|r|{number}".encode(), value)

    async def second_start(self) -> int:
        """Kill the worker, start it, recover; return how many records that read."""
        self.worker.begin()
        rebuilt = await self.worker.recover()
        everything = await self.worker.everything()
        assert {**rebuilt.table, b"3|identity": b""} == {**everything, b"3|identity": b""}
        return rebuilt.records


@pytest.fixture
async def system(tmp_path: Path) -> Any:
    running = System(tmp_path / "copy" / str(PARTITION))
    assert (await running.worker.recover()).records == 20
    yield running
    running.worker.begin()


def begun_anew(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [one.getMessage() for one in caplog.records if "begun anew" in one.getMessage()]


# -- what a start reads --------------------------------------------------------------------------------------


async def test_a_second_start_reads_only_the_tail(system: System, caplog) -> None:
    system.write(3, b"second")
    system.write(4, None)
    assert await system.second_start() == 3  # and the identity, which was written when all had been read
    assert await system.second_start() == 0
    assert begun_anew(caplog) == []


async def test_what_was_followed_is_not_read_again(system: System) -> None:
    system.write(3, b"second")
    await system.worker.store.follow()
    system.write(5, None)
    assert await system.second_start() == 1


async def test_a_partition_that_is_released_is_copied_to_its_end(system: System) -> None:
    system.write(3, b"second")
    await system.worker.store.release([PARTITION, 77])
    assert await system.second_start() == 0


async def test_a_partition_that_comes_back_catches_up(system: System) -> None:
    await system.worker.store.release([PARTITION])
    for number in range(10, 30):
        system.write(number, b"another worker's")
    system.changelog.compact()
    assert await system.second_start() == 20


async def test_the_store_in_memory_reads_all_each_time(system: System) -> None:
    store = MemoryStore(system.changelog)
    system.write(3, None)
    first = await store.recover(PARTITION)
    await store.follow()
    await store.release([PARTITION])
    assert (first.records, len(first.table)) == (22, 20)  # 20 keys and the identity, without one
    assert await store.recover(PARTITION) == first


# -- reasons to begin anew -----------------------------------------------------------------------------------


async def test_it_is_ahead_of_the_changelog(system: System, caplog) -> None:
    await system.worker.store.follow()
    system.changelog.cut(15)
    assert await system.second_start() == 15
    (line,) = begun_anew(caplog)
    assert f"{STATE_CHANGELOG}-3" in line
    assert line.endswith("it goes up to offset 21, and the changelog ends at 15")


async def test_its_identity_is_ahead_of_the_changelog(system: System, caplog) -> None:
    # It is written behind what was read: the copy's offset is still within the changelog.
    system.changelog.cut(20)
    assert await system.second_start() == 20
    assert begun_anew(caplog)[0].endswith("it goes up to offset 21, and the changelog ends at 20")


@pytest.mark.parametrize(("hours", "old"), [(11.9, False), (12.1, True), (-0.01, False), (-1, True)])
async def test_it_was_synced_too_long_ago(system: System, caplog, hours: float, old: bool) -> None:
    system.changelog.now += int(hours * HOUR_MS)
    assert await system.second_start() == (21 if old else 1)
    assert [f"it was last synced {hours:.1f} h ago" in line for line in begun_anew(caplog)] == [True] * old


def test_half_the_time_that_the_topic_keeps_tombstones() -> None:
    (topic,) = [topic for topic in TOPICS if topic.name == STATE_CHANGELOG]
    assert topic.config()["delete.retention.ms"] == str(DELETE_RETENTION_MS) == str(24 * HOUR_MS)


@pytest.mark.parametrize("mark", [b'{"format":2}', b"{}", b"\xff", encode_mark(MARK).replace(b'"offset"', b'"at"')])
async def test_its_format_is_another_one(system: System, caplog, mark: bytes) -> None:
    system.worker.begin()
    database = Rdict(str(system.path), Options(raw_mode=True))
    database[MARK_KEY] = mark
    database.close()
    assert await system.second_start() == 21
    assert len(begun_anew(caplog)) == 1
    if mark == b'{"format":2}':
        assert begun_anew(caplog)[0].endswith("its format is 2, this version has 1")


async def test_the_topic_is_another_one(system: System, caplog) -> None:
    await system.worker.store.follow()
    system.changelog.make_anew()
    for number in range(40):
        system.write(number, b"new")
    assert await system.second_start() == 40
    assert "another one than it was copied from (name 1 is not in it)" in begun_anew(caplog)[0]
    assert await system.second_start() == 1  # its identity
    assert len(begun_anew(caplog)) == 1


async def test_another_identity_was_written(system: System, caplog) -> None:
    await system.worker.store.follow()
    system.changelog.write(b"3|identity", b"another's")
    assert await system.second_start() == 22
    assert "the changelog has another identity than name 1" in begun_anew(caplog)[0]
    assert await system.second_start() == 0


def corrupt_block(path: Path) -> None:
    """Write files, then spoil the middle of the largest: it opens, and reading comes to it."""
    (table,) = path.glob("*.sst")
    content = bytearray(table.read_bytes())
    middle = len(content) // 4
    content[middle : middle + 64] = bytes(byte ^ 0xFF for byte in content[middle : middle + 64])
    table.write_bytes(content)


def corrupt_manifest(path: Path) -> None:
    (manifest,) = path.glob("MANIFEST-*")
    manifest.write_bytes(b"spoiled" * 10)


def lose_a_file(path: Path) -> None:
    (table,) = path.glob("*.sst")
    table.unlink()


def put_a_file_there(path: Path) -> None:
    for file in path.iterdir():
        file.unlink()
    path.rmdir()
    path.write_text("not a folder", encoding="utf-8")


@pytest.mark.parametrize("harm", [corrupt_block, corrupt_manifest, lose_a_file, put_a_file_there])
async def test_it_is_corrupt(system: System, caplog, harm) -> None:
    for number in range(400):
        system.write(number, hashlib.sha256(bytes([number % 251])).digest() * 2)  # several blocks
    await system.worker.store.release([PARTITION])
    database = RocksDBCopy(system.path)
    database.open()
    database._opened().flush()
    database.close()
    harm(system.path)
    assert await system.second_start() == 421
    assert len(begun_anew(caplog)) == 1
    assert await system.second_start() <= 1


# -- going on without one ------------------------------------------------------------------------------------


async def test_a_disk_that_fails_costs_the_copy_and_not_the_table(system: System, caplog, monkeypatch) -> None:
    def fail(*_: object) -> None:
        raise CopyUnfitError("No space left on device")

    monkeypatch.setattr(RocksDBCopy, "write", fail)
    system.write(3, b"second")
    assert await system.second_start() == 2
    assert "no copy of quetma-stream-cells-changelog-3 for now: No space left" in caplog.text
    await system.worker.store.follow()
    monkeypatch.undo()
    assert await system.second_start() == 22


async def test_a_folder_that_stays_unusable_costs_the_copy_and_not_the_table(system: System, monkeypatch) -> None:
    def fail(*_: object) -> None:
        raise CopyUnfitError("Read-only file system")

    monkeypatch.setattr(RocksDBCopy, "open", fail)
    assert await system.second_start() == 21
    await system.worker.store.follow()
    await system.worker.store.release([PARTITION])


async def test_a_changelog_that_is_cut_while_it_is_followed_costs_the_copy(system: System, caplog) -> None:
    await system.worker.store.follow()
    system.changelog.cut(15)
    await system.worker.store.follow()
    assert "which the changelog no longer has" in caplog.text
    assert await system.second_start() == 15


async def test_a_changelog_that_is_empty_when_it_is_followed_costs_the_copy(system: System, caplog) -> None:
    system.changelog.make_anew()
    await system.worker.store.follow()
    assert "it goes up to offset 20, and the changelog ends at 0" in caplog.text
    assert await system.second_start() == 0


async def test_a_worker_that_slept_through_half_a_day_gives_its_copy_up(system: System, caplog) -> None:
    system.changelog.now += 13 * HOUR_MS
    await system.worker.store.follow()
    assert "it was last synced 13.0 h ago" in caplog.text
    assert await system.second_start() == 21


async def test_a_broker_that_is_away_is_no_harm(system: System, caplog, monkeypatch) -> None:
    async def fail(*_: object) -> int:
        raise KafkaConnectionError

    with monkeypatch.context() as broker:
        broker.setattr(system.changelog, "read", fail)
        await system.worker.store.follow()
    assert "could not follow: KafkaConnectionError" in caplog.text
    assert await system.second_start() == 1


async def test_a_broker_that_hangs_does_not_hold_a_hand_over(system: System, monkeypatch) -> None:
    async def hang(*_: object) -> int:
        await asyncio.Event().wait()
        raise AssertionError

    monkeypatch.setattr(copying_store, "RELEASE_TIMEOUT_SECONDS", 0.05)
    with monkeypatch.context() as broker:
        broker.setattr(system.changelog, "read", hang)
        await asyncio.wait_for(system.worker.store.release([PARTITION]), 5)
    again = RocksDBCopy(system.path)
    assert again.open() is not None  # it was let go of
    again.close()


async def test_a_partition_that_is_released_while_it_recovers_keeps_its_copy(
    system: System, caplog, monkeypatch
) -> None:
    read, going_on = system.changelog.read, asyncio.Event()

    async def wait(*arguments: Any) -> int:
        await going_on.wait()
        return await read(*arguments)

    monkeypatch.setattr(copying_store, "RELEASE_TIMEOUT_SECONDS", 0.05)
    monkeypatch.setattr(system.changelog, "read", wait)
    recovery = asyncio.create_task(system.worker.recover())
    await asyncio.sleep(0.2)
    await system.worker.store.release([PARTITION])
    going_on.set()
    assert len((await recovery).table) == 21
    assert begun_anew(caplog) == []
    assert await system.second_start() == 1


@pytest.mark.parametrize("step", ["load", "write"])
async def test_a_partition_that_is_released_in_a_step_of_its_recovery_keeps_its_copy(
    system: System, caplog, monkeypatch, step: str
) -> None:
    entered, going_on = threading.Event(), threading.Event()
    real = getattr(RocksDBCopy, step)

    def wait(*arguments: Any) -> Any:
        entered.set()
        going_on.wait(10)
        return real(*arguments)

    monkeypatch.setattr(copying_store, "RELEASE_TIMEOUT_SECONDS", 0.05)
    with monkeypatch.context() as patch:
        patch.setattr(RocksDBCopy, step, wait)
        recovery = asyncio.create_task(system.worker.recover())
        await asyncio.to_thread(entered.wait, 10)
        await system.worker.store.release([PARTITION])
        going_on.set()
        assert len((await recovery).table) == 21
    assert begun_anew(caplog) == []
    assert await system.second_start() == 1


# -- one worker, one folder ----------------------------------------------------------------------------------


@pytest.fixture
def other_process(tmp_path: Path) -> Iterator[Path]:
    """A process that has a partition open."""
    path = tmp_path / FOLDER / "3"
    code = (
        "import sys; from pathlib import Path; from streams.rocksdb_store import RocksDBCopy;"
        "copy = RocksDBCopy(Path(sys.argv[1])); copy.open(); print('open', flush=True); sys.stdin.read()"
    )
    command = [sys.executable, "-c", code, str(path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "open\n"
        yield path


async def test_a_partition_that_another_process_has_is_refused_and_stays(other_process: Path) -> None:
    system = System(other_process)
    with pytest.raises(
        BadInputError, match=f"{other_process} is in use.*QUETMA_STREAM__DATA_DIR of its own"
    ) as refused:
        await system.worker.recover()
    assert refused.value.exit_code == ExitCode.BAD_INPUT
    assert (other_process / "CURRENT").exists()


def test_a_folder_that_another_worker_has_is_refused_at_once(tmp_path: Path) -> None:
    first = rocksdb_store(ModelChangelog(), tmp_path)
    with pytest.raises(BadInputError, match=f"{tmp_path / FOLDER} is in use by another process"):
        rocksdb_store(ModelChangelog(), tmp_path)
    del first
    rocksdb_store(ModelChangelog(), tmp_path)


def test_a_folder_that_cannot_be_made_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("", encoding="utf-8")
    with pytest.raises(BadInputError, match="file/changelog-copy cannot be used: Not a directory"):
        rocksdb_store(ModelChangelog(), tmp_path / "file")


# -- what is asked for ---------------------------------------------------------------------------------------


def test_memory_is_the_default() -> None:
    assert isinstance(open_store(StreamSettings(), ModelChangelog()), MemoryStore)


async def test_rocksdb_is_kept_under_the_folder_of_the_settings(tmp_path: Path, caplog) -> None:
    changelog = ModelChangelog()
    changelog.write(b"3|claim", b"somebody")
    changelog.now = time.time_ns() // 1_000_000
    store = open_store(StreamSettings(store="rocksdb", data_dir=tmp_path), changelog)
    assert (await store.recover(PARTITION)).table == {b"3|claim": b"somebody"}
    await store.release([PARTITION])
    assert (tmp_path / "changelog-copy" / "3" / "CURRENT").exists()
    assert (await store.recover(PARTITION)).records == 0
    await store.release([PARTITION])
    assert caplog.record_tuples == [record for record in caplog.record_tuples if record[1] < logging.WARNING]


def test_rocksdb_without_a_folder_is_refused() -> None:
    with pytest.raises(BadInputError, match="STORE=rocksdb without QUETMA_STREAM__DATA_DIR"):
        open_store(StreamSettings(store="rocksdb"), ModelChangelog())


def test_rocksdb_that_is_not_installed_is_named(tmp_path: Path, monkeypatch) -> None:
    real = builtins.__import__

    def without(name: str, *rest: Any) -> Any:
        if name == "rocksdict":
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
        return real(name, *rest)

    monkeypatch.delitem(sys.modules, "streams.rocksdb_store")
    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(BadInputError, match=r"install quetma\[rocksdb\]"):
        open_store(StreamSettings(store="rocksdb", data_dir=tmp_path), ModelChangelog())
