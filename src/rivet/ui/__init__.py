"""The screen: events and reports in, lines out. Sees neither configuration nor data."""
