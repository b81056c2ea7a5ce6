"""Child processes of the demo: started on a leash, watched, restarted, ended in order.

In: `quetma` command lines. Out: running processes; their words in log files.
"""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from services.leash import leashed

GRACE_SECONDS = 20.0
POLL_SECONDS = 0.05
LOG_TAIL = 2000


class Child:
    """One `quetma` command as a child process; it dies with us, whatever we die of."""

    def __init__(self, name: str, arguments: Sequence[str], environment: Mapping[str, str], folder: Path) -> None:
        self.name = name
        self.restarts = 0
        self._arguments = arguments
        self._environment = {**os.environ, **environment}
        self._out = folder / f"{name}.out"
        self._log = folder / f"{name}.log"
        self._process = self._start()

    def _start(self) -> subprocess.Popen[bytes]:
        command = leashed([sys.executable, "-m", "services.cli", *self._arguments])
        with self._out.open("ab") as out, self._log.open("ab") as log:
            return subprocess.Popen(  # noqa: S603  # our own command line
                command, env=self._environment, stdin=subprocess.DEVNULL, stdout=out, stderr=log, start_new_session=True
            )

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    @property
    def exit_code(self) -> int | None:
        """Its exit code, None while it runs."""
        return self._process.poll()

    def restart(self) -> None:
        """Start it again after it has ended."""
        self.restarts += 1
        self._process = self._start()

    def send(self, number: signal.Signals) -> None:
        """Send a signal, if it still runs."""
        if self.exit_code is None:
            self._process.send_signal(number)

    def ask_to_stop(self) -> None:
        """Send SIGTERM."""
        self.send(signal.SIGTERM)

    def kill(self) -> None:
        """Send SIGKILL and wait for the end."""
        self.send(signal.SIGKILL)
        self._process.wait()

    async def stopped(self, grace_seconds: float = GRACE_SECONDS) -> int:
        """Wait for its end; kill it when the time is up. Return its exit code."""
        try:
            async with asyncio.timeout(grace_seconds):
                while self.exit_code is None:  # noqa: ASYNC110  # subprocess has no event to wait for
                    await asyncio.sleep(POLL_SECONDS)
        except TimeoutError:
            self._process.kill()
        return self._process.wait()

    def output(self) -> str:
        """Return what it printed on stdout."""
        return self._out.read_text(encoding="utf-8")

    def log_end(self, characters: int = LOG_TAIL) -> str:
        """Return the end of what it said on stderr."""
        return self._log.read_text(encoding="utf-8", errors="replace")[-characters:]
