"""The judgement after the faults: are the books exact?

In: the verdict of `quetma verify`, how many records the payments topic holds, what the exporter shows. Out: what is
wrong, in words; nothing if all agrees. Pure but for `verified`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from schemas.errors import CheckFailedError, ExitCode
from services.supervisor import Child

VERIFY_SECONDS = 300.0


@dataclass(frozen=True)
class Evidence:
    """What is held against each other."""

    verdict: Mapping[str, Any]
    """As `quetma verify --json` prints it."""
    exit_code: int
    """Of `quetma verify`."""
    on_topic: int
    """Records of the run on the payments topic."""
    exported: int | None = None
    """Payments on the exporter's /metrics; None where other runs are among them."""


def records_of(evidence: Evidence) -> dict[str, int]:
    """Return what became of the records on the topic: each must be one of these."""
    verdict = evidence.verdict
    return {
        "payments": verdict["payments"]["aggregates"],
        "duplicates": verdict["duplicates"],
        "dead_letters": _found(verdict, "malformed"),
    }


def objections(evidence: Evidence) -> list[str]:
    """Return what is not exact.

    `verify` compares ledger and aggregates by cell, day, method, count and VND, and finds faults that are missing.
    Beyond that, each record on the topic must be a payment counted once, a repeat dropped, or a dead letter: with that
    no repeat and no spoiled record is unaccounted for, those that Kafka wrote twice by itself included.
    """
    verdict, found = evidence.verdict, []
    if not verdict["exact"] or evidence.exit_code != ExitCode.DONE:
        found.append(
            f"verify found {len(verdict['mismatches'])} differences between ledger and aggregates, "
            f"exit code {evidence.exit_code}"
        )
    for what in ("payments", "amount_vnd", "reversed_vnd"):
        ledger, aggregates = verdict[what]["ledger"], verdict[what]["aggregates"]
        if ledger != aggregates:
            found.append(f"{what}: ledger {ledger:,}, aggregates {aggregates:,}")
    if not verdict["payments"]["ledger"]:
        found.append("there was not one payment")
    for kind in ("duplicates", "malformed"):
        sides = verdict["faults"].get(kind, {"ledger": 0, "stream": 0})
        if sides["stream"] < sides["ledger"]:
            found.append(f"{kind}: {sides['ledger']:,} put in, {sides['stream']:,} found")
    accounted = sum(records_of(evidence).values())
    if accounted != evidence.on_topic:
        found.append(f"records: {evidence.on_topic:,} on the topic, {accounted:,} accounted for")
    if evidence.exported not in {None, verdict["payments"]["aggregates"]}:
        found.append(f"exporter: {evidence.exported:,} payments, aggregates {verdict['payments']['aggregates']:,}")
    return found


def _found(verdict: Mapping[str, Any], kind: str) -> int:
    count: int = verdict["faults"].get(kind, {}).get("stream", 0)
    return count


async def verified(servers: str, run: str, folder: Path, wait_seconds: float) -> tuple[dict[str, Any], int]:
    """Run `quetma verify` to its end; return what it printed and its exit code.

    Args:
        servers: the broker.
        run: name of the run.
        folder: for its output.
        wait_seconds: how long nothing may move before the verdict is final.

    Raises:
        CheckFailedError: if it came to no verdict.
    """
    arguments = ["verify", "--run", run, "--wait", f"{wait_seconds:g}s", "--json"]
    child = Child("verify", arguments, {"QUETMA_KAFKA__BOOTSTRAP_SERVERS": servers}, folder)
    try:
        code = await child.stopped(VERIFY_SECONDS)
    finally:
        child.kill()
    lines = child.output().splitlines()
    if not lines:
        raise CheckFailedError("chaos", f"verify came to no verdict, exit code {code}", child.log_end())
    verdict: dict[str, Any] = json.loads(lines[-1])
    return verdict, code
