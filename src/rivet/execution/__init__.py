"""The execution layer, where plan, sources, formats, destinations and state meet.

A run of one export is one loop (`export.py`); storing and recording parts is one seam
(`commit.py`). Nothing here knows an engine, a format or a destination by name.
"""
