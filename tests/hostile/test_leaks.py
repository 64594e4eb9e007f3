"""No secret is in any output, file, log or traceback, whatever goes wrong on the way to a server.

Each goes through every channel that can carry one, by `make soak`; `make test` takes a share. What
is found is compared with spellings that this file knows by itself.
"""

import base64
import json
import re
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote, quote_plus

import pytest

from rivet.errors import StateError
from rivet.state.store import open_store
from support import leaks, warm
from support.children import paused, wait_until
from support.clusters import PASSWORD

# Of what is longer than twelve characters, no such piece may be shown; of what is shorter, nothing.
PIECE = 12
AT_ONCE = 3
NASTY = [
    *("a", "7", "é", "%", "x1", "€$", "q'z", "%41", "#9$", "№7"),
    *("hunter2", "nul1", "~/.x", "1e999", "00123", "p@ss", "p:q:r", "p/q/r"),
    *("pa ss wo", "q'uo\"te`d", "tab\tul\x07r", "back\\sl\\ash", "new\nli\nne", "${HOME}x", "${"),
    *("%41%42%43", "p%zz%q", "#c0mment!", "&anch0r x", "*al1as-y", "!tag-yz9", "@at-s1gn"),
    *("{br: ace9}", "[li, st9]", "k3y: v4lue", "ünï-cödé-ß", "密码-пароль", "\u202erl0-9876"),
    "o'br1en-s3cret; DROP TABLE x --",
    "Tr0ub4dor&3/" * 10,
]


def _yaml(value):
    return json.dumps(value)


def _exports(**keys):
    given = {"name": "x", "table": "t", "format": "csv"} | keys
    destination = {"type": "local", "path": "out"}
    return [{**given, "destination": destination}]


def _config(source, **keys):
    tuning = {"max_retries": 0, "connect_timeout_s": 3}
    return json.dumps({"source": {"tuning": tuning, **source}, "exports": _exports(**keys)})


def _with_token(secret, source, query):
    """Return a configuration whose query holds `${API_TOKEN}`."""
    return {"rivet.yaml": _config(source, table=None, query=query)}, {"API_TOKEN": secret}


def _of_server(name, server, wrong, right):
    """Yield (channel, files, environment) for a server by its URL without a password."""
    scheme, at = server
    plain = {"type": scheme, "host": at[0], "port": at[1], "database": "nowhere"}
    tail = f"{at[0]}:{at[1]}/nowhere"

    def files(source, **keys):
        return {"rivet.yaml": _config(source, **keys)}

    def channels(secret):
        encoded = quote(secret, safe="")
        url = f"{scheme}://rivet:{encoded}@{tail}"
        raw = f"{scheme}://rivet:{secret}@{tail}"
        yield "url", files({"type": scheme, "url": url}), {}
        yield "raw-url", files({"type": scheme, "url_env": "U"}), {"U": raw}
        yield "option", files({"type": scheme, "url_env": "U"}), {"U": f"{url}?x={secret}"}
        yield (
            "url-file",
            {**files({"type": scheme, "url_file": "url"}), "url": raw if "\n" in secret else url},
            {},
        )
        yield "key", files({**plain, "user": "rivet", "password": secret}), {}
        yield (
            "name",
            files({**plain, "user": secret, "database": secret, "password_env": "P"}, table=secret),
            {"P": secret},
        )
        yield (
            "reference",
            files({"type": scheme, "url": f"{scheme}://rivet:${{DB_PASSWORD}}@{tail}"}),
            {"DB_PASSWORD": secret},
        )
        closed = {**plain, "port": 1, "user": "u", "password_env": "P"}
        yield "refused", files(closed), {"P": secret}
        tls = {**plain, "user": secret, "password_env": "P", "tls": {"mode": "require"}}
        yield "tls", files(tls), {"P": secret}
        good = {"type": scheme, "url": right}
        yield "query", *_with_token(secret, good, "SELECT '${API_TOKEN}' AS a FROM nowhere")
        yield "bare", *_with_token(secret, good, "SELECT 1 FROM ${API_TOKEN}")
        zone = "TimeZone" if scheme == "postgresql" else "time_zone"
        yield (
            "session",
            files({**good, "session": {zone: "${MY_TOKEN}"}}),
            {"MY_TOKEN": secret},
        )

    return [(f"{name}-{kind}", files_, env) for kind, files_, env in channels(wrong)]


def _of_postgres(server, secret, right):
    at = server[1]
    plain = {"type": "postgresql", "host": at[0], "port": at[1], "database": "n", "user": "rivet"}
    conninfo = f"host={at[0]} port={at[1]} user=rivet dbname=n"
    encoded = quote(secret, safe="")
    line = secret.replace("\n", "").strip()
    escaped = line.replace("\\", "\\\\").replace(":", "\\:")
    yield "variable", {"rivet.yaml": _config(plain)}, {"PGPASSWORD": secret}
    yield (
        "passfile",
        {"rivet.yaml": _config({**plain, "user": line}), ".pgpass": f"*:*:*:*:{escaped}\n"},
        {},
    )
    service = f"[s]\nhost={at[0]}\nport={at[1]}\nuser={line}\npassword={line}\ndbname={line}\n"
    config = _config({"type": "postgresql", "service": "s"})
    yield "service", {"rivet.yaml": config, ".pg_service.conf": service}, {}
    quoted = secret.replace("\\", "\\\\").replace("'", "\\'")
    yield (
        "conninfo",
        {"rivet.yaml": _config({"type": "postgresql", "url_env": "U"})},
        {"U": f"{conninfo} password='{quoted}' sslpassword='{quoted}'"},
    )
    yield (
        "raw-conninfo",
        {"rivet.yaml": _config({"type": "postgresql", "url_env": "U"})},
        {"U": f"{conninfo} password={secret}"},
    )
    key = f"postgresql://rivet@{at[0]}:{at[1]}/n?password={encoded}&sslpassword={encoded}&sslkey=no"
    yield "parameter", {"rivet.yaml": _config({"type": "postgresql", "url": key})}, {}
    own = {"type": "postgresql", "url": right, "session": {"app.token": secret, "DateStyle": "?"}}
    yield "own-setting", {"rivet.yaml": _config(own)}, {}


def _of_anything(server, secret):
    at = server[1]
    sqlite = _config({"type": "sqlite", "path": "a.db"})
    state = f"postgresql://rivet:{quote(secret, safe='')}@{at[0]}:{at[1]}/nowhere"
    raw = f"postgresql://rivet:{secret}@{at[0]}:{at[1]}/nowhere"
    yield "state", {"rivet.yaml": sqlite}, {"RIVET_STATE_URL": state}
    yield "raw-state", {"rivet.yaml": sqlite}, {"RIVET_STATE_URL": raw}
    yield "bare-state", {"rivet.yaml": sqlite}, {"RIVET_STATE_URL": f"{secret}@host"}
    yield (
        "good",
        *_with_token(
            secret,
            {"type": "sqlite", "path": "a.db"},
            "SELECT 1 AS number WHERE 'x' <> :t /* ${API_TOKEN} */".replace(":t", "''"),
        ),
    )
    bad = {"type": "mysql", "host": "h", "password": secret, "port": secret, secret: secret}
    yield "validation", {"rivet.yaml": _config(bad)}, {}
    head = "source:\n  type: mysql\n  host: h\n  user: u\n"
    tail = "\nexports: []\n"
    yield "yaml", {"rivet.yaml": f"{head}  password: {secret}{tail}"}, {}
    yield "open-quote", {"rivet.yaml": f'{head}  password: "{secret}{tail}'}, {}
    flow = "{type: mysql, host: h, user: u, password: "
    yield "flow", {"rivet.yaml": f"source: {flow}{secret}}}{tail}"}, {}
    yield "url-yaml", {"rivet.yaml": f"{head}  url: mysql://u:{secret}@h/d{tail}"}, {}


def spellings(secret):
    """Return how a secret may be written, as bytes."""
    texts = {
        secret,
        quote(secret, safe=""),
        quote_plus(secret),
        json.dumps(secret)[1:-1],
        repr(secret)[1:-1],
        ascii(secret)[1:-1],
        secret.replace("'", "''"),
        secret.replace("\\", "\\\\"),
    }
    found = {text.encode() for text in texts}
    if len(secret) >= 6:
        data = secret.encode()
        found |= {data.hex().encode(), base64.b64encode(data), secret.lower().encode()}
        found |= {secret.encode("utf-16-le"), data.decode("latin1").encode()}
    return found


def shown_of(secret, data):
    """Return what a text shows of a secret."""
    if len(secret) < 4:
        alone = re.escape(secret.encode())
        found = re.search(rb"['\"`]" + alone + rb"['\"`]|:" + alone + b"@|password=" + alone, data)
        return found and found.group()
    for form in spellings(secret):
        if form in data:
            return form
        for at in range(len(form) - PIECE + 1):
            if form[at : at + PIECE] in data:
                return form[at : at + PIECE]
    return None


@pytest.fixture(scope="module")
def servers(any_postgres_server, mariadb_server):
    def place(url):
        host, _, port = url.rpartition("@")[2].partition("/")[0].partition(":")
        return host, int(port)

    with any_postgres_server.fresh_database() as one, mariadb_server.fresh_database() as other:
        yield (
            (("postgresql", place(one.url)), one.url),
            (("mysql", place(other.url)), other.url),
        )


@dataclass(frozen=True)
class Order:
    """One run with a secret; `files` are those that hold it on purpose."""

    secret: str
    folder: Path
    files: frozenset[str]
    entry: str
    arguments: list[str]
    environment: dict[str, str]


def orders_of(servers, folder, share):
    (postgres, good_postgres), (mysql, good_mysql) = servers
    for number, secret in enumerate(NASTY):
        channels = [
            *_of_server("pg", postgres, secret, good_postgres),
            *_of_server("my", mysql, secret, good_mysql),
            *_of_postgres(postgres, secret, good_postgres),
            *_of_anything(postgres, secret),
        ]
        for place, (name, files, env) in enumerate(channels):
            if (number * 3 + place) % share:
                continue
            here = folder / f"{number}-{name}"
            here.mkdir()
            for file, text in files.items():
                (here / file).write_text(text)
                (here / file).chmod(0o600)
            if not (here / "a.db").exists():
                (here / "a.db").touch()
            entry = leaks.PROGRAM if number % 3 == 0 else warm.RIVET
            arguments = ["run", "-c", "rivet.yaml", "--summary-output", "summary.json"]
            arguments += [["--json", "--json-errors"], []][number % 2]
            usual = {**warm.plain_environment(), "HOME": str(here), "RIVET_TRACEBACK": "1"}
            yield Order(secret, here, frozenset(files), entry, arguments, {**usual, **env})


def leaks_of(orders):
    """Return (folder, file, secret, what is shown of it) of every leak."""
    with ThreadPoolExecutor(AT_ONCE) as pool:
        return [leak for found in pool.map(_leaks_of_one, orders) for leak in found]


def _leaks_of_one(order):
    ended = warm.server().run(
        order.arguments, order.folder, order.environment, 60, entry=order.entry
    )
    assert ended.stdout or ended.stderr, order.folder
    streams = {"stdout": ended.stdout, "stderr": ended.stderr}
    told = {name: text.encode(errors="surrogateescape") for name, text in streams.items()}
    for path in order.folder.rglob("*"):
        if path.is_file() and path.name not in order.files:
            told[path.name] = path.read_bytes()
    return [
        (order.folder.name, name, one, shown)
        for name, data in told.items()
        for one in (order.secret, PASSWORD)
        if (shown := shown_of(one, data))
    ]


def test_no_secret_is_shown_or_kept(servers, tmp_path):
    """Each secret through some channels, and some secrets through each channel."""
    assert leaks_of(orders_of(servers, tmp_path, share=11)) == []


@pytest.mark.parametrize("secret", ["%", "%zz", "pa ss wo", "[li, st9]"])
def test_a_state_url_that_is_none_is_in_no_error_of_the_chain(secret, tmp_path):
    with pytest.raises(StateError) as caught:
        open_store(tmp_path, url=f"postgresql://u:{secret}@h/d")
    assert "not a valid" in caught.value.message
    error = caught.value
    while error is not None:
        assert secret not in str(error)
        error = error.__cause__ or error.__context__


@pytest.mark.soak
@pytest.mark.timeout(3600)
def test_no_secret_is_shown_or_kept_by_any_channel(servers, tmp_path):
    assert leaks_of(orders_of(servers, tmp_path, share=1)) == []


def descendants(pid):
    """Return a process and all below it."""
    found = [pid]
    for one in found:
        for task in Path(f"/proc/{one}/task").glob("*/children"):
            found += map(int, task.read_text().split())
    return found


def test_no_process_is_told_a_secret_by_what_others_can_see(servers, tmp_path, rivet):
    (_, url), _ = servers
    exports = [{**_exports()[0], "name": name, "query": "SELECT 1", "table": None} for name in "xy"]
    source = {"type": "postgresql", "url_file": "url", "session": {"app.token": NASTY[-1]}}
    (tmp_path / "url").write_text(url)
    (tmp_path / "rivet.yaml").write_text(json.dumps({"source": source, "exports": exports}))
    held = tmp_path / "held"
    held.touch()
    fault = {"RIVET_FAULT": "pause@started", "RIVET_FAULT_MARKER": str(held)}
    arguments = ("run", "-c", "rivet.yaml", "--parallel-export-processes")
    with rivet.start(*arguments, env={**rivet.environment, **fault}) as process:
        wait_until(lambda: paused(held) == len(exports))
        for pid in descendants(process.pid):
            for name in ("cmdline", "environ"):
                data = Path(f"/proc/{pid}/{name}").read_bytes()
                assert shown_of(PASSWORD, data) is None
                assert shown_of(NASTY[-1], data) is None
        held.unlink()
        _, said = process.communicate(timeout=60)
    assert process.returncode == 0, said
