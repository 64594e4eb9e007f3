"""The hints of the product, each with the state it is printed in and with what follows it."""

from support.hintcases import absent, configuration, planning

CASES = (*absent.CASES, *configuration.CASES, *planning.CASES)
