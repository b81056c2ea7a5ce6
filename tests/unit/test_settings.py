"""Settings: flag over environment over default, and every wrong variable at once."""

from __future__ import annotations

import os

import pytest
from pydantic import ValidationError

from schemas.errors import BadInputError, ExitCode
from schemas.settings import Settings, load_settings


@pytest.fixture(autouse=True)
def _no_variables_of_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.upper().startswith("QUETMA_")]:
        monkeypatch.delenv(name)


def test_defaults_need_no_environment():
    settings = load_settings()
    assert settings == Settings()
    assert settings.kafka.bootstrap_servers is None
    assert settings.producer.probe_every == 1000
    assert not settings.producer.headers


def test_the_environment_comes_before_the_default(monkeypatch):
    monkeypatch.setenv("QUETMA_KAFKA__PARTITIONS", "12")
    monkeypatch.setenv("QUETMA_PRODUCER__HEADERS", "true")
    monkeypatch.setenv("quetma_stream__emit_interval_seconds", "1.5")
    settings = load_settings()
    assert settings.kafka.partitions == 12
    assert settings.kafka.replication == 1
    assert settings.producer.headers is True
    assert settings.stream.emit_interval_seconds == 1.5


def test_a_flag_comes_before_the_environment_and_leaves_its_other_variables(monkeypatch):
    monkeypatch.setenv("QUETMA_KAFKA__BOOTSTRAP_SERVERS", "environment:9092")
    monkeypatch.setenv("QUETMA_KAFKA__PARTITIONS", "12")
    monkeypatch.setenv("QUETMA_KAFKA__REPLICATION", "3")
    monkeypatch.setenv("QUETMA_SERVE__PORT", "0")
    settings = load_settings(bootstrap_servers="flag:9092")
    assert settings.kafka.bootstrap_servers == "flag:9092"
    assert settings.kafka.partitions == 12
    assert settings.kafka.replication == 3
    assert settings.serve.port == 0


def test_every_wrong_variable_is_in_one_error(monkeypatch):
    wrong = {
        "QUETMA_KAFKA__PARTITIONS": "0",
        "QUETMA_KAFKA__BOOTSTRAP_SERVERS": "localhost",
        "QUETMA_KAFKA__TOPICS": "7",
        "QUETMA_PRODUCER__TICK_SECONDS": "fast",
        "QUETMA_STREAM__FETCH_RECORDS": "1.5",
        "QUETMA_SERVE__PORT": "65536",
    }
    for name, value in wrong.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("QUETMA_KAFKA__REPLICATION", "2")
    with pytest.raises(BadInputError) as caught:
        load_settings()
    message = str(caught.value)
    for name, value in wrong.items():
        assert f"{name}='{value}'" in message
    assert "REPLICATION" not in message
    assert "less than or equal to 65535" in message
    assert caught.value.exit_code == ExitCode.BAD_INPUT
    assert caught.value.stage == "settings"


@pytest.mark.parametrize("servers", ["a:9092", "a:1,b:65535", "a:1, b:2", "[::1]:9092", "127.0.0.1:9092"])
def test_servers_are_host_and_port(servers):
    assert load_settings(bootstrap_servers=servers).kafka.bootstrap_servers == servers


@pytest.mark.parametrize(
    "servers", ["a", ":9092", "a:", "a:0", "a:65536", "a:-1", "a:x", "a:1,", "a:1,b", " ", "a:1;b:2", "http://a:1"]
)
def test_other_servers_are_refused(servers):
    with pytest.raises(BadInputError, match="is not HOST:PORT"):
        load_settings(bootstrap_servers=servers)


def test_a_group_that_is_not_json_is_an_error_of_the_settings(monkeypatch):
    monkeypatch.setenv("QUETMA_KAFKA", '{"partitions": 9}')
    assert load_settings().kafka.partitions == 9
    monkeypatch.setenv("QUETMA_KAFKA", "localhost:9092")
    with pytest.raises(BadInputError, match="kafka"):
        load_settings()


@pytest.mark.parametrize("group", ["kafka", "producer", "stream", "serve"])
def test_settings_do_not_change(group):
    settings = load_settings()
    with pytest.raises(ValidationError, match="frozen"):
        setattr(settings, group, None)
    name = next(iter(type(getattr(settings, group)).model_fields))
    with pytest.raises(ValidationError, match="frozen"):
        setattr(getattr(settings, group), name, None)


@pytest.mark.parametrize("group", Settings.model_fields.values(), ids=Settings.model_fields)
def test_every_setting_says_what_it_is(group):
    fields = group.annotation.model_fields
    assert fields
    assert all(field.description for field in fields.values())


def test_an_empty_token_is_none_and_a_short_one_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("QUETMA_SERVE__TOKEN", "")
    assert load_settings().serve.token is None
    monkeypatch.setenv("QUETMA_SERVE__TOKEN", "short")
    with pytest.raises(BadInputError, match="QUETMA_SERVE__TOKEN"):
        load_settings()
    monkeypatch.setenv("QUETMA_SERVE__TOKEN", "long-enough-0123")
    token = load_settings().serve.token
    assert token is not None
    assert token.get_secret_value() == "long-enough-0123"
    assert "long-enough" not in repr(load_settings())


def test_a_wrong_token_is_not_printed(monkeypatch):
    monkeypatch.setenv("QUETMA_SERVE__TOKEN", "too-short")
    with pytest.raises(BadInputError) as refused:
        load_settings()
    assert "QUETMA_SERVE__TOKEN" in str(refused.value)
    assert "too-short" not in str(refused.value)
