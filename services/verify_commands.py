"""`quetma verify`: ledger against aggregates.

In: arguments. Out: a verdict; exit code 1 if it is not exact.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

import typer
import uvloop

from schemas.errors import ExitCode
from services.broker import check_reachable
from services.options import BrokerOption, JsonOption, settings_for
from services.output import print_json, seconds_of
from services.verify import Verdict
from services.verify import verify as verify_run

SHOWN = 20
"""Differences that people are shown; --json has them all."""


def verify(
    *,
    broker: BrokerOption = None,
    run: Annotated[str | None, typer.Option(help="Name of the run; the one that started last if left out.")] = None,
    wait: Annotated[str | None, typer.Option(metavar="TIME", help="Go on while aggregates still move.")] = None,
    json: JsonOption = False,
) -> None:
    """Compare what Kafka acknowledged with what the stream aggregated, cell by cell."""
    settings = settings_for(broker)
    servers = settings.kafka.bootstrap_servers
    assert servers is not None
    uvloop.run(check_reachable(servers, settings.kafka.connect_timeout_seconds))
    verdict = uvloop.run(verify_run(servers, run, wait_seconds=seconds_of(wait, "--wait") or 0.0))
    if json:
        print_json(verdict.document())
    else:
        typer.echo("\n".join(lines_of(verdict)))
    if not verdict.exact:
        raise typer.Exit(ExitCode.CHECK_FAILED)


def lines_of(verdict: Verdict) -> list[str]:
    """Return the verdict for people."""
    payments, amount = verdict.payments, verdict.amount_vnd
    lines = [
        f"run {verdict.run}: {verdict.cells} cells",
        f"payments     ledger {payments['ledger']:>18,}   aggregates {payments['aggregates']:>18,}",
        f"VND          ledger {amount['ledger']:>18,}   aggregates {amount['aggregates']:>18,}",
    ]
    lines += [f"{kind:<12} ledger {sides['ledger']:>18,}   {_found(sides)}" for kind, sides in verdict.faults.items()]
    if verdict.exact:
        return [*lines, "exact: ledger = stream, to the payment and the đồng"]
    shown = verdict.mismatches[:SHOWN]
    lines += [
        f"  {one['cell']}, {one['day']}, {one['method']}, {one['measure']}: "
        f"ledger {one['ledger']:,}, aggregates {one['aggregates']:,}"
        for one in shown
    ]
    return [*lines, f"NOT exact: {len(verdict.mismatches)} differences, {len(shown)} shown"]


def _found(sides: Mapping[str, int]) -> str:
    """Say what the stream found of a kind of fault that the producer put in; of some it cannot tell."""
    return f"stream {sides['stream']:>22,}" if "stream" in sides else "leaves no trace in the stream"
