"""Maintenance beside runs: repair, backfill, commands on the state, the read API."""
