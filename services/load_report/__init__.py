"""The report of a load for people. In: `LoadReport`. Out: a summary for the terminal, a page for the browser."""

from services.load_report.html import html_page
from services.load_report.terminal import terminal_summary

__all__ = ["html_page", "terminal_summary"]
