"""How many at once, and which first."""

import pytest

from rivet.plan.schedule import launch_order, max_concurrent

ROOMY = {
    "exports": 40,
    "cpu_count": 2,
    "max_connections": None,
    "max_memory_mb": None,
    "memory_each_mb": 100,
    "memory_base_mb": 50,
}


@pytest.mark.parametrize(
    ("requested", "bounds", "expected"),
    [
        (None, {}, 4),
        (None, {"cpu_count": 64}, 40),
        (None, {"exports": 3}, 3),
        (1, {}, 1),
        (30, {}, 30),
        (100, {}, 40),
        (30, {"max_connections": 7}, 7),
        (None, {"max_connections": 100}, 4),
        (30, {"max_memory_mb": 1050}, 10),
        (30, {"max_memory_mb": 1049}, 9),
        (30, {"max_memory_mb": 1050, "max_connections": 3}, 3),
        (30, {"max_memory_mb": 149}, 1),
        (30, {"max_memory_mb": 1}, 1),
        (None, {"exports": 0}, 1),
    ],
)
def test_every_bound_holds(requested, bounds, expected):
    assert max_concurrent(requested, **(ROOMY | bounds)) == expected


def test_unknown_sizes_then_largest_first_and_ties_as_configured():
    names = ["view", "small", "large", "also_small", "query", "empty"]
    sizes = {"small": 10, "large": 99, "also_small": 10, "query": None, "empty": 0}
    assert launch_order(names, sizes) == (
        "view",
        "query",
        "large",
        "small",
        "also_small",
        "empty",
    )


def test_without_estimates_the_order_is_that_of_the_configuration():
    assert launch_order(["b", "a", "c"], {}) == ("b", "a", "c")
    assert launch_order([], {"a": 1}) == ()
