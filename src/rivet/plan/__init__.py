"""Pure decisions: what a run will do, decided from facts and settings, without any I/O."""
