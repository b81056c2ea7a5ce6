"""The files that dashboards are written to.

In: all dashboards. Out: paths from the checkout's root, and their texts.
"""

from __future__ import annotations

import json

from services.dashboards import adoption, incidents, load_test, payments, pipeline

DASHBOARDS = tuple(one.DASHBOARD for one in (adoption, payments, pipeline, incidents, load_test))
FOLDER = "services/monitoring/dashboards"
MANUAL = "docs/dashboards.md"
HEAD = """# Dashboards

Written from `services/dashboards` by `python -m services.dashboards`; a test holds them to it. Every panel has its text
behind the ⓘ in its corner. Above, choose province, commune and market; rates are per second on the wall clock. Red
lines mark when an alert fired.
"""


def rendered() -> dict[str, str]:
    """Return the text of each file, by path."""
    texts = {
        f"services/monitoring/dashboards/{one.name}.json": json.dumps(one.document(), ensure_ascii=False, indent=2)
        + "\n"
        for one in DASHBOARDS
    }
    lines = [line for one in DASHBOARDS for line in one.manual()]
    return {**texts, MANUAL: "\n".join([HEAD, *lines]).rstrip() + "\n"}
