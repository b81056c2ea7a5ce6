"""Days side by side: several processes, each with every n-th day, in a ring that hands the counts on.

In: an `Order`. Out: `DayDone`s in order of days, the same whatever the number of processes.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Generator, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from pathlib import Path

from producers.files.order import DayDone, OneHand, Order, write_days
from producers.files.worker import Failure
from schemas.errors import BadInputError, QuetmaError

STOP_SECONDS = 5.0


@dataclass(frozen=True)
class _Worker:
    process: subprocess.Popen[bytes]
    report: Connection


def days_done(order: Order, folder: Path, jobs: int) -> Generator[DayDone, None, None]:
    """Write the days of an order and yield them one after the other.

    Raises:
        QuetmaError: if a file cannot be written, or a process ends before its time.
    """
    jobs = min(jobs, order.days)
    if jobs == 1:
        yield from write_days(order, folder, (0, 1), OneHand())
        return
    with _crew(order, folder, jobs) as workers:
        for number in range(order.days):
            yield _next(workers[number % jobs], workers)


@contextmanager
def _crew(order: Order, folder: Path, jobs: int) -> Iterator[list[_Worker]]:
    with ExitStack() as stack:
        ring = [Pipe(duplex=False) for _ in range(jobs)]  # the i-th leads to the i-th worker
        workers: list[_Worker] = []
        stack.callback(_end, workers)
        with ExitStack() as ours:
            for end in (end for ends in ring for end in ends):
                ours.callback(end.close)  # a worker learns from the closing end that its neighbour is gone
            for index, (take, _) in enumerate(ring):
                workers.append(_start(take, ring[(index + 1) % jobs][1]))
        for index, worker in enumerate(workers):
            worker.report.send((order, folder, (index, jobs)))
        yield workers


def _start(take: Connection, give: Connection) -> _Worker:
    report, theirs = Pipe()
    numbers = [end.fileno() for end in (theirs, take, give)]
    process = subprocess.Popen(  # noqa: S603 - our own module, without a shell
        [sys.executable, "-m", "producers.files.worker", *map(str, numbers)],
        pass_fds=numbers,
        stdin=subprocess.DEVNULL,
        env={**os.environ, "POLARS_MAX_THREADS": "1"},  # there are as many processes as the user wants
        start_new_session=True,  # Ctrl-C is for the parent, which ends its workers
    )
    theirs.close()
    return _Worker(process, report)


def _next(worker: _Worker, workers: list[_Worker]) -> DayDone:
    try:
        message = worker.report.recv()
    except (EOFError, ConnectionResetError):
        raise _reason(workers) from None
    if isinstance(message, Failure):
        raise BadInputError(message.stage, message.found, message.fix)
    assert isinstance(message, DayDone)
    return message


def _reason(workers: list[_Worker]) -> QuetmaError:
    """Return why a worker's report has ended: what one of them has said, or that one was killed."""
    for worker in workers:
        with suppress(EOFError, OSError):
            while worker.report.poll():
                message = worker.report.recv()
                if isinstance(message, Failure):
                    return BadInputError(message.stage, message.found, message.fix)
    codes = []
    for worker in workers:
        with suppress(subprocess.TimeoutExpired):
            codes.append(worker.process.wait(STOP_SECONDS))
    killed = [code for code in codes if code < 0]
    found = f"a process was killed by signal {-killed[0]}" if killed else "a process ended before its time"
    return QuetmaError("simulate", found, "is there enough memory? Nothing is left behind; try fewer --jobs")


def _end(workers: list[_Worker]) -> None:
    for worker in workers:
        worker.report.close()
        if worker.process.poll() is None:
            worker.process.terminate()
    for worker in workers:
        try:
            worker.process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            worker.process.kill()
            worker.process.wait()
