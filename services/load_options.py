"""Options that `quetma replay` and `quetma load` share: where records go, when it ends, how the report is told.

In: flags. Out: types of options, `WebhookSettings`; what these mean is in `producers.load.targets.webhook`.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from schemas.errors import BadInputError
from services.output import seconds_of

if TYPE_CHECKING:
    from producers.load.targets.webhook import WebhookSettings

ToTopicOption = Annotated[
    str | None,
    typer.Option("--to-topic", metavar="TOPIC", help="Takes all records; each goes to its own topic's if left out."),
]
ToOption = Annotated[
    str | None, typer.Option("--to", metavar="URL", help="POST each record's value there, instead of Kafka.")
]
YesOption = Annotated[bool, typer.Option("--yes", help="Load a URL that is not on this machine.")]
MaxConnectionsOption = Annotated[
    int, typer.Option("--max-connections", min=1, metavar="N", help="Requests under way at most; with --to.")
]
TimeoutOption = Annotated[
    str, typer.Option("--timeout", metavar="TIME", help="For a request and its answer, as 30s; with --to.")
]
ConnectTimeoutOption = Annotated[
    str, typer.Option("--connect-timeout", metavar="TIME", help="For a connection, as 5s; with --to.")
]
RetriesOption = Annotated[
    int, typer.Option("--retries", min=0, metavar="N", help="More tries of a request that failed; with --to.")
]
SecretOption = Annotated[
    str | None,
    typer.Option(
        "--hmac-secret-env", metavar="NAME", help="Variable with the secret that requests are signed with; with --to."
    ),
]
CountOption = Annotated[int | None, typer.Option("--count", min=1, metavar="N", help="Records at most.")]
FailIfOption = Annotated[
    list[str] | None,
    typer.Option("--fail-if", metavar="THRESHOLD", help="End with 1 if p99_ack_ms>50, rate<0.99, errors>0 …"),
]
ReportOption = Annotated[Path | None, typer.Option("--report", metavar="FILE.html", help="Write the report as a page.")]

CONNECTIONS, TIMEOUT, CONNECT_TIMEOUT = 64, "30s", "5s"


def webhook_of(
    url: str | None,
    *,
    max_connections: int,
    timeout: str,
    connect_timeout: str,
    retries: int,
    hmac_secret_env: str | None,
) -> WebhookSettings:
    """Return how requests to a URL are to be made.

    Raises:
        BadInputError: if a time is none, there is no such variable, or an option would say nothing for want of a URL.
    """
    usual = {"--max-connections": CONNECTIONS, "--timeout": TIMEOUT, "--connect-timeout": CONNECT_TIMEOUT}
    given = {"--max-connections": max_connections, "--timeout": timeout, "--connect-timeout": connect_timeout}
    usual |= {"--retries": 0, "--hmac-secret-env": None}
    given |= {"--retries": retries, "--hmac-secret-env": hmac_secret_env}
    for name, value in given.items():
        if url is None and value != usual[name]:
            raise BadInputError("arguments", f"{name} {value} without --to", "it is for webhooks: give --to URL")
    from producers.load.targets.signing import secret_from  # noqa: PLC0415  # help need not wait for an HTTP client
    from producers.load.targets.webhook import WebhookSettings  # noqa: PLC0415

    return WebhookSettings(
        connections=max_connections,
        connect_seconds=seconds_of(connect_timeout, "--connect-timeout") or 0.0,
        total_seconds=seconds_of(timeout, "--timeout") or 0.0,
        retries=retries,
        secret=secret_from(hmac_secret_env),
    )
