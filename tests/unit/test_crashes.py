"""A crashed worker starts anew, whether or not its parts end in order; here it becomes `quetma topics --help`."""

from __future__ import annotations

import subprocess
import sys
import time

import pytest

WORKER = """
import sys
from mode import Service, Worker
from services import crashes

class Part(Service):
    @Service.task
    async def work(self):
        if {crashes}:
            raise RuntimeError("as told")
        await self.sleep(1)
        self.beacon.root.data._schedule_shutdown(__import__("signal").SIGTERM)

    async def on_stop(self):
        while {hangs}:
            pass  # it has the event loop, as a fetcher had that waited for a closed one

crashes.CRASH_LOOP_SECONDS = {crash_loop_seconds}
sys.argv = ["quetma", "topics", "--help"]
worker = Worker(Part(), loglevel="CRITICAL", redirect_stdouts=False)
watched = crashes.Crashes(worker, orderly_end_seconds=1.0)
watched.watch()
try:
    worker.execute_from_commandline()
except SystemExit as ended:
    if ended.code not in {{None, 0}}:
        watched.start_anew()
    raise
"""


def run(*, crashes: bool, hangs: bool, crash_loop_seconds: float = 0.0) -> subprocess.CompletedProcess[str]:
    script = WORKER.format(crashes=crashes, hangs=hangs, crash_loop_seconds=crash_loop_seconds)
    command = [sys.executable, "-c", script]
    return subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)


@pytest.mark.parametrize("hangs", [False, True])
def test_a_crashed_worker_starts_anew(hangs):
    done = run(crashes=True, hangs=hangs)
    assert done.returncode == 0, done.stderr
    assert "Topics: list them" in done.stdout
    assert "starts anew" in done.stderr
    assert ("have not ended within 1 s" in done.stderr) == hangs


@pytest.mark.parametrize(("hangs", "exit_code"), [(False, 1), (True, 3)])
def test_one_that_was_hardly_up_ends_since_it_would_crash_again(hangs, exit_code):
    done = run(crashes=True, hangs=hangs, crash_loop_seconds=60.0)
    assert done.returncode == exit_code, done.stderr
    assert not done.stdout
    assert "starts anew" not in done.stderr


def test_one_that_was_told_to_stop_ends():
    begun = time.monotonic()
    done = run(crashes=False, hangs=False)
    assert done.returncode == 0, done.stderr
    assert not done.stdout
    assert time.monotonic() - begun < 20
