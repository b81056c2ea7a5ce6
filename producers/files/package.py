"""What a folder says of itself: the manifest, and a descriptor by the Data Package standard, version 2.

In: what was written. Out: two documents, `manifest.json` and `datapackage.json`, without any time of the clock: the
same command gives the same bytes. The standard: https://datapackage.org/standard/data-package/
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Sequence
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import Any

from producers.files.folder import StoredFile
from producers.files.formats import MEDIA_TYPES, Format
from producers.files.order import Order
from schemas.tables import TABLES, WIRE_COLUMNS, Column, Table

MANIFEST_VERSION = 1
_PROFILE = "https://datapackage.org/profiles/2.0/datapackage.json"
_ROOT = Path(__file__).parents[2]

Document = dict[str, Any]


def as_json(document: Document) -> bytes:
    """Return a document as people read it."""
    return (json.dumps(document, ensure_ascii=False, indent=2) + "\n").encode()


def provenance(order: Order) -> Document:
    """Return what made a run: with it, anybody gets the same bytes again."""
    return {
        "run": order.run,
        "scenario": order.world.scenario.name,
        "scenario_hash": order.scenario_hash,
        "seed": order.seed,
        "interventions": json.loads(order.ordered_text),
        "days": order.days,
        "shard": "{}/{}".format(*order.shard),
        "adoption_only": order.adoption_only,
        "format": order.format,
        "quetma_version": version("quetma"),
        "commit": _commit(),
    }


def manifest(order: Order, counts: Document, files: Sequence[StoredFile]) -> Document:
    """Return the manifest: what made the run, what came of it, and each file with its SHA-256."""
    scenario = order.world.scenario
    return {
        "manifest_version": MANIFEST_VERSION,
        **provenance(order),
        "title": scenario.title,
        "province": scenario.province.id,
        "start": scenario.start.isoformat(),
        "counts": counts,
        "files": [asdict(file) for file in sorted(files, key=lambda file: file.path)],
    }


def descriptor(order: Order, files: Sequence[StoredFile]) -> Document:
    """Return the Data Package descriptor; ``unit`` of a field is a property of our own."""
    scenario = order.world.scenario
    return {
        "$schema": _PROFILE,
        "name": order.run.lower(),
        "id": ":".join(["quetma", order.scenario_hash, str(order.seed), order.run, *order.ordered_hash]),
        "title": f"{scenario.title}: {order.days} simulated days",
        "description": "Simulated by Quetma: no payment, person or account in it is real.",
        "quetma": provenance(order),
        "resources": [_resource(table, order, paths) for table in TABLES if (paths := _paths(table, files))],
    }


def _paths(table: Table, files: Sequence[StoredFile]) -> list[str]:
    return sorted(file.path for file in files if file.table == table.name)


def _resource(table: Table, order: Order, paths: list[str]) -> Document:
    columns = (*WIRE_COLUMNS, *table.columns) if table.record and order.format == "jsonl" else table.columns
    deterministic = order.world.scenario.adoption.deterministic
    return {
        "name": table.name,
        "type": "table",
        "description": table.meaning,
        "path": paths[0] if table.parts == "once" else paths,
        **_format(order.format),
        "schema": {
            "fields": [_field(column, deterministic=deterministic) for column in columns],
            "primaryKey": list(table.key),
        },
    }


def _format(format_: Format) -> Document:
    described: Document = {"format": format_, "mediatype": MEDIA_TYPES[format_]}
    if format_ != "parquet":
        described["encoding"] = "utf-8"
    if format_ == "csv":
        described["dialect"] = {"delimiter": ",", "lineTerminator": "\n", "quoteChar": '"', "doubleQuote": True}
    if format_ == "jsonl":
        described["dialect"] = {"itemType": "object"}
    return described


def _field(column: Column, *, deterministic: bool) -> Document:
    kind = column.type
    if kind == "count":
        kind = "number" if deterministic else "integer"
    described: Document = {"name": column.name, "type": kind, "description": column.meaning}
    if column.unit:
        described["unit"] = column.unit
    constraints: Document = {}
    if not column.optional:
        constraints["required"] = True
    if column.values:
        constraints["enum"] = list(column.values)
    return {**described, "constraints": constraints} if constraints else described


def _commit() -> str | None:
    """Return the commit of the checkout, with ``-dirty`` if files differ from it; None where there is no checkout."""
    if not (_ROOT / ".git").exists():
        return None
    command = ["git", "-C", str(_ROOT), "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"]
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()  # noqa: S603  # git, by arguments of our own
    except (OSError, subprocess.CalledProcessError):
        return None
