"""Contracts: events, topics, QR payloads, scenarios, metrics, settings, errors. Imports nothing else of ours."""
