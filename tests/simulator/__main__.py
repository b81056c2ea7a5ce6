"""`python -m tests.simulator`: many schedules, and the shortest that fails, if one does.

In: how many, from which seed. Out: totals; with a failure, its seed, the minimised schedule, and how to replay it.
"""

from __future__ import annotations

import argparse
import gc
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from functools import partial

from tests.simulator.kinds import Totals
from tests.simulator.schedules import failure, minimised, read, run, schedule_of

BATCH = 5_000
REAL_EVERY = 100
"""One schedule in so many is run on the real partition, which is some ten times slower."""


def kind_of(seed: int, only: str | None) -> str:
    return only or ("real" if seed % REAL_EVERY == 0 else "model")


def run_batch(seeds: range, only: str | None) -> tuple[Totals, int | None]:
    """Run schedules; return what happened, and the seed that failed."""
    totals = Totals()
    gc.collect()
    gc.freeze()  # the logs stay, and need no looking at
    for seed in seeds:
        try:
            run(schedule_of(seed, kind_of(seed, only)), totals)
        except Exception:  # noqa: BLE001  # any end but a good one is what is looked for
            return totals, seed
    return totals, None


def say(text: str) -> None:
    sys.stdout.write(f"{text}\n")


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.simulator", description=__doc__)
    parser.add_argument("--schedules", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=0, help="of the first schedule; the others count on")
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--kind", choices=("model", "real"), help="instead of one real in a hundred")
    parser.add_argument("--replay", metavar="SCHEDULE", help="run a schedule that was printed")
    arguments = parser.parse_args()
    if arguments.replay:
        run(read(arguments.replay))
        say("no invariant is violated")
        return 0
    last = arguments.seed + arguments.schedules
    batches = [range(begin, min(begin + BATCH, last)) for begin in range(arguments.seed, last, BATCH)]
    totals, failed, begun = Totals(), None, time.monotonic()
    with ProcessPoolExecutor(arguments.jobs) as pool:
        for some, seed in pool.map(partial(run_batch, only=arguments.kind), batches):
            totals.add(some)
            if seed is not None:
                failed = seed
                pool.shutdown(cancel_futures=True)
                break
    seconds = time.monotonic() - begun
    say(", ".join(f"{name.replace('_', ' ')} {value:,}" for name, value in vars(totals).items()))
    say(f"{seconds:.0f} s, {totals.schedules / seconds:,.0f} schedules a second, seeds {arguments.seed} to {last - 1}")
    return 0 if failed is None else tell(failed, arguments.kind)


def tell(seed: int, only: str | None) -> int:
    """Print a failure."""
    schedule = schedule_of(seed, kind_of(seed, only))
    shortest = minimised(schedule)
    say(f"seed {seed}: {failure(schedule)}\nshortest: {failure(shortest)}\n  {shortest}")
    say(f"again: python -m tests.simulator --replay '{shortest}'")
    return 1


if __name__ == "__main__":
    sys.exit(main())
