"""One of several processes that make the days of a run side by side.

In: an `Order` from the parent, counts from the process of the day before. Out: files, a `DayDone` for each day, counts
for the process of the day after. Run as `python -m producers.files.worker REPORT TAKE GIVE`, numbers of open files.
It ends when the parent or a neighbour does: their ends of the pipes close.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection

import numpy as np

from producers.files.order import write_days
from producers.simulation.columns import IntArray
from schemas.errors import QuetmaError


@dataclass(frozen=True)
class Failure:
    """An error that a user can act on, on its way to the parent."""

    stage: str
    found: str
    fix: str


class PipeRelay:
    """The relay among processes in a ring.

    Giving does not wait: a process that waited for the next one to take would never work at the same time.
    """

    def __init__(self, take: Connection, give: Connection, *, begins: bool) -> None:
        self._take, self._give, self._begins = take, give, begins
        self._giving: threading.Thread | None = None

    def take(self) -> IntArray | None:
        """Return the counts from the process of the day before."""
        if self._begins:
            self._begins = False
            return None
        return np.frombuffer(self._take.recv_bytes(), dtype=np.int64)

    def give(self, counts: IntArray) -> None:
        """Send counts to the process of the day after."""
        self.finish()
        self._giving = threading.Thread(target=self._send, args=(counts.tobytes(),), daemon=True)
        self._giving.start()

    def finish(self) -> None:
        """Wait until what was given is taken."""
        if self._giving is not None:
            self._giving.join()

    def _send(self, counts: bytes) -> None:
        with suppress(BrokenPipeError):  # the neighbour is gone: the parent tells why
            self._give.send_bytes(counts)


def main(arguments: Sequence[str]) -> int:
    """Work off one order."""
    report, take, give = (Connection(int(number)) for number in arguments)
    try:
        order, folder, part = report.recv()
        relay = PipeRelay(take, give, begins=part[0] == 0)
        for done in write_days(order, folder, part, relay):
            report.send(done)
        relay.finish()
    except QuetmaError as error:
        report.send(Failure(error.stage, error.found, error.fix))
    except (EOFError, BrokenPipeError, ConnectionResetError):
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
