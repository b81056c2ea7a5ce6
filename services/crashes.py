"""A crashed worker starts anew, whether or not its parts end in order.

In: a Faust worker. Out: the same process as a fresh worker, after a crash. A restart is exact and takes seconds.
"""

from __future__ import annotations

import os
import sys
import threading
import time
from typing import Final

from mode import Worker

from schemas.errors import ExitCode
from services.output import say

CRASH_LOOP_SECONDS: Final = 10.0
"""A worker that crashes sooner than this is not started anew: it would crash again."""
ORDERLY_END_SECONDS: Final = 5.0
"""For the parts of a crashed worker to end in. They wait for one another's threads and loops, sometimes in vain, and
meanwhile nobody processes what the worker had."""


class Crashes:
    """Starts a worker's process anew when it has crashed."""

    def __init__(self, worker: Worker, orderly_end_seconds: float = ORDERLY_END_SECONDS) -> None:
        self._worker = worker
        self._patience = orderly_end_seconds
        self._begun = time.monotonic()
        self._ran: float | None = None
        """Seconds from its start to its crash."""

    def watch(self) -> None:
        """Watch in a thread of its own: what hangs may be the worker's event loop."""
        threading.Thread(target=self._watch, name="crashes", daemon=True).start()

    def _watch(self) -> None:
        while not self._worker.crashed:
            time.sleep(self._patience / 20)
        self._ran = time.monotonic() - self._begun
        time.sleep(self._patience)
        say(f"quetma: the parts of the crashed worker have not ended within {self._patience:g} s")
        self.start_anew()
        os._exit(ExitCode.UNREACHABLE)

    def start_anew(self) -> None:
        """Become a fresh worker under the same process id; return if the crashed one was to stop, or was hardly up."""
        told_to_stop = self._worker._signal_stop_time is not None  # mode's own note of it; it keeps no other
        ran = time.monotonic() - self._begun if self._ran is None else self._ran
        if told_to_stop or ran < CRASH_LOOP_SECONDS:
            return
        say("quetma: the worker has crashed and starts anew; it goes on where its state ends")
        sys.stdout.flush()
        os.execv(sys.executable, [sys.executable, "-m", "services.cli", *sys.argv[1:]])  # noqa: S606  # ourselves
