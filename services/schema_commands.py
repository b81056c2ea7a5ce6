"""`quetma schema`: the contracts of the topics, for other systems and for people.

In: names of models or topics. Out: JSON Schema, or an AsyncAPI document, on stdout or as files.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import typer

from schemas.errors import BadInputError
from services.asyncapi import asyncapi_document
from services.json_schemas import Json, document_of, header_models, models_named, printed_models, value_models
from services.options import settings_for


def schema(
    names: Annotated[
        list[str] | None, typer.Argument(metavar="NAME", help="Models or topics; every value's if left out.")
    ] = None,
    *,
    asyncapi: Annotated[bool, typer.Option("--asyncapi", help="An AsyncAPI 3.0 document of the whole system.")] = False,
    out: Annotated[
        Path | None,
        typer.Option("--out", metavar="DIR", help="Write DIR/schemas/MODEL.json and DIR/asyncapi.json instead."),
    ] = None,
) -> None:
    """Print the JSON Schema of what is on the topics, or the AsyncAPI document of the system."""
    if asyncapi and names:
        raise BadInputError("arguments", f"--asyncapi with {' '.join(names)}", "leave one of them out")
    if out is not None:
        _write(out, _files(names, asyncapi=asyncapi))
    elif asyncapi:
        typer.echo(text_of(_asyncapi()), nl=False)
    else:
        typer.echo(text_of(document_of(models_named(names) if names else value_models())), nl=False)


def text_of(document: Json) -> str:
    """Return a document as it is printed and written."""
    return json.dumps(document, ensure_ascii=False, indent=2) + "\n"


def _files(names: list[str] | None, *, asyncapi: bool) -> dict[str, Json]:
    """Return what is to be written, by place: what is named, or the AsyncAPI document, or everything."""
    models = models_named(names) if names else [*value_models(), *header_models(), *printed_models()]
    schemas = {} if asyncapi else {f"schemas/{model.__name__}.json": document_of([model]) for model in models}
    return schemas if names else {**schemas, "asyncapi.json": _asyncapi()}


def _asyncapi() -> Json:
    return asyncapi_document(settings_for(None, need_broker=False).kafka)


def _write(folder: Path, files: Mapping[str, Json]) -> None:
    for name, document in files.items():
        path = folder / name
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text_of(document), encoding="utf-8")
        except OSError as error:
            found = f"--out {folder}: {path}: {error.strerror}"
            raise BadInputError("arguments", found, "give a folder that can be written") from None
        typer.echo(path)
