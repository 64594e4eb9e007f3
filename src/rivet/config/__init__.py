"""The configuration: YAML text becomes frozen models, and models become what other layers take.

`load` reads a file, `models` is what it gives, `resolve` turns parts of it into the records of
`rivet.model`, `lint` refuses what this version does not do yet. Nothing here contacts a database or
a destination.
"""
