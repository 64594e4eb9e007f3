"""The migrations of the state store, run by `rivet.state.schema`; found by Alembic as files."""
