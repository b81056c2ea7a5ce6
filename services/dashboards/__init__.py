"""Grafana's dashboards, written down once and laid out by rule. `python -m services.dashboards` renews the JSON."""
