"""Orders to a running scenario: what operators may ask for, and the topic that it goes to.

In: requests of the API. Out: `InterventionOrder` and `PaceOrder` on ``quetma.interventions``; see `publish_order`.
Requests are JSON, so times are local by their pattern, and 30.0 is a count as 30 is.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self
from uuid import uuid4

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError
from pydantic import BaseModel, ConfigDict, Field, model_validator

from schemas.errors import UnreachableError
from schemas.events import SCHEMA_VERSION, encode
from schemas.orders import InterventionOrder, PaceOrder, SimulatedDay, Speed, key_of
from schemas.scenario.actions import AnyAction
from schemas.topics import INTERVENTIONS
from schemas.types import Identifier
from services.topic_reader import partitions_of

SEND_TIMEOUT_SECONDS = 5.0
MAX_SPEED = 1_000_000

Order = InterventionOrder | PaceOrder


class _Request(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    run: Identifier | None = None
    """The run that it is for; the newest if left out."""

    @model_validator(mode="before")
    @classmethod
    def _as_json_counts(cls, values: Any) -> Any:
        """Take 30.0 for 30, as JSON does; models of scenarios, where TOML tells them apart, do not."""
        return _whole(values)


def _whole(value: Any) -> Any:
    match value:
        case float() if value.is_integer():
            return int(value)
        case dict():
            return {name: _whole(one) for name, one in value.items()}
        case list():
            return [_whole(one) for one in value]
    return value


class InterventionRequest(_Request):
    """An intervention to begin, as soon as possible or on a simulated day."""

    start: SimulatedDay | None = None
    """First simulated day, local; as soon as possible if left out, or if that day has begun to be made."""
    intervention: AnyAction

    def order(self, run: str, now_ms: int) -> InterventionOrder:
        """Return the order for a run."""
        return InterventionOrder(
            schema_version=SCHEMA_VERSION,
            run=run,
            id=_new_id(self.intervention.kind),
            ordered_at=now_ms,
            start=self.start,
            intervention=self.intervention,
        )


class PaceRequest(_Request):
    """A speed, or a pause, from now on: one of both."""

    model_config = ConfigDict(
        json_schema_extra={
            "oneOf": [
                {"required": ["speed"], "properties": {"speed": {"not": {"type": "null"}}, "paused": {"type": "null"}}},
                {"required": ["paused"], "properties": {"paused": {"type": "boolean"}, "speed": {"type": "null"}}},
            ]
        }
    )

    speed: Annotated[Speed, Field(strict=True, le=MAX_SPEED)] | Literal["max"] | None = None
    """Simulated seconds per second, or as fast as it goes."""
    paused: Annotated[bool, Field(strict=True)] | None = None
    """Whether sending stands still."""

    @model_validator(mode="after")
    def _one_of_both(self) -> Self:
        if (self.speed is None) == (self.paused is None):
            raise ValueError("give speed or paused, one of both")
        return self

    def order(self, run: str, now_ms: int) -> PaceOrder:
        """Return the order for a run."""
        return PaceOrder(
            schema_version=SCHEMA_VERSION,
            run=run,
            id=_new_id("pace"),
            ordered_at=now_ms,
            speed=self.speed,
            paused=self.paused,
        )


def _new_id(kind: str) -> str:
    return f"{kind.replace('_', '-')}-{uuid4().hex[:12]}"


async def publish_order(bootstrap_servers: str, order: Order) -> None:
    """Send an order, and wait until the broker has it.

    Raises:
        UnreachableError: if the broker does not take it within 5 s.
    """
    producer = AIOKafkaProducer(
        bootstrap_servers=bootstrap_servers.split(","), acks="all", request_timeout_ms=int(SEND_TIMEOUT_SECONDS * 1000)
    )
    try:
        await partitions_of(bootstrap_servers, [INTERVENTIONS])  # one that is not there would be made anyhow
        await producer.start()
        try:
            await producer.send_and_wait(INTERVENTIONS, key=key_of(order).encode(), value=encode(order))
        finally:
            await producer.stop()
    except (KafkaError, TimeoutError) as error:
        raise UnreachableError("order", f"{bootstrap_servers} does not take it: {error}", "start the broker") from None
