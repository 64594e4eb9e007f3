"""The worker: read, encode, store and record one chunk."""
