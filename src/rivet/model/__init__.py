"""The nouns of Rivet: frozen, slotted records without I/O that every layer shares.

Nothing here may open a file, a socket or a database, or import a layer above.
"""
