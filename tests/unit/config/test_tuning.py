"""What an export's tuning comes to: profile, source, export."""

import pytest

from rivet.config.load import config_from_dict
from rivet.config.resolve import resolve_tuning

SOURCE = {"type": "sqlite", "path": "a.db"}
EXPORT = {"name": "a", "table": "t", "format": "csv", "destination": {"type": "stdout"}}


def tuning(source=None, export=None, environment=None):
    data = {
        "source": SOURCE | {"tuning": source, "environment": environment},
        "exports": [EXPORT | {"tuning": export}],
    }
    config = config_from_dict(data)
    return resolve_tuning(config, config.exports[0])


# rows, memory, throttle, statement timeout, retries, back-off, lock timeout, memory threshold
TABLE = {
    "fast": (50_000, 64, 0, 0, 1, 1_000, 0, 0),
    "balanced": (10_000, 32, 0, 300, 3, 2_000, 30, 4_096),
    "safe": (2_000, None, 500, 120, 10, 5_000, 10, 2_048),
}


@pytest.mark.parametrize("profile", TABLE)
def test_profiles(profile):
    found = tuning({"profile": profile})
    numbers = (
        found.batch_size,
        found.batch_size_memory_mb,
        found.throttle_ms,
        found.statement_timeout_s,
        found.max_retries,
        found.retry_backoff_ms,
        found.lock_timeout_s,
        found.memory_threshold_mb,
    )
    assert numbers == TABLE[profile]
    assert (found.batch_rows == found.batch_size) is (profile == "safe")
    assert (found.max_value_bytes, found.batch_bytes) == (256 * 2**20, 8 * 2**20)


@pytest.mark.parametrize(
    ("source", "export", "environment", "label"),
    [
        (None, None, None, "balanced (default)"),
        (None, None, "local", "fast (default for environment: local)"),
        (None, None, "production", "balanced (default for environment: production)"),
        ({"profile": "safe"}, None, "local", "safe"),
        ({"profile": "safe"}, {"profile": "fast"}, "local", "fast"),
        ({"profile": "safe"}, {"max_retries": 1}, None, "safe"),
    ],
)
def test_label_says_where_the_profile_comes_from(source, export, environment, label):
    assert tuning(source, export, environment).profile_label == label


def test_the_export_wins_key_by_key():
    found = tuning({"profile": "safe", "max_retries": 7, "throttle_ms": 9}, {"throttle_ms": 0})
    assert (found.profile, found.max_retries, found.throttle_ms) == ("safe", 7, 0)


def test_nobody_sleeps_who_did_not_ask():
    assert tuning().throttle_ms == tuning({"profile": "fast"}).throttle_ms == 0
    assert tuning({"throttle_ms": 20}).throttle_ms == 20


def test_a_row_count_clears_the_memory_target_and_the_other_way_round():
    rows = tuning({"batch_size": 77})
    assert (rows.batch_rows, rows.batch_size_memory_mb) == (77, None)
    memory = tuning(None, {"batch_size_memory_mb": 5})
    assert (memory.batch_bytes, memory.batch_rows > 100_000) == (5 * 2**20, True)


def test_a_query_has_no_timeout_but_a_chosen_one():
    assert tuning().session_settings(is_query=True).statement_timeout_s == 0
    assert tuning().session_settings().statement_timeout_s == 300
    chosen = tuning({"statement_timeout_s": 5, "connect_timeout_s": 2})
    assert chosen.session_settings(is_query=True).statement_timeout_s == 5
    assert chosen.session_settings().connect_timeout_s == 2


def test_a_server_may_be_silent_as_long_as_its_own_limits_let_it():
    assert tuning().session_settings().read_timeout_s == 3600
    assert tuning({"statement_timeout_s": 7200}).session_settings().read_timeout_s == 7260
    assert tuning({"lock_timeout_s": 3600}).session_settings().read_timeout_s == 3660
    chosen = {"statement_timeout_s": 7200, "read_timeout_s": 30}
    assert tuning(chosen).session_settings(is_query=True).read_timeout_s == 30
    assert tuning({"read_timeout_s": 0}).session_settings().read_timeout_s == 0


def test_without_an_export():
    config = config_from_dict({"source": SOURCE, "exports": [EXPORT]})
    assert resolve_tuning(config).profile == "balanced"


def test_settings_of_sessions_are_texts_as_they_are_written():
    source = {"type": "postgresql", "url_env": "U"}
    source["session"] = {"TimeZone": "UTC", "app.tenant": "7", "transform_null_equals": True}
    tuned = resolve_tuning(config_from_dict({"source": source, "exports": [EXPORT]}))
    chosen = {"TimeZone": "UTC", "app.tenant": "7", "transform_null_equals": "on"}
    assert tuned.session_settings().variables == chosen
