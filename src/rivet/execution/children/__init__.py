"""Child processes, one per export: launch them, read their events, say how each one ended.

A child is a plain re-invocation of Rivet for one export. Its parent is the only one that decides
the verdict. Nothing here reads a source or writes a part.
"""
