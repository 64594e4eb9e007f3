"""Connections: the TLS gate of every engine, and how libpq is let connect and waited for.

Sources and the state store open their PostgreSQL connections through this room. Must not know what
is asked over a connection.
"""
