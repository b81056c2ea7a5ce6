"""What the records of each topic are: models of values and of headers.

In: `schemas.topics.TOPICS`. Out: models by topic. Apart from the table of topics, which every process reads: the models
of orders are made of those of scenarios, and take 0.15 s to load.
"""

from __future__ import annotations

from typing import Final

from schemas.events import (
    Account,
    Adoption,
    Alert,
    Cell,
    Checkpoint,
    LedgerEntry,
    Payment,
    QrCode,
    RunFaults,
    RunStarted,
    Truth,
)
from schemas.headers import AdoptionHeaders, CloudEventHeaders, DeadLetterHeaders, PaymentHeaders
from schemas.orders import InterventionApplied, InterventionOrder, PaceOrder, RunPosition
from schemas.topics import (
    ACCOUNTS,
    ADOPTION_COMMUNE,
    ADOPTION_MARKET,
    ALERTS,
    CELLS,
    DEAD_LETTERS,
    INTERVENTIONS,
    KEY_OR,
    LEDGER,
    PAYMENTS,
    QR_CODES,
    TRUTH,
    Topic,
)
from schemas.types import Contract

Model = type[Contract]

_VALUES: Final[dict[str, tuple[Model, ...]]] = {
    PAYMENTS: (Payment,),
    CELLS: (Cell,),
    QR_CODES: (QrCode,),
    ACCOUNTS: (Account,),
    ALERTS: (Alert,),
    TRUTH: (Truth,),
    LEDGER: (RunStarted, LedgerEntry, RunFaults, Checkpoint),
    ADOPTION_MARKET: (Adoption,),
    ADOPTION_COMMUNE: (Adoption,),
    INTERVENTIONS: (InterventionOrder, PaceOrder, InterventionApplied, RunPosition),
}
_HEADERS: Final[dict[str, tuple[Model, ...]]] = {
    PAYMENTS: (PaymentHeaders, CloudEventHeaders),
    DEAD_LETTERS: (DeadLetterHeaders,),
    ADOPTION_MARKET: (AdoptionHeaders,),
    ADOPTION_COMMUNE: (AdoptionHeaders,),
}


def values_of(topic: Topic) -> tuple[Model, ...]:
    """Return the models of a topic's values, one of which each is; none if they are bytes of their own kind."""
    return _VALUES.get(topic.name, ())


def headers_of(topic: Topic) -> tuple[Model, ...]:
    """Return the models of a topic's headers, one of which each record's are; none where there are no headers."""
    return _HEADERS.get(topic.name, ())


def keys_of(topic: Topic, model: Model) -> list[str]:
    """Return which keys records of a model may have, as `Topic.key` writes them."""
    keys, models = topic.key.split(KEY_OR), values_of(topic)
    return [keys[models.index(model)]] if len(models) > 1 else keys
