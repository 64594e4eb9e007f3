"""The benchmark: Rivet against the wire and against its peers. `python -m bench --help`."""
