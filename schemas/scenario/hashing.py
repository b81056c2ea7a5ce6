"""What stands for a scenario as a whole: its canonical text, and the hash of it.

In: a scenario. Out: bytes that are the same for the same figures, and their SHA-256.
"""

from __future__ import annotations

import hashlib
import json

from schemas.scenario.document import Scenario


def canonical(scenario: Scenario) -> bytes:
    """Return a scenario with all that it extends as JSON: keys sorted, no spaces, UTF-8."""
    document = scenario.model_dump(mode="json")
    return json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode()


def scenario_hash(scenario: Scenario) -> str:
    """Return the SHA-256 of :func:`canonical`, 64 hexadecimal digits."""
    return hashlib.sha256(canonical(scenario)).hexdigest()
