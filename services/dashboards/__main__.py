"""Renew Grafana's dashboards and their page of the manual: ``python -m services.dashboards``.

In: the dashboards. Out: services/monitoring/dashboards/*.json and docs/dashboards.md; a test holds them equal.
"""

from __future__ import annotations

from pathlib import Path

from services.dashboards.files import rendered

if __name__ == "__main__":
    for path, text in rendered().items():
        Path(path).write_text(text, encoding="utf-8")
