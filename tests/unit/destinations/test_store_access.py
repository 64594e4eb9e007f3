"""Who signs in at a store, and what is said of it before anything is sent."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from urllib.parse import quote

import pytest

from rivet.destinations import open_destination
from rivet.destinations.store_access import may_use, plain_remarks
from rivet.errors import ConfigError, DestinationAuthError
from rivet.model.sink import SinkRef
from rivet.redact import redact
from support.buckets import AZURE_ACCOUNT

REFUSED = r"not accepted|access denied"


def opened(kind, **keys):
    return open_destination(SinkRef(kind, {"bucket": "b", **keys}))


def sas(left: timedelta) -> str:
    ends = datetime.now(UTC) + left
    return (
        f"?sv=2021-12-02&se={quote(ends.strftime('%Y-%m-%dT%H:%M:%SZ'))}&sp=rwl&sig=c2ln%2Bbm8%3D"
    )


def test_a_signature_that_has_expired_is_refused_before_anything_is_sent(monkeypatch):
    monkeypatch.setenv("SAS", sas(timedelta(minutes=-1)))
    with pytest.raises(DestinationAuthError, match="has expired") as caught:
        opened("azure", account_name="nobody", sas_token_env="SAS", endpoint="http://127.0.0.1:1")
    assert caught.value.error_code == "RIVET_DESTINATION_EXPIRED"


def test_a_signature_that_the_store_refuses_is_not_shown(azure, monkeypatch):
    token = sas(timedelta(minutes=30))
    monkeypatch.setenv("SAS", token)
    block = azure.block("out") | {"sas_token_env": "SAS"}
    del block["account_key_env"], block["type"]
    with pytest.raises(DestinationAuthError, match=REFUSED) as caught:
        open_destination(SinkRef("azure", block))
    assert "c2ln" not in f"{caught.value!r} {caught.value.__context__!r}"
    assert token[1:] not in redact(f"x {token} y")


def test_a_wrong_key_is_told_as_one(azure, monkeypatch):
    monkeypatch.setenv("RIVET_TEST_ACCOUNT_KEY", "d3Jvbmc=")
    block = azure.block("out")
    assert block["account_name"] == AZURE_ACCOUNT
    with pytest.raises(DestinationAuthError, match=REFUSED):
        open_destination(SinkRef(block.pop("type"), block))


def test_without_google_credentials_it_says_where_they_were_looked_for(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("NO_GCE_CHECK", "true")
    monkeypatch.delenv("GOOGLE_APPLICATION_CREDENTIALS", raising=False)
    with pytest.raises(DestinationAuthError, match="no credentials were found in GOOGLE"):
        opened("gcs")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("not json", "cannot be read"),
        (json.dumps({"type": "external_account"}), "external_account"),
    ],
)
def test_google_credentials_that_cannot_be_used_are_named(tmp_path, text, words):
    file = tmp_path / "key.json"
    file.write_text(text)
    with pytest.raises(ConfigError, match=words):
        opened("gcs", credentials_file=str(file), endpoint="http://127.0.0.1:1")


def test_plain_addresses_of_others_are_refused_or_said():
    for endpoint in ("http://store.example", "http://10.0.0.1:9000"):
        with pytest.raises(ConfigError, match="without TLS"):
            may_use(endpoint, "s3://b", allow_http=False)
        assert may_use(endpoint, "s3://b", allow_http=True)
        assert "without TLS" in plain_remarks(endpoint)[0]
    for endpoint in ("https://store.example", None):
        assert not may_use(endpoint, "s3://b", allow_http=True)
        assert plain_remarks(endpoint) == ()
    for endpoint in ("http://127.0.0.1:9000", "http://localhost", "http://[::1]:80"):
        assert may_use(endpoint, "s3://b", allow_http=False)
        assert plain_remarks(endpoint) == ()
    for endpoint in ("store.example", "ftp://x", "https://me:pw@store.example", "https://"):
        with pytest.raises(ConfigError, match="not an address"):
            may_use(endpoint, "s3://b", allow_http=True)
