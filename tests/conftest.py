"""The plugins of the test suite; each fixture lives in the plugin of its concern."""

import hypothesis

pytest_plugins = [
    "support.garbage",
    "support.servers",
    "support.standby",
    "support.mysqlserver",
    "support.engines",
    "support.stores",
    "support.places",
    "support.cli",
    "support.forgetting",
    "support.shop",
    "support.reference",
    "support.side_by_side",
    "support.typereport",
    "support.worlds.making",
]

# How long an example takes tells of the machine; what runs too long is ended by the time limit.
hypothesis.settings.register_profile("rivet", deadline=None)
hypothesis.settings.load_profile("rivet")
