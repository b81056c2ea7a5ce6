"""The leash: whatever way a parent ends, its child is gone, seen by process id and start time."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import psutil
import pytest

from services import leash
from services.leash import leashed

# Starts a leashed child, says its process id, and ends in the way of its argument.
PARENT = """
import os, subprocess, sys, time
from services.leash import leashed
ending, watch, *command = sys.argv[1:]
child = subprocess.Popen(leashed(command, watch=watch == "watch"), start_new_session=True)
print(child.pid, flush=True)
sys.stdin.readline()
if ending == "exit": sys.exit(0)
if ending == "raise": raise RuntimeError("on purpose")
if ending == "_exit": os._exit(0)
time.sleep(60)
"""
SLEEP = "import time; time.sleep(60)"
SIGNALS = {"SIGKILL": signal.SIGKILL, "SIGTERM": signal.SIGTERM, "SIGHUP": signal.SIGHUP}


def until(condition, seconds: float = 2.0) -> bool:
    """Whether the condition comes true in time."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.01)
    return True


def gone(process: psutil.Process) -> bool:
    """Whether no process with this id and this start time runs (is_running compares both)."""
    try:
        return not process.is_running() or process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def is_command(process: psutil.Process, marker: str) -> bool:
    """Whether it has become the command, rather than the launcher that has it among its arguments."""
    line = process.cmdline()
    return marker in line and not any(word.endswith("leash.py") for word in line)


@pytest.fixture
def start_parent():
    """Start a parent; give it and the child's process id, and leave none of them behind."""
    started: list[subprocess.Popen] = []

    def start(ending: str, mode: str, *command: str) -> tuple[subprocess.Popen, int]:
        parent = subprocess.Popen(
            leashed([sys.executable, "-c", PARENT, ending, mode, *command]),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            cwd=Path(leash.__file__).parents[1],
        )
        started.append(parent)
        return parent, int(parent.stdout.readline())

    yield start
    for parent in started:
        parent.kill()
        parent.communicate()


@pytest.mark.parametrize("ending", ["SIGKILL", "SIGTERM", "SIGHUP", "exit", "raise", "_exit"])
@pytest.mark.parametrize("mode", ["kernel", "watch"])
def test_child_ends_with_its_parent(start_parent, ending: str, mode: str) -> None:
    parent, pid = start_parent(ending, mode, sys.executable, "-c", SLEEP)
    launcher = psutil.Process(pid)
    if mode == "watch":
        assert until(launcher.children)
        child = launcher.children()[0]
    else:
        child = launcher
    assert until(lambda: is_command(child, SLEEP))
    time.sleep(0.2)
    assert not gone(child)

    if ending in SIGNALS:
        parent.send_signal(SIGNALS[ending])
    else:
        parent.stdin.write(b"\n")
        parent.stdin.flush()

    assert until(lambda: gone(child)), f"the child outlived its parent: {child}"
    assert until(lambda: gone(launcher))


def test_the_signal_can_be_chosen(tmp_path: Path) -> None:
    told, ready = tmp_path / "told", tmp_path / "ready"
    child = (
        "import pathlib, signal, sys, time\n"
        f"signal.signal(signal.SIGTERM, lambda *_: (pathlib.Path({str(told)!r}).touch(), sys.exit(0)))\n"
        f"pathlib.Path({str(ready)!r}).touch(); time.sleep(60)"
    )
    parent = (
        "import signal, subprocess, sys, time\n"
        "from services.leash import leashed\n"
        "subprocess.Popen(leashed(sys.argv[1:], death_signal=signal.SIGTERM))\n"
        "time.sleep(60)"
    )
    root = Path(leash.__file__).parents[1]
    process = subprocess.Popen(leashed([sys.executable, "-c", parent, sys.executable, "-c", child]), cwd=root)
    try:
        assert until(ready.exists, seconds=10)
        process.kill()
        assert until(told.exists)
    finally:
        process.kill()
        process.wait()


def test_no_command_runs_for_a_parent_that_has_gone(tmp_path: Path) -> None:
    mark = tmp_path / "ran"
    someone_else = str(os.getppid())
    line = [sys.executable, "-I", "-S", leash.__file__, someone_else, "--", "touch", str(mark)]
    assert subprocess.run(line, check=False).returncode == 125
    assert not mark.exists()


@pytest.mark.parametrize("watch", [False, True])
def test_exit_code_is_the_command_s(watch: bool) -> None:
    assert subprocess.run(leashed(["sh", "-c", "exit 7"], watch=watch), check=False).returncode == 7


@pytest.mark.parametrize("watch", [False, True])
def test_missing_command(watch: bool) -> None:
    done = subprocess.run(leashed(["/no/such/command"], watch=watch), capture_output=True, check=False)
    assert done.returncode == 127
    assert b"cannot run /no/such/command" in done.stderr


def test_a_watched_command_gets_its_launcher_s_signals() -> None:
    command = ["sh", "-c", "trap 'exit 9' TERM; echo ready; while :; do sleep 0.05; done"]
    launcher = subprocess.Popen(leashed(command, watch=True), stdout=subprocess.PIPE)
    assert launcher.stdout.readline() == b"ready\n"
    launcher.terminate()
    assert launcher.wait(5) == 9
    launcher.stdout.close()


@pytest.mark.parametrize(
    "arguments", [[], ["--"], ["1", "--"], ["x", "--", "true"], ["--signal", "NONE", "1", "--", "true"]]
)
def test_usage(arguments: list[str]) -> None:
    line = [sys.executable, "-I", "-S", leash.__file__, *arguments]
    done = subprocess.run(line, capture_output=True, check=False)
    assert done.returncode == 2
    assert done.stderr.startswith(b"usage: ")


@pytest.mark.skipif(sys.platform != "linux", reason="/proc")
def test_python_s_ignored_signals_are_not_handed_on() -> None:
    done = subprocess.run(leashed(["grep", "SigIgn", "/proc/self/status"]), capture_output=True, check=True)
    ignored = int(done.stdout.split()[1], 16)
    assert not ignored & (1 << (signal.SIGPIPE - 1))


def test_other_threads_are_refused() -> None:
    refused: list[str] = []

    def attempt() -> None:
        try:
            leashed(["true"])
        except RuntimeError as error:
            refused.append(str(error))

    thread = threading.Thread(target=attempt)
    thread.start()
    thread.join()
    assert len(refused) == 1
    assert "main" in refused[0]
