"""The record of what was run and what is data: `.rivet/state.db`, or a shared PostgreSQL schema."""
