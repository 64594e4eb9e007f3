"""Checks after writing: what the files, the manifest and the state say of one another."""
