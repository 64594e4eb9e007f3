"""The object stores of the tests do what the real ones do, as far as exports need it."""

from __future__ import annotations

from support.buckets import Bucket

NAMES = ["a b", "a#b", "a%41b", "a+b", "a=b", "é/ü", "x/y", "x/z"]


def new(bucket: Bucket) -> dict[str, str]:
    """The condition of a put that overwrites nothing."""
    return {"gcs": {"x-goog-if-generation-match": "0"}}.get(bucket.kind, {"If-None-Match": "*"})


def test_objects_are_put_read_listed_and_removed(bucket: Bucket) -> None:
    for number, name in enumerate(NAMES):
        bucket.put(name, b"x" * number)
    assert bucket.objects() == {name: number for number, name in enumerate(NAMES)}
    assert bucket.objects("x/") == {"x/y": 6, "x/z": 7}
    assert bucket.read("x/z") == b"x" * 7
    assert bucket.ask("HEAD", "x/z").headers["content-length"] == "7"
    assert bucket.ask("GET", "x/z", headers={"Range": "bytes=2-3"}).body == b"xx"
    assert bucket.ask("DELETE", "x/z").status in {202, 204}
    assert bucket.ask("GET", "x/z").status == 404


def test_a_put_on_condition_overwrites_nothing(bucket: Bucket) -> None:
    assert bucket.ask("PUT", "a", b"first", headers=new(bucket)).status in {200, 201}
    assert bucket.ask("PUT", "a", b"second", headers=new(bucket)).status in {409, 412}
    assert bucket.read("a") == b"first"


def test_parts_that_were_never_completed_are_found(bucket: Bucket) -> None:
    if bucket.kind == "azure":
        answer = bucket.ask("PUT", "a", b"x" * 9, comp="block", blockid="MDE=")
        assert answer.status == 201
    else:
        assert bucket.ask("POST", "a", uploads="").status == 200
    assert bucket.uploads() == ["a"]
    assert bucket.objects() == {}


def test_a_list_of_many_pages_is_read_to_its_end(bucket: Bucket) -> None:
    for name in NAMES:
        bucket.put(name, b"")
    for page in (1, 3, len(NAMES)):
        assert sorted(bucket.objects(page=page)) == sorted(NAMES)


def test_the_own_store_refuses_what_a_real_one_does(gcs: Bucket) -> None:
    answer = gcs.ask("PUT", "a", b"abc", headers={"x-goog-hash": "md5=AAAAAAAAAAAAAAAAAAAAAA=="})
    assert (answer.status, b"BadDigest" in answer.body) == (400, True)
    assert gcs.ask("PUT", "a", b"abc", partNumber="1", uploadId="none").status == 404
    assert gcs.objects() == {}
