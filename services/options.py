"""Options that several commands share.

In: flags. Out: `Settings`, flag over environment over default.
"""

from __future__ import annotations

from typing import Annotated

import typer

from schemas.errors import UnreachableError
from schemas.settings import Settings, load_settings

BrokerOption = Annotated[
    str | None, typer.Option("--broker", metavar="HOST:PORT", help="Kafka cluster; QUETMA_KAFKA__BOOTSTRAP_SERVERS.")
]
JsonOption = Annotated[bool, typer.Option("--json", help="One JSON object on stdout, for machines.")]
QuietOption = Annotated[bool, typer.Option("--quiet", help="No progress on stderr.")]
ScenarioArgument = Annotated[str, typer.Argument(help="Name of a scenario, or a .toml file.")]
SpeedOption = Annotated[
    str | None, typer.Option("--speed", metavar="X|max", help="Simulated seconds per second, or max.")
]
RateOption = Annotated[float | None, typer.Option("--rate", metavar="N", help="Payments a second, instead of a speed.")]
SeedOption = Annotated[int | None, typer.Option("--seed", min=0, help="Seed; the scenario's own if left out.")]
DaysOption = Annotated[int | None, typer.Option("--days", min=1, help="Simulated days; without end if left out.")]
ForOption = Annotated[str | None, typer.Option("--for", metavar="TIME", help="Stop after 30s, 5m, 1h.")]
RunOption = Annotated[str | None, typer.Option("--run", help="Name of the run; scenario and seed if left out.")]


def settings_for(broker: str | None, *, need_broker: bool = True) -> Settings:
    """Return the settings with the flag ``--broker`` applied.

    Raises:
        BadInputError: if a variable is wrong.
        UnreachableError: if a broker is needed and none is set.
    """
    settings = load_settings(**({"bootstrap_servers": broker} if broker else {}))
    if need_broker and settings.kafka.bootstrap_servers is None:
        fix = "give --broker HOST:PORT, set QUETMA_KAFKA__BOOTSTRAP_SERVERS, or start one with `quetma broker`"
        raise UnreachableError("settings", "no broker is set", fix)
    return settings
