"""One frozen Settings: flag over environment over default, built in the command line and passed in.

In: environment variables with the prefix ``QUETMA_`` (nested with ``__``). Out: `Settings`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict, SettingsError

from schemas.errors import BadInputError

MAX_PORT = 65_535
Port = Annotated[int, Field(ge=0, le=MAX_PORT)]
"""TCP port; 0 takes a free one."""
_SERVER = re.compile(r"(?:[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\]):(?P<port>[0-9]{1,5})").fullmatch


class _Group(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class KafkaSettings(_Group):
    """Where the broker is and how topics are made."""

    bootstrap_servers: str | None = Field(
        default=None, description="HOST:PORT[,HOST:PORT…]; unset: `demo` starts the embedded broker"
    )
    partitions: int = Field(default=4, ge=1, le=1024, description="partitions of each topic keyed by place")
    replication: int = Field(default=1, ge=1, le=7, description="replication factor of topics we create")
    connect_timeout_seconds: float = Field(default=5.0, gt=0, description="how long a broker may be silent")

    @field_validator("bootstrap_servers")
    @classmethod
    def _host_and_port(cls, value: str | None) -> str | None:
        for server in value.split(",") if value else ():
            found = _SERVER(server.strip())
            if found is None or not 0 < int(found["port"]) <= MAX_PORT:
                raise ValueError(f"{server!r} is not HOST:PORT")
        return value


class ProducerSettings(_Group):
    """How payments are paced and sent."""

    tick_seconds: float = Field(default=0.05, gt=0, le=5, description="wall time between two sends")
    block_events: int = Field(default=20_000, ge=1, description="payments encoded at once, at most")
    batch_bytes: int = Field(default=1 << 20, ge=1 << 10, description="largest record batch, uncompressed")
    headers: bool = Field(default=False, description="CloudEvents 1.0 headers on each payment")
    probe_every: int = Field(default=1000, ge=1, description="one record in so many carries `sent_at`")
    max_lag: int | None = Field(
        default=None, ge=1, description="hold production back while the stream is this far behind, in events"
    )
    metrics_port: Port = Field(default=9701, description="the producer's /metrics")


class StreamSettings(_Group):
    """How a stream worker reads, folds and writes."""

    allowed_lateness_seconds: int = Field(
        default=7200, ge=0, description="event time that a window stays open beyond its end"
    )
    emit_interval_seconds: float = Field(default=0.2, gt=0, description="time between emissions of a cell")
    catch_up_interval_seconds: float = Field(
        default=1.0, gt=0, description="the same while more than one chunk of a partition is waiting"
    )
    commit_interval_seconds: float = Field(default=0.5, gt=0, description="time between offset commits")
    fetch_records: int = Field(default=8000, ge=1, description="most records in one chunk of a partition")
    idle_seconds: float = Field(
        default=3600.0, ge=0, description="time without a payment after which a run's windows close; never if 0"
    )
    forget_seconds: float = Field(
        default=604_800.0, ge=0, description="time without a payment after which a run's state is given up; never if 0"
    )
    filter_days: int = Field(
        default=62, ge=1, description="simulated days that a till which emits nothing stays in the duplicates filter"
    )
    session_timeout_seconds: float = Field(default=6.0, gt=0, description="silence that ends a membership")
    instance: str | None = Field(
        default=None,
        min_length=1,
        max_length=200,
        description="the worker's own name in its group: restarted under it within the session, it has its partitions"
        " back at once; an orderly stop then keeps them for as long",
    )
    store: Literal["memory", "rocksdb"] = Field(
        default="memory", description="`memory`, or `rocksdb` for a copy of the state's changelog in `DATA_DIR`"
    )
    data_dir: Path | None = Field(
        default=None, description="folder of the store `rocksdb`, kept between starts; each worker's own"
    )
    metrics_port: Port = Field(default=9702, description="the worker's /metrics")


class LoadSettings(_Group):
    """What `quetma load` and `quetma replay` show while they run."""

    metrics_port: Port = Field(default=9703, description="the load test's /metrics")


class ServeSettings(_Group):
    """What the exporter shows, and where."""

    host: str = Field(default="127.0.0.1", description="address that every /metrics listens on")
    port: Port = Field(default=9700, description="the exporter's page, API, /metrics, /healthz and /readyz")
    names: str = Field(
        default="", description="names beside localhost by which browsers may call the page: NAME[,NAME…]"
    )
    token: SecretStr | None = Field(
        default=None, min_length=16, description="what changes by the API need; unset: made and printed at the start"
    )
    changes_per_minute: int = Field(
        default=30, ge=1, le=10_000, description="changes that a client may ask the API for in a minute"
    )

    @field_validator("token", mode="before")
    @classmethod
    def _unset(cls, value: object) -> object:
        """Take an empty variable, as Compose passes on what is not set, for none."""
        return value or None


class Settings(BaseSettings):
    """Everything that can be set without a flag."""

    model_config = SettingsConfigDict(frozen=True, extra="forbid", env_prefix="QUETMA_", env_nested_delimiter="__")

    kafka: KafkaSettings = KafkaSettings()
    producer: ProducerSettings = ProducerSettings()
    stream: StreamSettings = StreamSettings()
    load: LoadSettings = LoadSettings()
    serve: ServeSettings = ServeSettings()


def load_settings(**kafka: str) -> Settings:
    """Read the environment.

    Args:
        kafka: values of `KafkaSettings` that come before the environment.

    Raises:
        BadInputError: with every wrong variable, its value and what is allowed.
    """
    try:
        return Settings(kafka=kafka) if kafka else Settings()  # type: ignore[arg-type]  # validated into KafkaSettings
    except ValidationError as error:
        wrong = "; ".join(
            f"QUETMA_{'__'.join(str(part) for part in item['loc']).upper()}={_shown(item)}: {item['msg']}"
            for item in error.errors()
        )
        raise BadInputError("settings", wrong, "see docs/reference.md for names and ranges") from None
    except SettingsError as error:  # a whole group in one variable, such as QUETMA_KAFKA, that is not JSON
        raise BadInputError("settings", str(error), "see docs/reference.md for names and ranges") from None


def _shown(item: Mapping[str, Any]) -> str:
    """Return the value that is wrong, unless it is a secret."""
    return "…" if "token" in item["loc"] else repr(item["input"])
