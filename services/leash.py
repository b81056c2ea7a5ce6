"""Ties a child process to its parent, so that it dies whenever the parent does, `kill -9` included.

In: a command and the parent's process id. Out: the command, running, and signalled when its parent ends.
Run as `python -I -S services/leash.py [--signal NAME] [--watch] PARENT_PID -- COMMAND ARG…`, as `leashed()`
composes it. Standard library only, and little of it, to start fast. A `preexec_fn` would do the same in fewer
lines, but is not safe in a process that has threads.

On Linux the launcher asks for a parent-death signal (prctl, PR_SET_PDEATHSIG) and then becomes the command:
same process id, same exit code. The kernel takes for the parent the *thread* that started the child, so start
leashed commands from the main thread, or they die with a short-lived one; `leashed()` refuses other threads.

Where there is no prctl (macOS), and with `--watch`, the launcher stays between the two instead: it passes on
SIGTERM, SIGINT and SIGHUP, ends with the command's exit code, and signals the command when the parent ends.
It cannot pass on SIGKILL, so start the launcher in a session of its own and kill that whole process group.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import sys
import threading
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import FrameType

_PR_SET_PDEATHSIG, _PR_GET_PDEATHSIG = 1, 2
_PASSED_ON = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
_IGNORED_BY_PYTHON = (signal.SIGPIPE, signal.SIGXFSZ)  # set to "ignore" at start-up, which exec would hand on
_WATCH_SECONDS = 0.1
_USAGE_EXIT, _PARENT_GONE_EXIT, _NO_COMMAND_EXIT, _BY_SIGNAL_EXIT = 2, 125, 127, 128


def leashed(command: Sequence[str], *, death_signal: signal.Signals = signal.SIGKILL, watch: bool = False) -> list[str]:
    """The argv that runs `command` on a leash held by this process.

    Args:
        command: the program, by path or by its name on PATH, and its arguments.
        death_signal: what the command gets when this process ends.
        watch: use the watching launcher even where the kernel could do it.

    Raises:
        RuntimeError: when called from another thread than the main one (see the module's text).
    """
    if threading.current_thread() is not threading.main_thread():
        raise RuntimeError("a leash ends with the thread that starts the command: start it from the main one")
    options = ["--signal", death_signal.name, *(["--watch"] if watch else [])]
    return [sys.executable, "-I", "-S", __file__, *options, str(os.getpid()), "--", *command]


def main(arguments: Sequence[str]) -> int:
    """Run the launcher; returns an exit code only when it did not become the command."""
    try:
        border = arguments.index("--")
        own, command = arguments[:border], arguments[border + 1 :]
        parent = int(own[-1])
        death_signal = signal.Signals[own[own.index("--signal") + 1]] if "--signal" in own else signal.SIGKILL
        if not command:
            raise ValueError
    except (ValueError, KeyError, IndexError):
        sys.stderr.write("usage: leash.py [--signal NAME] [--watch] PARENT_PID -- COMMAND ARG...\n")
        return _USAGE_EXIT
    if "--watch" in own or not signalled_with_parent(death_signal):
        return _watch(parent, command, death_signal)
    if os.getppid() != parent:  # it ended before the kernel knew of the leash
        return _PARENT_GONE_EXIT
    return _become(command)


def held_by_parent() -> int:
    """Return the signal that this thread asked the kernel for at the parent's end; 0 for none."""
    if sys.platform != "linux":
        return 0
    number = ctypes.c_int(0)
    ctypes.CDLL(None).prctl(_PR_GET_PDEATHSIG, ctypes.byref(number))
    return number.value


def signalled_with_parent(death_signal: int) -> bool:
    """Ask the kernel for a signal at the parent's end; False where it has no such thing.

    It is the thread's that asks, and of no other: a thread that becomes another program must ask anew.
    """
    if sys.platform != "linux":
        return False
    zero = ctypes.c_ulong(0)
    libc = ctypes.CDLL(None)
    return bool(libc.prctl(_PR_SET_PDEATHSIG, ctypes.c_ulong(death_signal), zero, zero, zero) == 0)


def _become(command: Sequence[str]) -> int:
    """Turn this process into the command; returns only when that failed."""
    for number in _IGNORED_BY_PYTHON:
        signal.signal(number, signal.SIG_DFL)
    try:
        os.execvp(command[0], list(command))  # noqa: S606 - without a shell on purpose: the argv goes as it is
    except OSError as error:
        sys.stderr.write(f"leash: cannot run {command[0]}: {error.strerror}\n")
        sys.stderr.flush()
    return _NO_COMMAND_EXIT


def _watch(parent: int, command: Sequence[str], death_signal: signal.Signals) -> int:
    """Run the command as a child and signal it when this process is no longer a child of `parent`."""
    signal.pthread_sigmask(signal.SIG_BLOCK, _PASSED_ON)  # until there is a child to pass them on to
    child = os.fork()
    if child == 0:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _PASSED_ON)
        os._exit(_become(command))

    def pass_on(number: int, _frame: FrameType | None) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(child, number)

    for number in _PASSED_ON:
        signal.signal(number, pass_on)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _PASSED_ON)

    orphaned = False
    while True:
        ended, status = os.waitpid(child, os.WNOHANG)
        if ended:
            code = os.waitstatus_to_exitcode(status)
            return code if code >= 0 else _BY_SIGNAL_EXIT - code
        if not orphaned and os.getppid() != parent:
            orphaned = True
            os.kill(child, death_signal)
        time.sleep(_WATCH_SECONDS)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
