"""Signatures of webhooks, as payment services sign theirs: over the time and the body, so that neither can be reused.

In: a secret, a body. Out: headers; and the check that a receiver makes.

``X-Quetma-Signature: sha256=HEX`` is HMAC-SHA256, under the secret, of the value of ``X-Quetma-Timestamp`` (Unix
seconds of sending), a full stop, and the body's bytes. A receiver compares in constant time and refuses what is some
minutes old, so that a request that was overheard cannot be sent again later.
"""

from __future__ import annotations

import hashlib
import hmac
import os
from collections.abc import Mapping
from typing import Final

from schemas.errors import BadInputError

SIGNATURE: Final = "X-Quetma-Signature"
TIMESTAMP: Final = "X-Quetma-Timestamp"
TOLERANCE_SECONDS: Final = 300


def signed(secret: bytes, body: bytes, at: int) -> dict[str, str]:
    """Return the headers of a request that is sent at a time in Unix seconds."""
    return {TIMESTAMP: str(at), SIGNATURE: f"sha256={_digest(secret, str(at), body)}"}


def verified(secret: bytes, body: bytes, headers: Mapping[str, str], at: float) -> bool:
    """Return whether a request that is received at a time is whole, from who has the secret, and new."""
    sent, signature = headers.get(TIMESTAMP, ""), headers.get(SIGNATURE, "")
    if not sent.isascii() or not sent.isdigit() or abs(at - int(sent)) > TOLERANCE_SECONDS:
        return False
    return hmac.compare_digest(signature.encode(), f"sha256={_digest(secret, sent, body)}".encode())


def secret_from(variable: str | None) -> bytes | None:
    """Return the secret in an environment variable; none if no variable is named.

    Raises:
        BadInputError: if the variable is not set, or empty.
    """
    if variable is None:
        return None
    value = os.environ.get(variable, "")
    if not value:
        raise BadInputError("arguments", f"--hmac-secret-env {variable}: no such variable", "set it, or name another")
    return value.encode()


def _digest(secret: bytes, sent: str, body: bytes) -> str:
    return hmac.new(secret, sent.encode() + b"." + body, hashlib.sha256).hexdigest()
