"""What a destination must do to a real store, judged by looking into the store itself."""

from __future__ import annotations

import random

import pytest

from rivet.errors import ConfigError, DestinationError, ObjectExistsError
from support.places import PLACES, begun

MANY = 2500
PART = 8 << 20
LARGE = random.Random(1).randbytes(2 * PART + 12345)
ODD = ["a b", "a#b?c", "a%b", "a%20b", "a+b&c=d", "ä€😀", "a'b\"<", "d=1/e=é é/f", " ~a*(b):@,;"]


def test_a_large_object_is_seen_when_it_is_published_and_not_before(place) -> None:
    out = place.open()
    sink = begun(out, "a/b.parquet", LARGE)
    sink.prepare()
    assert place.keys() == set()
    info = sink.publish()
    sink.abort()
    assert (info.name, info.size_bytes) == ("a/b.parquet", len(LARGE))
    assert place.keys() == {"out/a/b.parquet"}
    assert place.read("out/a/b.parquet") == LARGE
    assert out.get("a/b.parquet", max_bytes=len(LARGE)) == LARGE
    out.close()
    assert place.dangling() == []


@pytest.mark.parametrize("body", [b"x", LARGE[: PART + 1]], ids=["small", "large"])
def test_what_is_dropped_at_any_time_leaves_nothing(place, body) -> None:
    out = place.open()
    dropped = begun(out, "dropped", body)
    prepared = begun(out, "prepared", body)
    prepared.prepare()
    begun(out, "left", body)
    given_up = begun(out, "given-up", body)
    given_up.prepare()
    given_up.give_up()
    with pytest.raises(DestinationError):
        given_up.publish()
    for sink in (dropped, prepared, given_up):
        sink.abort()
        sink.abort()
    out.close()
    assert place.keys() == set()
    if place.name != "azure":  # blocks of no blob cannot be dropped there; they go after a week
        assert place.dangling() == []


@pytest.mark.parametrize("body", [b"second", LARGE], ids=["small", "large"])
def test_a_taken_name_is_left_as_it_is(place, body) -> None:
    out = place.open()
    both = [begun(out, "a", body) for _ in range(2)]
    place.put("out/a", b"first")
    for sink in both:
        sink.prepare()
        with pytest.raises(ObjectExistsError):
            sink.publish()
        sink.abort()
    assert place.read("out/a") == b"first"
    out.put_bytes(b"third", "a")
    assert place.read("out/a") == b"third"


def test_sizes_at_the_borders_of_parts_come_out_whole(place) -> None:
    out = place.open()
    sizes = [0, 1, PART - 1, PART, PART + 1]
    for size in sizes:
        sink = begun(out, f"{size}", LARGE[:size])
        sink.prepare()
        assert sink.publish().size_bytes == size
    assert [len(place.read(f"out/{size}")) for size in sizes] == sizes
    assert place.read(f"out/{PART + 1}") == LARGE[: PART + 1]
    assert place.dangling() == []


def test_every_odd_name_is_itself_in_the_store(place) -> None:
    out = place.open("p r/é#%41+=")
    for name in ODD:
        sink = begun(out, name, name.encode())
        sink.publish()
        out.put_bytes(b"json", f"{name}.json")
    names = {f"{name}{suffix}" for name in ODD for suffix in ("", ".json")}
    assert place.keys() == {f"p r/é#%41+=/{name}" for name in names}
    assert {found.name for found in out.walk()} == names
    for name in ODD:
        stat = out.stat(name)
        assert stat is not None
        assert (stat.name, stat.size_bytes) == (name, len(name.encode()))
        assert stat.uri == f"{out.uri}/{name}"
        out.move(name, f"moved/{name}")
        assert out.get(f"moved/{name}", max_bytes=99) == name.encode()
        assert out.get(name, max_bytes=99) is None
        out.remove(f"{name}.json")
        out.remove(f"{name}.json")
    assert place.keys() == {f"p r/é#%41+=/moved/{name}" for name in ODD}


def test_a_prefix_that_leads_upwards_is_refused(store_place) -> None:
    for prefix in ("../a", "a/../../b", "a/..", "a\0b"):
        with pytest.raises((ConfigError, DestinationError)):
            store_place.open(prefix)


@pytest.mark.parametrize("prefix", ["orders", "/a/orders/"])
def test_neighbours_of_a_prefix_are_left_alone(place, prefix) -> None:
    base = prefix.strip("/")
    near = {f"{base}_old/a", f"{base}_old/manifest.json", f"{base}.json", f"{base[:-1]}/a", "b"}
    for key in near:
        place.put(key, b"theirs")
    out = place.open(prefix)
    out.put_bytes(b"mine", "a")
    assert [(found.name, found.size_bytes) for found in out.walk()] == [("a", 4)]
    out.move("a", "b")
    for found in list(out.walk()):
        out.remove(found.name)
    out.close()
    assert place.keys() == near
    assert {place.read(key) for key in near} == {b"theirs"}


def test_the_whole_bucket_may_be_the_prefix(place) -> None:
    out = place.open("")
    begun(out, "a", b"x").publish()
    out.put_bytes(b"y", "b/c")
    assert place.keys() == {"a", "b/c"}
    assert [found.name for found in out.walk()] == ["a", "b/c"]
    assert out.stat("b") is None


def test_a_move_overwrites_nothing(place) -> None:
    out = place.open()
    place.put("out/a", b"a")
    place.put("out/b", b"b")
    with pytest.raises(ObjectExistsError):
        out.move("a", "b")
    assert (place.read("out/a"), place.read("out/b")) == (b"a", b"b")
    with pytest.raises(DestinationError):
        out.move("nothing", "c")
    assert place.keys() == {"out/a", "out/b"}


@pytest.mark.parametrize(
    "place",
    [
        pytest.param(name, marks=[] if name in {"local", "gcs"} else [pytest.mark.soak])
        for name in PLACES
    ],
    indirect=True,
)
def test_a_list_of_many_objects_is_whole_and_in_order(place) -> None:
    names = [f"{number % 7}/p {number:04d}" for number in range(MANY)]
    place.put_many([f"out/{name}" for name in names])
    assert [found.name for found in place.open().walk()] == sorted(names)
