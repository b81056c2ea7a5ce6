"""JSON Schemas (2020-12) of what travels on the topics, from the pydantic models of `schemas.contracts`, and of the
documents that commands print for machines.

In: models, topics, or their names. Out: JSON Schema documents, each complete in itself; the schema of a topic's keys.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Any, Final

from pydantic import BaseModel
from pydantic.json_schema import GenerateJsonSchema, models_json_schema

from schemas.contracts import Model, headers_of, keys_of, values_of
from schemas.errors import BadInputError
from schemas.load_report import LoadReport
from schemas.topics import KEY_OR, TOPICS, Topic

Json = dict[str, Any]
DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"
HERE: Final = "#/$defs/{model}"
"""Where a document of its own has its definitions."""
SEPARATOR: Final = "|"


class _Plain(GenerateJsonSchema):
    """Without titles of fields, which only say their names again, and discriminators, which only OpenAPI knows."""

    def field_title_should_be_set(self, schema: Any) -> bool:
        return False

    def tagged_union_schema(self, schema: Any) -> Json:
        union: Json = super().tagged_union_schema(schema)
        return {keyword: value for keyword, value in union.items() if keyword != "discriminator"}


def value_models() -> list[Model]:
    """Return the models of the records' values, in the order of the topics."""
    return _once(model for topic in TOPICS for model in values_of(topic))


def header_models() -> list[Model]:
    """Return the models of the records' headers."""
    return _once(model for topic in TOPICS for model in headers_of(topic))


def printed_models() -> list[Model]:
    """Return the models of what commands print as one document."""
    return [LoadReport]


def definitions(models: Iterable[Model], ref_template: str = HERE) -> Json:
    """Return the schemas of models and of what they are made of, by name."""
    listed: list[tuple[type[BaseModel], Any]] = [(model, "validation") for model in models]
    _, document = models_json_schema(listed, ref_template=ref_template, schema_generator=_Plain)
    schemas: Json = document["$defs"]
    return schemas


def document_of(models: Sequence[Model]) -> Json:
    """Return the schema of a record that is of one of the models."""
    if len(models) == 1:
        schema = models[0].model_json_schema(schema_generator=_Plain)
        return {"$schema": DIALECT, "title": schema.pop("title"), **schema}
    choices = [{"$ref": HERE.format(model=model.__name__)} for model in models]
    return {"$schema": DIALECT, "anyOf": choices, "$defs": definitions(models)}


def models_named(names: Iterable[str]) -> list[Model]:
    """Return the models of these names; a topic's name stands for the models of its values.

    Raises:
        BadInputError: for a name that is neither, or a topic whose values have no schema.
    """
    models = {model.__name__: [model] for model in [*value_models(), *header_models(), *printed_models()]}
    known = models | {topic.name: list(values_of(topic)) for topic in TOPICS if values_of(topic)}
    found = list[Model]()
    for name in names:
        if name not in known:
            raw = any(topic.name == name for topic in TOPICS)
            why = f"{name}: its values have no JSON Schema" if raw else f"no schema is called {name!r}"
            raise BadInputError("schema", why, f"there are {', '.join(known)}")
        found += known[name]
    return _once(found)


def key_schema(topic: Topic, model: Model | None = None) -> Json:
    """Return the schema of the keys of a topic's records, or of those whose values a model has."""
    keys = [topic.key] if model is None else keys_of(topic, model)
    pattern = topic.key_pattern
    if pattern is None and model is not None:
        pattern = f"^({'|'.join(_key_pattern(key, model) for key in keys)})$"
    return {"type": "string", "description": KEY_OR.join(keys)} | ({"pattern": pattern} if pattern else {})


def _key_pattern(key: str, model: Model) -> str:
    properties = document_of([model])["properties"]
    return re.escape(SEPARATOR).join(_part_pattern(part, properties) for part in key.split(SEPARATOR))


def _part_pattern(part: str, properties: Json) -> str:
    """Return what a part of a key looks like: the field of its name, or itself if it names none."""
    if part not in properties:
        words = "|".join(map(re.escape, part.split("/")))
        return f"({words})"
    field: Json = properties[part]
    field = field.get("anyOf", [field])[0]
    if "enum" in field:
        return f"({'|'.join(map(re.escape, field['enum']))})"
    if "pattern" in field:
        return f"({field['pattern'].removeprefix('^').removesuffix('$')})"
    return "[0-9]+" if field["type"] == "integer" else r"[^|]+"


def _once(models: Iterable[Model]) -> list[Model]:
    return list(dict.fromkeys(models))
