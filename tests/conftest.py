"""The plugins of the test suite; each fixture lives in the plugin of its concern."""

pytest_plugins = [
    "support.garbage",
    "support.servers",
    "support.standby",
    "support.mysqlserver",
    "support.engines",
    "support.cli",
    "support.forgetting",
    "support.shop",
    "support.reference",
    "support.side_by_side",
    "support.typereport",
    "support.worlds.making",
]
