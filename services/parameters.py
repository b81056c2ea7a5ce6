"""The page of parameters, written from the schema of scenarios and the figures that come with Quetma.

In: `schemas.scenario`, vietnam.toml and the provinces. Out: Markdown; a test holds docs/parameters.md equal.
Renew it with ``python -m services.parameters > docs/parameters.md``.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import typer

from producers.scenario_files import base_values, scenario_names
from schemas.scenario import Scenario
from schemas.scenario.merging import Leaf, Tree
from services.toml_text import inline, lines

HEAD = """# Parameters

Every key of a [scenario](scenarios.md): unit, range, the figure in `vietnam.toml`, which every scenario that extends it
takes unless it says otherwise ("—": none, each has its own), its source, and what it means. A figure is a table
`{ value = …, source = "…" }`, with a free `note` if there is one; keys in *italics* are plain values.

Written from the schema by `python -m services.parameters`; a test holds it to it.
"""
BASE = "vietnam"
LONG = 12
"""Lists longer than that are counted, not shown."""
Schema = Mapping[str, Any]


def render() -> str:
    """Return the page."""
    return "\n".join(_Page().parts())


class _Page:
    def __init__(self) -> None:
        self.schema: Schema = Scenario.model_json_schema()
        self.base = base_values(BASE)

    def parts(self) -> Iterator[str]:
        yield HEAD
        properties = {name: self.full(field) for name, field in self.schema["properties"].items()}
        plain = {name: field for name, field in properties.items() if not _sections(field)}
        yield "## The scenario\n"
        yield from self.table(self.rows("", plain, self.base))
        for name, field in properties.items():
            if name == "intervention":
                yield from self.interventions(field["items"])
            elif name not in plain:
                yield from self.section(name, field)

    def section(self, name: str, field: Schema) -> Iterator[str]:
        """One table for a table of the scenario, those in it and all."""
        array = field.get("type") == "array"
        yield f"## {f'[[{name}]]' if array else f'[{name}]'}\n"
        table = self.full(field["items"] if array else field)
        if "description" in table:
            yield f"{table['description']}\n"
        if "properties" in table:
            yield from self.table(self.rows(name, table["properties"], self.base.get(name, {})))
        else:
            yield from self.table(self.profiles(name, table))

    def profiles(self, name: str, table: Schema) -> Iterator[tuple[str, ...]]:
        """A table whose keys are free: one row for each that the base has."""
        profiles = self.base[name]
        assert isinstance(profiles, dict)
        for key, leaf in profiles.items():
            yield self.row(f"{name}.{key}", self.full(table["additionalProperties"]), leaf)

    def interventions(self, union: Schema) -> Iterator[str]:
        """One table for each kind, with a row from a scenario that comes with Quetma."""
        yield "## [[intervention]]\n"
        yield "Every kind is a row of its own form. Dates are local; `start` is in, `end` is not.\n"
        for kind, reference in union["discriminator"]["mapping"].items():
            model = self.full({"$ref": reference})
            yield f"### {kind}\n"
            yield f"{model['description']}\n"
            named = {name: field for name, field in model["properties"].items() if name != "kind"}
            yield from self.table((row[0], row[1], row[2], row[-1]) for row in self.rows("", named, {}))
            yield from self.example(kind)

    def example(self, kind: str) -> Iterator[str]:
        for name in (BASE, *scenario_names()):
            rows = base_values(name).get("intervention", [])
            for row in rows if isinstance(rows, list) else []:
                assert isinstance(row, dict)
                if row["kind"] == Leaf(kind, f"{name}.toml"):
                    yield f"From `{name}.toml`:\n\n```toml"
                    yield from [*lines(row, "intervention", "[[intervention]]", with_files=False)][1:]
                    yield "```\n"
                    return

    def rows(self, path: str, properties: Schema, values: Tree) -> Iterator[tuple[str, ...]]:
        """Yield one row for each figure, those of inner tables after the table's own."""
        inner: list[tuple[str, Schema, Tree]] = []
        for name, field in properties.items():
            key, part = f"{path}.{name}" if path else name, self.full(field)
            value = values.get(name, {}) if isinstance(values, dict) else {}
            if "properties" in part and not _is_figure(part):
                inner.append((key, part["properties"], value))
            elif "properties" in (items := self.full(part.get("items", {}))):
                yield self.row(key, part, value)
                inner.append((f"{key}[]", items["properties"], {}))
            else:
                yield self.row(key, part, value)
        for key, table, value in inner:
            yield from self.rows(key, table, value)

    def row(self, key: str, field: Schema, value: Tree) -> tuple[str, ...]:
        """Return the cells of one figure or plain value."""
        figure = _is_figure(field)
        number = self.full(field["properties"]["value"]) if figure else field
        shown, source = _default(value)
        name = f"`{key}`" if figure else f"*`{key}`*"
        if "default" in field and not isinstance(value, Leaf):
            shown = f"`{inline(field['default'])}`" if field["default"] is not None else "none"
        return name, self.unit(number), self.limits(number), shown, source, field.get("description", "")

    def unit(self, number: Schema) -> str:
        """Return the unit of a number, of the numbers of a list, or what is no number."""
        for inner in (number.get("items"), number.get("additionalProperties")):
            if inner:
                length = f"{number['minItems']} × " if number.get("minItems") == number.get("maxItems", 0) else ""
                return f"{length}{self.unit(self.full(inner))}"
        if number.get("type") == "string":
            return str(number.get("format", "text")).replace("-", " and ")
        return str(
            number.get("unit") or ("" if number.get("type") in ("number", "integer", "object") else number["type"])
        )

    def limits(self, number: Schema) -> str:
        """Return the range of a number, or the words that are allowed."""
        for inner in (number.get("items"), number.get("additionalProperties")):
            if inner:
                return self.limits(self.full(inner))
        if "enum" in number:
            return ", ".join(f"`{word}`" for word in number["enum"])
        names = (("exclusiveMinimum", ">"), ("minimum", "≥"), ("exclusiveMaximum", "<"), ("maximum", "≤"))
        return ", ".join(f"{sign} {_grouped(number[name])}" for name, sign in names if _strictest(number, name))

    def full(self, field: Schema) -> Schema:
        """Return a field with what it refers to; one that may be none, as what it else is."""
        if "anyOf" in field:
            (kind,) = (one for one in field["anyOf"] if one.get("type") != "null")
            return {**self.full(kind), **{key: value for key, value in field.items() if key != "anyOf"}}
        if "$ref" not in field:
            return field
        target = self.schema["$defs"][field["$ref"].rsplit("/", 1)[-1]]
        return {**target, **field}

    def table(self, rows: Iterable[tuple[str, ...]]) -> Iterator[str]:
        listed = [tuple(" ".join(cell.split()).replace("``", "`").replace("|", "\\|") for cell in row) for row in rows]
        columns = ["key", "unit", "range", "default", "source", "meaning"]
        header = columns if len(listed[0]) == len(columns) else ["key", "unit", "range", "meaning"]
        yield f"| {' | '.join(header)} |"
        yield f"|{'---|' * len(header)}"
        yield from (f"| {' | '.join(row)} |" for row in listed)
        yield ""


def _sections(field: Schema) -> bool:
    """Tell whether a top-level field is a table or an array of tables."""
    return not _is_figure(field) and field.get("type") in ("object", "array")


def _is_figure(field: Schema) -> bool:
    return {"value", "source"} <= set(field.get("properties", ()))


def _strictest(number: Schema, name: str) -> bool:
    """Tell whether a limit counts: not beside a stricter one of the same side."""
    other = f"exclusive{name.title()}"
    return name in number and number.get(other) != number[name]


def _grouped(number: float) -> str:
    return f"{number:,}".replace(",", " ")


def _default(value: Tree) -> tuple[str, str]:
    """Return a base's value and its source as cells."""
    if not isinstance(value, Leaf):
        return "—", ""
    if not isinstance(value.value, dict) or "value" not in value.value:
        rows = value.value if isinstance(value.value, list) else []
        return (f"{len(rows)} rows", "each row its own") if rows else (f"`{inline(value.value)}`", "")
    figure, note = value.value["value"], value.value.get("note", "")
    shown = f"{len(figure)} numbers" if isinstance(figure, list) and len(figure) > LONG else f"`{inline(figure)}`"
    return shown, f"{value.value['source']}{f' ({note})' if note else ''}"


if __name__ == "__main__":
    typer.echo(render(), nl=False)
