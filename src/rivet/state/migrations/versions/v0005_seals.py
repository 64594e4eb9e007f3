"""A seal on each watermark, so that a value that was damaged is not gone on from."""

from __future__ import annotations

revision = "0005"
down_revision = "0004"


def upgrade(schema: str | None = None) -> None:
    """Add the column, and seal what is there.

    Args:
        schema: The schema the tables are in; None where the database has none.
    """
    import sqlalchemy as sa
    from alembic import op

    from rivet.model.seal import seal_of

    op.add_column("watermarks", sa.Column("seal", sa.Text), schema=schema)
    columns = (
        *("export_name", "engine", "kind", "position_text", "is_approximate"),
        *("run_id", "part_id", "owner_json"),
    )
    table = sa.table("watermarks", *map(sa.column, (*columns, "seal")), schema=schema)
    connection = op.get_bind()
    for row in connection.execute(sa.select(*(table.c[name] for name in columns))).fetchall():
        connection.execute(
            sa.update(table)
            .where(table.c.export_name == row.export_name)
            .values(seal=seal_of(*row))
        )
