"""The coordinator: one run of one export, from its preparation to its finish."""
