"""The proxy in front of object stores does each fault as it is ordered, and counts right."""

from __future__ import annotations

import time
from dataclasses import replace
from http.client import HTTPConnection, IncompleteRead
from urllib.parse import urlsplit

import pytest

from support.buckets import Bucket
from support.faultproxy import Fault, FaultProxy, RandomFaults, Request

PART = Request("part", "/b/a", 1000)


@pytest.fixture
def proxy(gcs: Bucket):
    with FaultProxy(gcs.endpoint) as made:
        yield made


@pytest.fixture
def through(gcs: Bucket, proxy: FaultProxy) -> Bucket:
    return replace(gcs, endpoint=proxy.url)


def test_requests_are_passed_on_and_counted_by_kind(each_bucket: Bucket) -> None:
    with FaultProxy(each_bucket.endpoint) as proxy:
        through = replace(each_bucket, endpoint=proxy.url)
        through.put("a#é", b"x" * 100_000)
        assert through.read("a#é") == each_bucket.read("a#é") == b"x" * 100_000
        assert through.ask("HEAD", "a#é").headers["content-length"] == "100000"
        assert through.objects() == {"a#é": 100_000}
        assert through.ask("DELETE", "a#é").status in {202, 204}
    assert proxy.seen == {"put": 1, "get": 1, "head": 1, "list": proxy.seen["list"], "delete": 1}
    assert proxy.faults == 0
    put = proxy.asked[0]
    assert (put.kind, put.path.endswith("/a#é"), put.size) == ("put", True, 100_000)


def test_the_requests_of_an_upload_are_told_apart(gcs: Bucket, through: Bucket, proxy) -> None:
    begun = through.ask("POST", "a", uploads="").body.decode()
    number = begun.partition("<UploadId>")[2].partition("<")[0]
    through.ask("PUT", "a", b"part", partNumber="1", uploadId=number)
    assert gcs.uploads() == through.uploads() == ["a"]
    through.ask("POST", "a", b"<C></C>", uploadId=number)
    through.ask("DELETE", "a", uploadId=number)
    through.ask("PUT", "b", headers={"x-goog-copy-source": f"{gcs.name}/a"})
    kinds = [one.kind for one in proxy.asked]
    assert kinds == ["start", "part", "uploads", "complete", "abort", "copy"]


@pytest.mark.parametrize("status", [429, 500, 503])
def test_a_refusal_does_not_reach_the_store(gcs, through, proxy, status) -> None:
    proxy.plan = lambda _: Fault(status=status)
    answer = through.ask("PUT", "a", b"abc")
    assert answer.status == status
    assert (b"<Code>SlowDown</Code>" in answer.body) == (status == 503)
    assert gcs.objects() == {}


def test_a_reset_on_the_way_does_not_reach_the_store(gcs, through, proxy) -> None:
    proxy.plan = lambda _: Fault(reset_after=1000)
    with pytest.raises(ConnectionError):
        through.put("a", b"x" * 10_000_000)
    assert gcs.objects() == {}


def test_what_was_done_may_go_unanswered(gcs, through, proxy) -> None:
    proxy.plan = lambda _: Fault(reset_answer_after=0)
    with pytest.raises(ConnectionError):
        through.put("a", b"x")
    assert gcs.objects() == {"a": 1}


def test_an_answer_may_be_cut_or_promise_more_or_less_than_there_is(gcs, through, proxy) -> None:
    gcs.put("a", b"x" * 1000)
    for fault in (Fault(truncate_after=500), Fault(longer_by=5)):
        proxy.plan = lambda _, fault=fault: fault
        with pytest.raises(IncompleteRead):
            through.read("a")
    proxy.plan = lambda _: Fault(longer_by=-5)
    assert len(through.read("a")) == 995


def test_a_request_may_hang(through, proxy) -> None:
    proxy.plan = lambda _: Fault(is_hanging=True)
    connection = HTTPConnection(urlsplit(proxy.url).netloc, timeout=0.2)
    connection.request("GET", f"/{through.name}/a")
    with pytest.raises(TimeoutError):
        connection.getresponse()
    connection.close()


def test_bytes_and_answers_take_their_time(gcs, through, proxy) -> None:
    proxy.bytes_per_s = 1e6
    proxy.latency_s = 0.1
    began = time.monotonic()
    through.put("a", b"x" * 200_000)
    assert time.monotonic() - began > 0.29
    assert gcs.read("a") == b"x" * 200_000


def test_a_seed_gives_the_same_faults() -> None:
    def drawn(seed: int) -> list[Fault | None]:
        plan = RandomFaults(seed)
        return [plan(PART) for _ in range(200)]

    assert drawn(1) == drawn(1) != drawn(2)
    faults = [fault for fault in drawn(1) if fault]
    assert 10 < len(faults) < 100
    longest = most = 0
    for fault in drawn(1):
        longest = longest + 1 if fault and fault.status else 0
        most = max(most, longest)
    assert most <= 3 * 2  # a burst after a burst
