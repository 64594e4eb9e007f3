"""Worker: read ahead, encode, add columns, check quality and retry, for one chunk."""
