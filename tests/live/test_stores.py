"""The object stores of the tests do what the real ones do, as far as exports need it."""

from __future__ import annotations

from support.buckets import Bucket

NAMES = ["a b", "a#b", "a%41b", "a+b", "a=b", "é/ü", "x/y", "x/z"]


def new(bucket: Bucket) -> dict[str, str]:
    """The condition of a put that overwrites nothing."""
    return {"gcs": {"x-goog-if-generation-match": "0"}}.get(bucket.kind, {"If-None-Match": "*"})


def test_objects_are_put_read_listed_and_removed(each_bucket: Bucket) -> None:
    for number, name in enumerate(NAMES):
        each_bucket.put(name, b"x" * number)
    assert each_bucket.objects() == {name: number for number, name in enumerate(NAMES)}
    assert each_bucket.objects("x/") == {"x/y": 6, "x/z": 7}
    assert each_bucket.read("x/z") == b"x" * 7
    assert each_bucket.ask("HEAD", "x/z").headers["content-length"] == "7"
    assert each_bucket.ask("GET", "x/z", headers={"Range": "bytes=2-3"}).body == b"xx"
    assert each_bucket.ask("DELETE", "x/z").status in {202, 204}
    assert each_bucket.ask("GET", "x/z").status == 404


def test_a_put_on_condition_overwrites_nothing(each_bucket: Bucket) -> None:
    assert each_bucket.ask("PUT", "a", b"first", headers=new(each_bucket)).status in {200, 201}
    assert each_bucket.ask("PUT", "a", b"second", headers=new(each_bucket)).status in {409, 412}
    assert each_bucket.read("a") == b"first"


def test_parts_that_were_never_completed_are_found(each_bucket: Bucket) -> None:
    if each_bucket.kind == "azure":
        answer = each_bucket.ask("PUT", "a", b"x" * 9, comp="block", blockid="MDE=")
        assert answer.status == 201
    else:
        assert each_bucket.ask("POST", "a", uploads="").status == 200
    assert each_bucket.uploads() == ["a"]
    assert each_bucket.objects() == {}


def test_a_list_of_many_pages_is_read_to_its_end(each_bucket: Bucket) -> None:
    for name in NAMES:
        each_bucket.put(name, b"")
    for page in (1, 3, len(NAMES)):
        assert sorted(each_bucket.objects(page=page)) == sorted(NAMES)


def test_the_own_store_refuses_what_a_real_one_does(gcs: Bucket) -> None:
    answer = gcs.ask("PUT", "a", b"abc", headers={"x-goog-hash": "md5=AAAAAAAAAAAAAAAAAAAAAA=="})
    assert (answer.status, b"BadDigest" in answer.body) == (400, True)
    assert gcs.ask("PUT", "a", b"abc", partNumber="1", uploadId="none").status == 404
    assert gcs.objects() == {}
