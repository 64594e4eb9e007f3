"""Pools of workers: chunks side by side, splitting, and giving back room."""
