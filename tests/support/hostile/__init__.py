"""Servers that lie, drip and flood on purpose, and runs that are measured while they meet one."""
