"""Reporting of a run: event journal, reports, report files; and fault injection at events."""
