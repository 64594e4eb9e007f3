"""Database sessions of one export, and the snapshot that they share."""
