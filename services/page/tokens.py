"""The token that changes by the page need.

In: settings. Out: the token that is set, or a new one.
"""

from __future__ import annotations

import secrets
from typing import Final

from schemas.settings import ServeSettings

TOKEN_BYTES: Final = 18


def token_of(serve: ServeSettings) -> str:
    """Return the token that is set; a new one, which nobody can guess, if none is."""
    return serve.token.get_secret_value() if serve.token is not None else secrets.token_urlsafe(TOKEN_BYTES)
