"""`quetma schema`: JSON Schemas that say what the models say, and the files in docs/ that are a copy of them."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from jsonschema import Draft7Validator, Draft202012Validator
from typer.testing import CliRunner

from schemas.contracts import keys_of, values_of
from schemas.errors import BadInputError
from schemas.events import Account, Adoption, Checkpoint, LedgerEntry, Payment, QrCode, RunFaults, RunStarted, Truth
from schemas.settings import KafkaSettings
from schemas.topics import ACCOUNTS, ADOPTION_COMMUNE, LEDGER, PAYMENTS, QR_CODES, STATE_CHANGELOG, TOPICS, TRUTH
from services.asyncapi import asyncapi_document
from services.cli import build_app
from services.json_schemas import document_of, header_models, key_schema, models_named, value_models
from services.schema_commands import text_of
from tests.unit.test_events import REQUIRED, RIGHT, VALID, WRONG, by_model, with_raw, without

if TYPE_CHECKING:
    from collections.abc import Iterator

MODELS = [*value_models(), *header_models()]
TOPIC = {topic.name: topic for topic in TOPICS}


def objects(node: Any) -> Iterator[dict[str, Any]]:
    """Every JSON object in a document."""
    if isinstance(node, dict):
        yield node
    for child in node.values() if isinstance(node, dict) else node if isinstance(node, list) else ():
        yield from objects(child)


def quetma_schema(*arguments: str) -> str:
    done = CliRunner().invoke(build_app(["schema", "topics"]), ["schema", *arguments], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return done.stdout


# -- documents -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.__name__)
def test_a_schema_is_one_of_2020_12_and_closed(model):
    document = json.loads(quetma_schema(model.__name__))
    assert document["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert document["title"] == model.__name__
    assert document["description"]
    Draft202012Validator.check_schema(document)
    listed = [one for one in objects(document) if one.get("type") == "object"]
    assert listed
    assert all(one["additionalProperties"] is False or "propertyNames" in one for one in listed)


def test_every_field_and_its_docstring_is_there():
    properties = document_of([Payment])["properties"]
    assert list(properties) == list(Payment.model_fields)
    assert properties["source"]["description"].startswith("The till that emits it")
    assert properties["amount_vnd"]["maximum"] == 10_000_000_000


def test_without_a_name_it_is_the_schema_of_any_value():
    document = json.loads(quetma_schema())
    Draft202012Validator.check_schema(document)
    assert [one["$ref"] for one in document["anyOf"]] == [f"#/$defs/{model.__name__}" for model in value_models()]
    validator = Draft202012Validator(document)
    assert validator.is_valid(VALID)
    assert not validator.is_valid(VALID | {"extra": 1})


def test_a_topic_stands_for_its_models():
    document = json.loads(quetma_schema(LEDGER))
    assert [one["$ref"].rpartition("/")[2] for one in document["anyOf"]] == [
        "RunStarted",
        "LedgerEntry",
        "RunFaults",
        "Checkpoint",
    ]
    assert models_named([PAYMENTS, "Payment", "Truth"]) == [Payment, Truth]


@pytest.mark.parametrize("name", ["payment", "quetma.nothing", STATE_CHANGELOG])
def test_an_unknown_name_is_refused_with_those_there_are(name):
    with pytest.raises(BadInputError, match=rf"{re.escape(name)}.*there are Payment, Cell"):
        quetma_schema("Payment", name)


def test_names_and_the_whole_system_do_not_go_together():
    with pytest.raises(BadInputError, match="--asyncapi with Payment"):
        quetma_schema("Payment", "--asyncapi")


# -- one verdict ---------------------------------------------------------------------------------------------

PRINTED = document_of([Payment])
WITHIN = {"$ref": "#/components/schemas/Payment", **asyncapi_document(KafkaSettings())}
VALIDATORS = {"2020-12": Draft202012Validator(PRINTED), "AsyncAPI": Draft7Validator(WITHIN)}
BEYOND_JSON_SCHEMA = {"1.0", "1e3", '"\\ud800"'}
"""Whole numbers with a fraction or an exponent, and halves of characters: JSON Schema cannot tell them."""


def refuses(validator: Any, text: bytes) -> bool:
    try:
        return not validator.is_valid(json.loads(text))
    except ValueError:
        return True


@pytest.mark.parametrize("validator", VALIDATORS.values(), ids=VALIDATORS)
@pytest.mark.parametrize(("field", "raw"), [one for one in WRONG if one[1] not in BEYOND_JSON_SCHEMA])
def test_what_the_models_refuse_the_schema_refuses(validator, field, raw):
    text = with_raw(field, raw)
    assert by_model(text) is None
    assert refuses(validator, text)


@pytest.mark.parametrize("raw", sorted(BEYOND_JSON_SCHEMA))
def test_what_json_schema_cannot_tell_is_no_more_than_listed(raw):
    validator = VALIDATORS["2020-12"]
    assert [name for name, wrong in WRONG if wrong == raw and not refuses(validator, with_raw(name, raw))]


@pytest.mark.parametrize("validator", VALIDATORS.values(), ids=VALIDATORS)
@pytest.mark.parametrize("field", REQUIRED)
def test_without_a_field_it_refuses(validator, field):
    assert refuses(validator, without(field))


@pytest.mark.parametrize("validator", VALIDATORS.values(), ids=VALIDATORS)
@pytest.mark.parametrize(("field", "raw"), RIGHT)
def test_what_the_models_take_the_schema_takes(validator, field, raw):
    assert not refuses(validator, with_raw(field, raw))


# -- keys ----------------------------------------------------------------------------------------------------

KEYS = [
    (PAYMENTS, Payment, ["u-minh-thuong"], ["", "r|u-minh-thuong"]),
    (QR_CODES, QrCode, ["r|cong-su/0042", "r|E017-2025110000123"], ["r", "r|x|y"]),
    (TRUTH, Truth, ["r|0123456789ab-7|fraud"], ["r|0123456789ab-7", "r|0123456789ab-7|theft"]),
    (LEDGER, RunStarted, ["r"], ["", "r|cong-su"]),
    (LEDGER, LedgerEntry, ["r|cong-su|2025-11-17"], ["r|cong-su", "r|Cong-Su|2025-11-17", "r|cong-su|17.11.2025"]),
    (LEDGER, RunFaults, ["r|faults|cong-su"], ["r|fault|cong-su"]),
    (LEDGER, Checkpoint, ["r|checkpoint|3/10"], ["r|checkpoint|3"]),
    (ADOPTION_COMMUNE, Adoption, ["r|an-minh|total", "r|an-minh|day|1763312400000"], ["r|an-minh|day|", "r|an-minh"]),
    (STATE_CHANGELOG, None, ["3|claim", "3|17|", "3|17|r|cong-su"], ["3|17", "3|x|r|cong-su", "3|17|r"]),
]


@pytest.mark.parametrize(("topic", "model", "right", "wrong"), KEYS)
def test_keys_are_made_of_the_fields_that_the_table_names(topic, model, right, wrong):
    validator = Draft202012Validator(key_schema(TOPIC[topic], model))
    assert [key for key in right if not validator.is_valid(key)] == []
    assert [key for key in wrong if validator.is_valid(key)] == []


def test_each_schema_of_a_topic_has_its_key():
    for topic in TOPICS:
        keys = [key for model in values_of(topic) for key in keys_of(topic, model)]
        assert not values_of(topic) or " or ".join(keys) == topic.key
    assert keys_of(TOPIC[ACCOUNTS], Account) == ["run|source"]


# -- files ---------------------------------------------------------------------------------------------------


def test_the_copies_in_docs_are_what_the_command_writes(tmp_path, monkeypatch):
    """Renew them with ``quetma schema --out docs``."""
    monkeypatch.delenv("QUETMA_KAFKA__BOOTSTRAP_SERVERS", raising=False)
    written = quetma_schema("--out", str(tmp_path)).split()
    names = {str(Path(path).relative_to(tmp_path)) for path in written}
    docs = Path("docs")
    assert names == {"asyncapi.json"} | {str(path.relative_to(docs)) for path in docs.glob("schemas/*")}
    assert [name for name in names if (tmp_path / name).read_text() != (docs / name).read_text()] == []


def test_what_is_named_is_written_and_nothing_else(tmp_path):
    quetma_schema("Payment", "--out", str(tmp_path / "new"))
    (path,) = [path for path in (tmp_path / "new").rglob("*") if path.is_file()]
    assert path.relative_to(tmp_path) == Path("new/schemas/Payment.json")
    assert path.read_text() == text_of(PRINTED)


def test_a_folder_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(BadInputError, match=r"file.*give a folder that can be written"):
        quetma_schema("--out", str(tmp_path / "file"))
