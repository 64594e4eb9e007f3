"""Completeness on the wire: the rows that arrived against the number that the server says it sent.

Source:
    PostgreSQL manual, "Message Formats", CommandComplete.
"""

from __future__ import annotations

from rivet.errors import RowsLostError

__all__ = ["refuse_other_count"]


def refuse_other_count(sent: int | None, arrived: int) -> None:
    """Refuse an answer that lost or gained rows on its way.

    Args:
        sent: The number in the tag of the command, such as `COPY 3`; None where there is none.
        arrived: How many rows were decoded.

    Raises:
        RowsLostError: They differ, or the server did not say.
    """
    if sent == arrived:
        return
    said = "does not say how many rows it sent" if sent is None else f"sent {sent:,} rows"
    msg = f"the server {said}, and {arrived:,} arrived"
    hint = "something on the way drops or repeats rows: read without the proxy, or with TLS"
    raise RowsLostError(msg, hint=hint)
