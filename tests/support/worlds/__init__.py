"""Hostile worlds: servers and catalogs as somebody real has them, and every way to read one.

A `World` holds one table, how others write to it and how a plain driver sees it. A `Strategy` is
one way to export it, and says what a reader of the manifest must have afterwards.
"""
