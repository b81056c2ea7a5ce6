"""Options of webhooks, which `quetma replay` and `quetma load` share.

In: flags. Out: types of options; what they mean is in `producers.load.targets.webhook`.
"""

from __future__ import annotations

from typing import Annotated

import typer

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
    typer.Option("--hmac-secret-env", metavar="NAME", help="Variable with the secret that requests are signed with."),
]
