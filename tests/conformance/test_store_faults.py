"""What a destination must do when its store refuses, loses answers or keeps something else."""

from __future__ import annotations

import random
from contextlib import contextmanager

import pytest

from rivet.errors import (
    DestinationAuthError,
    DestinationError,
    DestinationTimeoutError,
    ObjectExistsError,
)
from support.buckets import ACCESS_KEY, KINDS, SECRET_KEY
from support.faultproxy import Fault, FaultProxy
from support.places import begun

LARGE = random.Random(2).randbytes((8 << 20) + 999)


@contextmanager
def behind(place, plan):
    """Open the place's prefix behind a proxy whose plan begins once it is open."""
    with FaultProxy(place.bucket.endpoint) as proxy:
        out = place.open("out", proxy.url)
        proxy.seen.clear()
        proxy.plan = plan
        yield out, proxy
        proxy.plan = lambda _: None
        out.close()


def once(kind: str, fault: Fault):
    """Return a plan by which the first request of a kind goes wrong."""
    left = [fault]
    return lambda request: left.pop() if request.kind == kind and left else None


def always(kind: str, fault: Fault):
    """Return a plan by which every request of a kind goes wrong."""
    return lambda request: fault if request.kind == kind else None


# How many requests each call makes; what is more costs money and time in every run.
REQUESTS = {
    "s3": {
        "open": {"start": 1, "part": 1, "abort": 1},
        "small": {"put": 1},
        "bytes": {"put": 1},
        "large": {"head": 2, "start": 1, "part": 2, "complete": 1},
        "stat": {"head": 1},
        "get": {"get": 1},
        "list": {"list": 1},
        "remove": {"delete": 1},
    },
}
REQUESTS["gcs"] = REQUESTS["s3"]
REQUESTS["azure"] = REQUESTS["s3"] | {
    "open": {"part": 1},
    "small": {"put": 1, "head": 1},
    "bytes": {"put": 1, "head": 1},
    "large": {"head": 2, "part": 2, "complete": 1},
}
FAULTS = {
    "SlowDown": Fault(status=503),
    "TooManyRequests": Fault(status=429),
    "reset": Fault(reset_after=10),
    "unanswered": Fault(reset_answer_after=0),
    "cut": Fault(truncate_after=30),
}


def _each_once():
    """Yield all faults on one store, and on the others what their client may do another way."""
    for store in KINDS:
        for name, fault in FAULTS.items():
            shown = {"SlowDown", "reset", "unanswered"} if store == "moto" else {"unanswered"}
            marks = [] if name in shown else [pytest.mark.soak]
            yield pytest.param(store, fault, id=f"{store}-{name}", marks=marks)


@pytest.mark.parametrize(("store_place", "fault"), [*_each_once()], indirect=["store_place"])
def test_what_passes_is_tried_again(store_place, fault) -> None:
    bodies = {"put": b"small", "part": LARGE, "complete": LARGE}
    for kind, body in bodies.items():
        with behind(store_place, once(kind, fault)) as (out, proxy):
            sink = begun(out, kind, body)
            sink.prepare()
            assert sink.publish().size_bytes == len(body)
            assert proxy.faults == 1
        assert store_place.read(f"out/{kind}") == body
    assert store_place.keys() == {f"out/{kind}" for kind in bodies}
    assert store_place.dangling() == []


@pytest.mark.parametrize("kind", ["put", "part", "complete"])
def test_a_refusal_leaves_nothing_and_repeats_no_secret(store_place, kind) -> None:
    body = b"small" if kind == "put" else LARGE
    with behind(store_place, always(kind, Fault(status=403))) as (out, proxy):
        sink = out.create("a")
        with pytest.raises(DestinationError) as caught:
            written(sink, body)
        sink.abort()
        assert proxy.faults
    assert store_place.keys() == set()
    if store_place.name != "azure":
        assert store_place.dangling() == []
    told = f"{caught.value} {caught.value.hint} {caught.value!r}"
    assert all(secret not in told for secret in (ACCESS_KEY, SECRET_KEY, "Authorization"))


def test_opening_proves_the_right_to_write(store_place) -> None:
    with FaultProxy(store_place.bucket.endpoint) as proxy:
        denied = Fault(status=403)
        proxy.plan = lambda request: denied if request.kind in {"start", "part", "put"} else None
        with pytest.raises(DestinationAuthError):
            store_place.open("out", proxy.url)
    assert store_place.keys() == set()


def written(sink, body: bytes) -> None:
    sink.write(body)
    sink.prepare()
    sink.publish()


def test_an_answer_that_is_lost_and_a_name_that_is_taken_are_told_apart(store_place) -> None:
    for body in (b"small", LARGE):
        with behind(store_place, lambda _: None) as (out, proxy):
            store_place.put("out/a", b"theirs")
            sink = begun(out, "a", body)
            sink.prepare()
            kind = "put" if body == b"small" else "complete"
            proxy.plan = once(kind, Fault(reset_answer_after=0))
            with pytest.raises(ObjectExistsError):
                sink.publish()
            sink.abort()
    assert store_place.read("out/a") == b"theirs"


@pytest.mark.parametrize(("body", "kind"), [(b"small", "put"), (LARGE, "part")])
def test_bytes_that_change_on_the_way_are_found(store_place, body, kind) -> None:
    if store_place.bucket.kind != "s3":
        pytest.skip("ETags are no checksums there")
    with behind(store_place, lambda _: None) as (out, proxy):
        begun(out, "good", body).publish()  # a store of plain ETags is known by one
        proxy.plan = once(kind, Fault(is_flipped=True))
        sink = begun(out, "bad", body)
        with pytest.raises(DestinationError, match="checksum"):
            sink.publish()
        sink.abort()
    assert store_place.keys() == {"out/good"}
    assert store_place.dangling() == []


def test_reads_and_lists_are_tried_again(store_place) -> None:
    store_place.put("out/a", b"body")
    kinds = ["get", "head", "list", "delete"]
    faults = [Fault(reset_answer_after=0)]
    if store_place.name == "moto":
        faults += [Fault(status=503), Fault(truncate_after=40)]
    for fault in faults:
        with behind(store_place, lambda _: None) as (out, proxy):
            for kind in kinds:
                proxy.plan = once(kind, fault)
                if kind == "get":
                    assert out.get("a", max_bytes=4) == b"body"
                elif kind == "head":
                    assert out.stat("a").size_bytes == 4
                elif kind == "list":
                    assert [found.name for found in out.walk()] == ["a"]
                else:
                    out.remove("a")
        assert store_place.keys() == set()
        store_place.put("out/a", b"body")


def test_the_requests_of_each_call_are_few(store_place) -> None:
    asked = {}
    with FaultProxy(store_place.bucket.endpoint) as proxy:

        def count(name: str, call):
            proxy.seen.clear()
            result = call()
            asked[name] = dict(proxy.seen)
            return result

        out = count("open", lambda: store_place.open("out", proxy.url))
        count("small", begun(out, "a", b"x").publish)
        count("bytes", lambda: out.put_bytes(b"y", "b"))
        count("large", lambda: begun(out, "c", LARGE).publish())
        count("stat", lambda: out.stat("a"))
        count("get", lambda: out.get("a", max_bytes=1))
        count("list", lambda: list(out.walk()))
        count("remove", lambda: out.remove("a"))
        out.close()
    assert asked == REQUESTS[store_place.bucket.kind]


@pytest.mark.parametrize("store_place", ["moto"], indirect=True)
def test_a_store_that_hangs_is_waited_for_as_long_as_was_said(store_place) -> None:
    with FaultProxy(store_place.bucket.endpoint) as proxy:
        out = store_place.open("out", proxy.url, timeout_s=1)
        store_place.put("out/a", b"theirs")
        proxy.plan = lambda _: Fault(is_hanging=True)
        calls = [
            lambda: out.put_bytes(b"late", "b"),
            lambda: out.get("a", max_bytes=9),
            lambda: out.remove("a"),
        ]
        for call in calls:
            with pytest.raises(DestinationTimeoutError):
                call()
        out.close()
    assert store_place.keys() == {"out/a"}
    assert store_place.read("out/a") == b"theirs"
