"""The command line: thin calls of the library, one file per command.

Results go to standard output; progress, summaries, warnings and hints to standard error.
"""
