"""What every destination must do, whatever it is."""

from __future__ import annotations

import pytest
from pydantic import BaseModel, ConfigDict

from rivet.destinations import destination_names, load_destination, open_destination, sink_ref
from rivet.errors import (
    ConfigError,
    DestinationError,
    ObjectExistsError,
    UnknownDestinationError,
)


class Block(BaseModel):
    """A `destination:` block as the configuration has it."""

    model_config = ConfigDict(extra="allow")

    type: str


def bucket_of(request: pytest.FixtureRequest, store: str):
    """Return the block of the test's bucket, whose credentials are in the environment."""
    bucket = request.getfixturevalue(store)
    monkeypatch = request.getfixturevalue("monkeypatch")
    for name, value in bucket.env.items():
        monkeypatch.setenv(name, value)
    return bucket.block(prefix="out/{export}")


# What a test needs to open each destination; one that is missing here fails its tests.
SETTINGS = {
    "local": lambda _request: {"path": "out/{export}"},
    "stdout": lambda _request: {},
    "s3": lambda request: bucket_of(request, "moto"),
    "gcs": lambda request: bucket_of(request, "gcs"),
    "azure": lambda request: bucket_of(request, "azure"),
}
LISTABLE = [name for name in destination_names() if load_destination(name).CAPABILITIES.is_listable]


def opened(name: str, base_dir, request: pytest.FixtureRequest):
    block = Block(**{"type": name} | SETTINGS[name](request))
    return open_destination(sink_ref(block, base_dir=base_dir, placeholders={"export": "orders"}))


@pytest.fixture(params=LISTABLE)
def destination(request: pytest.FixtureRequest, tmp_path):
    found = opened(request.param, tmp_path, request)
    yield found
    found.close()


def begun(destination, name: str, body: bytes = b"body"):
    sink = destination.create(name)
    sink.write(body)
    return sink


@pytest.mark.parametrize("name", destination_names())
def test_the_registry_lists_what_it_loads(name, tmp_path, request) -> None:
    assert load_destination(name).CAPABILITIES.name == name
    found = opened(name, tmp_path, request)
    assert found.uri
    left = begun(found, "left")
    found.close()
    found.close()
    assert left.local_path is None or not left.local_path.parent.exists()


@pytest.mark.parametrize("name", destination_names())
def test_foreign_keys_are_refused_by_name(name, tmp_path, request) -> None:
    block = Block(**{"type": name} | SETTINGS[name](request), nonsense="1")
    with pytest.raises(ConfigError, match="nonsense"):
        open_destination(sink_ref(block, base_dir=tmp_path, placeholders={"export": "orders"}))


def test_an_unknown_destination_is_refused_with_a_hint() -> None:
    with pytest.raises(UnknownDestinationError) as caught:
        load_destination("locl")
    assert "local" in (caught.value.hint or "")
    for seam in ("base", "placeholders", "object_store"):
        with pytest.raises(UnknownDestinationError):
            load_destination(seam)


def test_an_object_is_seen_once_it_is_published_and_then_whole(destination) -> None:
    sink = begun(destination, "a.parquet", b"123")
    sink.write(memoryview(b"45"))
    sink.prepare()
    sink.prepare()
    assert list(destination.walk()) == []
    assert sink.local_path is None or sink.local_path.read_bytes() == b"12345"
    info = sink.publish()
    sink.abort()
    assert (info.name, info.size_bytes) == ("a.parquet", 5)
    assert info.uri == f"{destination.uri}/a.parquet"
    assert destination.get("a.parquet", max_bytes=5) == b"12345"
    assert [found.name for found in destination.walk()] == ["a.parquet"]
    stat = destination.stat("a.parquet")
    assert stat is not None
    assert stat.size_bytes == 5


def test_a_taken_name_is_left_as_it_is(destination) -> None:
    begun(destination, "a", b"first").publish()
    second = begun(destination, "a", b"second")
    second.prepare()
    with pytest.raises(ObjectExistsError):
        second.publish()
    second.abort()
    assert destination.get("a", max_bytes=99) == b"first"
    assert [found.name for found in destination.walk()] == ["a"]


def test_what_is_dropped_leaves_nothing(destination, tmp_path) -> None:
    before = {path for path in tmp_path.rglob("*") if path.is_file()}
    for is_prepared in (False, True):
        sink = begun(destination, "a")
        if is_prepared:
            sink.prepare()
        sink.abort()
        sink.abort()
    assert list(destination.walk()) == []
    assert {path for path in tmp_path.rglob("*") if path.is_file()} == before


def test_small_objects_are_replaced_whole(destination) -> None:
    destination.put_bytes(b"one", "manifest.json")
    destination.put_bytes(b"three", "manifest.json")
    assert destination.get("manifest.json", max_bytes=99) == b"three"
    assert [found.size_bytes for found in destination.walk()] == [5]


@pytest.mark.parametrize(
    "name", ["a b+c%20=é.parquet", "day=2024-01-01/part.parquet", "x/y/z", "-", "=", "__HIVE__"]
)
def test_odd_names_come_back_as_they_went(destination, name) -> None:
    begun(destination, name, b"x").publish()
    destination.put_bytes(b"y", f"{name}.json")
    assert {found.name for found in destination.walk()} == {name, f"{name}.json"}
    assert destination.get(name, max_bytes=1) == b"x"
    destination.remove(name)
    destination.remove(name)
    assert destination.stat(name) is None


@pytest.mark.parametrize("name", ["", "../a", "a/../../b", "/etc/x", "..", "a\\..\\b", "a\0b"])
def test_names_outside_the_prefix_are_refused(destination, name) -> None:
    for act in (
        lambda: destination.create(name),
        lambda: destination.put_bytes(b"", name),
        lambda: destination.get(name, max_bytes=1),
        lambda: destination.stat(name),
        lambda: destination.remove(name),
    ):
        with pytest.raises(DestinationError):
            act()
    assert list(destination.walk()) == []


def test_reads_are_bounded(destination) -> None:
    destination.put_bytes(b"12345", "a")
    with pytest.raises(DestinationError, match="larger than 4"):
        destination.get("a", max_bytes=4)
    assert destination.get("nothing", max_bytes=4) is None
    assert destination.stat("nothing") is None


def test_many_objects_are_all_listed_in_order(destination) -> None:
    names = [f"p{number:04d}" for number in range(150)]
    for name in names:
        destination.put_bytes(b"x", name)
    assert [found.name for found in destination.walk()] == names


def test_two_writers_of_one_prefix_do_not_disturb_each_other(
    request, tmp_path, destination
) -> None:
    first = begun(destination, "one", b"first")
    again = opened(request.node.callspec.params["destination"], tmp_path, request)
    second = begun(again, "two", b"second")
    same = begun(destination, "same"), begun(again, "same")
    first.publish()
    second.publish()
    again.close()
    assert destination.get("one", max_bytes=9) == b"first"
    assert destination.get("two", max_bytes=9) == b"second"
    assert same[0].publish().size_bytes == 4
