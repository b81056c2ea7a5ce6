"""The end of a stream worker: within bounds, whatever its parts do; after a crash as a fresh worker.

In: a Faust worker. Out: the end of its process, or the same process as a fresh worker. A restart is exact and takes
seconds, so nothing is worth waiting for long: what was not written or committed, the next worker reads again.
"""

from __future__ import annotations

import contextlib
import os
import sys
import threading
import time
from typing import Final

from mode import Worker

from schemas.errors import ExitCode
from services.leash import held_by_parent, signalled_with_parent
from services.output import say

CRASH_LOOP_SECONDS: Final = 10.0
"""A worker that crashes sooner than this is not started anew: it would crash again."""
CRASHED_SECONDS: Final = 5.0
"""For the parts of a crashed worker to end in. They wait for one another's threads and loops, sometimes in vain, and
meanwhile nobody processes what the worker had."""
STOPPED_SECONDS: Final = 10.0
"""For a worker that was told to stop to hand its partitions over in, which takes a second or two. Where the broker is
away it would wait for it for ever."""
_LOOK_SECONDS: Final = 0.25


class WorkerEnd:
    """Bounds the end of a worker, and starts its process anew after a crash."""

    def __init__(
        self, worker: Worker, *, crashed_seconds: float = CRASHED_SECONDS, stopped_seconds: float = STOPPED_SECONDS
    ) -> None:
        self._worker = worker
        self._crashed_seconds, self._stopped_seconds = crashed_seconds, stopped_seconds
        self._begun = time.monotonic()
        self._ran: float | None = None
        """Seconds from its start to its crash."""
        self._leash = 0

    def watch(self) -> None:
        """Watch in a thread of its own: what hangs may be the worker's event loop. Call it in the main thread."""
        self._leash = held_by_parent()
        threading.Thread(target=self._watch, name="worker-end", daemon=True).start()

    def start_anew_after_a_crash(self) -> None:
        """Become a fresh worker under the same process id; return if this one was told to stop, or was hardly up."""
        ran = time.monotonic() - self._begun if self._ran is None else self._ran
        if self._told_to_stop or ran < CRASH_LOOP_SECONDS:
            return
        _tell("quetma: the worker has crashed and starts anew; it goes on where its state ends")
        if self._leash:
            signalled_with_parent(self._leash)  # this may be another thread than the one that is on the leash
        os.execv(sys.executable, [sys.executable, "-m", "services.cli", *sys.argv[1:]])  # noqa: S606  # ourselves

    @property
    def _told_to_stop(self) -> bool:
        return self._worker._signal_stop_time is not None  # mode's own note of it; it keeps no other

    def _watch(self) -> None:
        while not (self._worker.crashed or self._told_to_stop):
            time.sleep(_LOOK_SECONDS)
        self._ran = time.monotonic() - self._begun
        limit = self._stopped_seconds if self._told_to_stop else self._crashed_seconds
        time.sleep(limit)
        _tell(f"quetma: the worker has not ended in order within {limit:g} s; what it had under way is read again")
        self.start_anew_after_a_crash()
        os._exit(ExitCode.UNREACHABLE)


def _tell(what: str) -> None:
    """Say it, if anybody listens; the end must not depend on that."""
    with contextlib.suppress(OSError, ValueError):
        say(what)
        sys.stdout.flush()
