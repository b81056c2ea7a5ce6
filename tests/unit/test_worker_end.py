"""A worker ends within bounds, whatever its parts do; one that crashed starts anew, here as `quetma topics --help`."""

from __future__ import annotations

import contextlib
import subprocess
import sys
import time
from collections.abc import Callable

import psutil
import pytest

from services.broker import free_port

WORKER = """
import signal, sys
from mode import Service, Worker
from services import worker_end

class Part(Service):
    @Service.task
    async def work(self):
        if {crashes}:
            raise RuntimeError("as told")
        signal.raise_signal(signal.SIGTERM)

    async def on_stop(self):
        while {hangs}:
            pass  # it keeps the event loop, as Faust's fetcher does when its consumer has ended

worker_end.CRASH_LOOP_SECONDS = {crash_loop_seconds}
sys.argv = {argv}
worker = Worker(Part(), loglevel="CRITICAL", redirect_stdouts=False)
end = worker_end.WorkerEnd(worker, crashed_seconds=1.0, stopped_seconds=2.0)
end.watch()
try:
    worker.execute_from_commandline()
except SystemExit as ended:
    if ended.code not in {{None, 0}}:
        end.start_anew_after_a_crash()
    raise
"""
TOPICS_HELP = "Topics: list them"


HELP = ["quetma", "topics", "--help"]


def run(*, crashes: bool, hangs: bool, crash_loop_seconds: float = 0.0) -> subprocess.CompletedProcess[str]:
    script = WORKER.format(crashes=crashes, hangs=hangs, crash_loop_seconds=crash_loop_seconds, argv=HELP)
    return subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=False)


@pytest.mark.parametrize("hangs", [False, True])
def test_a_crashed_worker_starts_anew(hangs):
    done = run(crashes=True, hangs=hangs)
    assert done.returncode == 0, done.stderr
    assert TOPICS_HELP in done.stdout
    assert "starts anew" in done.stderr
    assert ("not ended in order within 1 s" in done.stderr) == hangs


@pytest.mark.parametrize(("hangs", "exit_code"), [(False, 1), (True, 3)])
def test_one_that_was_hardly_up_ends_since_it_would_crash_again(hangs, exit_code):
    done = run(crashes=True, hangs=hangs, crash_loop_seconds=60.0)
    assert done.returncode == exit_code, done.stderr
    assert not done.stdout
    assert "starts anew" not in done.stderr


@pytest.mark.parametrize(("hangs", "exit_code"), [(False, 0), (True, 3)])
def test_one_that_was_told_to_stop_ends(hangs, exit_code):
    done = run(crashes=False, hangs=hangs)
    assert done.returncode == exit_code, done.stderr
    assert not done.stdout
    assert ("not ended in order within 2 s" in done.stderr) == hangs


PARENT = """
import subprocess, sys
from services.leash import leashed
child = subprocess.Popen(leashed([sys.executable, "-c", sys.argv[1]]), stdout=subprocess.DEVNULL)
print(child.pid, flush=True)
child.wait()
"""


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


@pytest.mark.parametrize("hangs", [False, True])
def test_one_that_starts_anew_is_still_on_its_leash(hangs):
    runs_on = ["quetma", "broker", "--port", str(free_port())]
    script = WORKER.format(crashes=True, hangs=hangs, crash_loop_seconds=0.0, argv=runs_on)
    with subprocess.Popen([sys.executable, "-c", PARENT, script], stdout=subprocess.PIPE) as parent:
        worker = psutil.Process(int(parent.stdout.readline()))
        until(lambda: worker.cmdline()[-3:] == runs_on[1:] and bool(worker.children()))
        parent.kill()
    try:
        until(lambda: not worker.is_running() or worker.status() == psutil.STATUS_ZOMBIE)
    finally:
        with contextlib.suppress(psutil.NoSuchProcess):
            worker.kill()
