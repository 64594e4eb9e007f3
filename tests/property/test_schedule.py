"""Whatever the numbers: no budget is exceeded, nothing is lost, the longest does not come last."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from rivet.plan.schedule import launch_order, max_concurrent

COUNT = st.integers(1, 500)


BOUNDS = st.fixed_dictionaries(
    {
        "exports": COUNT,
        "cpu_count": COUNT,
        "max_connections": st.none() | COUNT,
        "max_memory_mb": st.none() | st.integers(1, 100_000),
        "memory_each_mb": COUNT,
        "memory_base_mb": st.integers(0, 500),
    }
)


@given(requested=st.none() | COUNT, bounds=BOUNDS)
def test_no_budget_is_exceeded_and_something_always_runs(requested, bounds):
    count = max_concurrent(requested, **bounds)
    max_connections, max_memory_mb = bounds["max_connections"], bounds["max_memory_mb"]
    limits = [bounds["exports"], 2 * bounds["cpu_count"] if requested is None else requested]
    assert 1 <= count <= min(limits)
    assert max_connections is None or count <= max_connections
    if max_memory_mb is not None and count > 1:
        assert bounds["memory_base_mb"] + count * bounds["memory_each_mb"] <= max_memory_mb
    if max_connections is None and max_memory_mb is None:
        assert count == min(limits)


@given(
    sizes=st.dictionaries(st.text(max_size=3), st.none() | st.integers(0, 9), max_size=30),
    measured=st.sets(st.text(max_size=3)),
)
def test_order_is_a_permutation_with_unknown_sizes_first(sizes, measured):
    names = list(sizes)
    known = {name: size for name, size in sizes.items() if name in measured or size}
    order = launch_order(names, known)
    assert sorted(order) == sorted(names)
    places = [
        (known.get(name) is not None, -(known.get(name) or 0), names.index(name)) for name in order
    ]
    assert all(first < second for first, second in pairwise(places))
