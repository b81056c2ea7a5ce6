"""The golden run: the same seed gives the same bytes, from release to release."""

from __future__ import annotations

import json

from tests.golden.run import PATH, document

HOW = "output has moved: if it was meant to, run `python -m tests.golden.renew` and note it in CHANGELOG.md"


def test_the_run_is_as_it_was():
    kept = json.loads(PATH.read_text(encoding="utf-8"))
    assert document() == kept, HOW
