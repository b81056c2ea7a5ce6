"""`python -m tests.chaos`: the long runs, on either broker.

In: the broker's kind, how many faults, a seed. Out: as of `quetma chaos`; exit code 1 if it is not exact.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from services.chaos.faults import Kind
from services.chaos_commands import course_of, lines_of, run_chaos
from services.output import print_json, say
from services.processes import set_up_logging
from tests.chaos.settings import setting_of
from tests.system import BROKERS


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__)
    parser.add_argument("scenario", nargs="?", default="an-giang")
    parser.add_argument("--broker", choices=BROKERS, default="kafka")
    parser.add_argument("--faults", type=int, default=100)
    parser.add_argument("--for", dest="for_", metavar="TIME", help="faults begin within this time")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--rate", type=float, help="payments a second of each producer; full speed if left out")
    parser.add_argument("--without", type=Kind, action="append", default=[], help="a kind of fault to leave out")
    parser.add_argument("--keep", type=Path, help="keep the logs of all processes there")
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    set_up_logging(quiet=True)
    course = course_of(
        given.scenario, for_=given.for_, faults=given.faults, seed=given.seed, rate=given.rate, without=given.without
    )
    report = run_chaos(course, setting_of(given.broker), keep=given.keep, tell=say)
    print_json(report) if given.json else say("\n".join(lines_of(report)))
    return 0 if report["exact"] else 1


if __name__ == "__main__":
    sys.exit(main())
