"""Files of TLS that are damaged, empty or other files: one clear line at once, never a login."""

from __future__ import annotations

import importlib
import time

import pytest

from rivet.errors import ConfigError, RivetError, SourceAuthError
from rivet.model.source import SessionSettings, SourceAddress, TlsMode, TlsOptions
from rivet.redact import Secret
from support.clusters import make_certificates

LIMIT_S = 3


@pytest.fixture
def files(tmp_path):
    """What may stand in the place of a file, by what is wrong with it."""
    other = tmp_path / "other"
    other.mkdir()
    make_certificates(other)
    whole = (other / "ca.crt").read_bytes()
    lines = whole.splitlines(keepends=True)
    texts = {
        "empty": b"",
        "words": b"no certificate\n",
        "key": (other / "ca.key").read_bytes(),
        "cut": whole[: len(whole) // 2],
        "damaged": b"".join([*lines[:3], b"!!!!" + lines[3][4:], *lines[4:]]),
        "header": b"-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----\n",
        "bytes": bytes(range(256)) * 20,
        "other": whole,
    }
    for name, data in texts.items():
        (tmp_path / f"{name}.pem").write_bytes(data)
        (tmp_path / f"{name}.pem").chmod(0o600)
    (tmp_path / "folder.pem").mkdir()
    return {name: tmp_path / f"{name}.pem" for name in (*texts, "folder", "missing")}


def refused(engine, label, address):
    connect = importlib.import_module(f"rivet.sources.{engine}").connect
    began = time.monotonic()
    with pytest.raises(RivetError) as caught, connect(address, SessionSettings()):
        pytest.fail(f"{label}: connected")
    assert time.monotonic() - began < LIMIT_S, label
    error = caught.value
    # Asking again would give the same: the code is 1, and no hint points elsewhere.
    assert type(error) in {ConfigError, SourceAuthError}, (label, error)
    assert (error.exit_code, "\n" in error.message, "bug" in error.message) == (1, False, False)
    assert error.hint, label
    assert "host and port" not in error.hint, label
    return error


@pytest.mark.live("postgresql", "mysql")
@pytest.mark.parametrize(
    ("engine", "fixture"), [("postgres", "tls_postgres"), ("mysql", "tls_mariadb")]
)
def test_an_authority_that_is_none(request, engine, fixture, files):
    database = request.getfixturevalue(fixture)
    kind = "postgresql" if engine == "postgres" else engine
    url = database.url.replace("127.0.0.1", "localhost")
    own = {
        "postgres": "?sslmode=verify-full&sslrootcert=",
        "mysql": "?ssl-mode=VERIFY_IDENTITY&ssl-ca=",
    }[engine]
    for name, path in files.items():
        tls = TlsOptions(TlsMode.VERIFY_FULL, path)
        error = refused(engine, name, SourceAddress(kind, url=Secret(url), tls=tls))
        assert name == "other" or path.name in error.message
        refused(engine, name, SourceAddress(kind, url=Secret(f"{url}{own}{path}")))


@pytest.mark.live("postgresql")
def test_files_that_libpq_opens(tls_postgres, files):
    home = tls_postgres.home
    own_key = files["missing"].with_name("own.key")
    own_key.write_bytes((home / "server.key").read_bytes())
    own_key.chmod(0o600)
    whole = {
        "sslrootcert": home / "ca.crt",
        "sslcrl": None,
        "sslcert": home / "server.crt",
        "sslkey": own_key,
    }
    for changed in (None, *whole):
        if changed is None:  # as it should be
            words = "".join(f"&{key}={file}" for key, file in whole.items() if file)
            url = Secret(f"{tls_postgres.url}?sslmode=require{words}")
            connect = importlib.import_module("rivet.sources.postgres").connect
            with connect(SourceAddress("postgresql", url=url), SessionSettings()):
                continue
        for name, path in files.items():
            if (changed, name) == ("sslcert", "missing"):
                continue  # then none is shown, as libpq has it
            chosen = {key: file for key, file in whole.items() if file} | {changed: path}
            if changed == "sslcrl":
                chosen = {"sslrootcert": whole["sslrootcert"], "sslcrl": path}
            words = "".join(f"&{key}={file}" for key, file in chosen.items())
            url = f"{tls_postgres.url}?sslmode=require{words}"
            refused("postgres", (changed, name), SourceAddress("postgresql", url=Secret(url)))
