"""What must hold between keys: source and whole configuration; one rule per function."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, NoReturn

from rivet.config.engines import EngineForm, engine_form, nearest_engine
from rivet.config.export_rules import check_export
from rivet.config.problem import CONNECTION, MODE_SETTING, OUT_OF_RANGE, PATH_UNSAFE, Problem
from rivet.config.source_url import scheme_fault
from rivet.config.wording import unknown_type
from rivet.model.source import TlsMode
from rivet.redact import register_secret

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from rivet.config.models import Config
    from rivet.config.source import SourceConfig

_URL_KEYS: Final = ("url", "url_env", "url_file")
_FIELD_KEYS: Final = ("host", "port", "user", "password", "password_env", "database")
_UNSAFE_NAME: Final = re.compile(r"[/\\\x00-\x1f\x7f]|\.\.|\A\.|[\s.]\Z|\A\s")
_SETTING_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*(\.[A-Za-z_][A-Za-z0-9_]*)*")
_LONGEST_NAME: Final = 150
_LOAD: Final = "RIVET_CONFIG_LOAD_BLOCK_INVALID"


def check(config: Config, *, base_dir: Path) -> None:
    """Apply every rule, in the order of the text as far as rules have one.

    Args:
        config: As the models took it.
        base_dir: For files that must exist.

    Raises:
        Problem: The first rule that does not hold.
    """
    form = _check_source(config.source)
    if not config.exports:
        raise Problem(
            ("exports",),
            "`exports` is empty: there is nothing to run",
            hint="declare at least one export under `exports:`",
            code="RIVET_CONFIG_NO_EXPORTS",
        )
    names: dict[str, int] = {}
    for index, export in enumerate(config.exports):
        _check_name(export.name, index)
        if export.name in names:
            raise Problem(
                ("exports", index, "name"),
                f"export name '{export.name}' is used twice",
                hint="give every export a unique `name`",
                code="RIVET_CONFIG_DUPLICATE_EXPORT",
            )
        names[export.name] = index
        check_export(config, index, form, base_dir)
        if export.load is not None and config.load is None:
            message = f"export '{export.name}': `load` needs a `load:` block of the whole file"
            raise Problem(("exports", index, "load"), message, code=_LOAD)
        if export.consistency == "run" and export.holds_rows_of_its_own:
            raise Problem(
                ("exports", index, "consistency"),
                f"export '{export.name}': `consistency: run` does not go with a cursor: its window "
                "must be known before the instant is taken",
                hint="use `consistency: export`, the default",
                code=MODE_SETTING,
            )


def _check_name(name: str, index: int) -> None:
    if _UNSAFE_NAME.search(name) or len(name.encode()) > _LONGEST_NAME:
        raise Problem(
            ("exports", index, "name"),
            f"export name '{name[:60]}' cannot be part of a file name",
            hint="use letters, digits, _ and -; no / \\ .. or leading dot, "
            f"at most {_LONGEST_NAME} bytes",
            code=PATH_UNSAFE,
        )


def _check_source(source: SourceConfig) -> EngineForm:
    form = engine_form(source.type)
    if form is None:
        raise unknown_type(source.type, nearest_engine(source.type))
    _check_connection(source, form)
    url = source.url.reveal() if source.url is not None else "${"
    # A configuration made in memory may hold a ${NAME} here, which is known only when it is used.
    if "${" not in url and (fault := scheme_fault(url, form, key="url")):
        raise fault
    _check_tls(source)
    _check_session(source, form)
    if source.server_public_key is not None and not form.takes_public_key:
        message = f"`source.server_public_key` does not go with `{source.type}`"
        raise Problem(("source", "server_public_key"), message, code=MODE_SETTING)
    mongo = source.mongo
    if form.is_document and mongo is not None and mongo.resume and mongo.page_size is None:
        raise Problem(("source", "mongo", "resume"), "`source.mongo.resume` needs `page_size`")
    return form


def _check_connection(source: SourceConfig, form: EngineForm) -> None:
    given = [key for key in (*_URL_KEYS, "path", "service") if key in source.model_fields_set]
    fields = [key for key in _FIELD_KEYS if key in source.model_fields_set]
    if len(given) > 1:
        first, second = given[:2]
        _connection(second, f"`source.{first}` and `source.{second}` exclude each other")
    if given and fields:
        message = f"`source.{given[0]}` and `source.{fields[0]}` exclude each other"
        _connection(fields[0], message)
    if "path" in given and not form.is_file:
        _connection("path", f"`source.path` does not go with `{source.type}`: it is a server")
    if "service" in given and not form.takes_service:
        _connection("service", f"`source.service` does not go with `{source.type}`")
    if fields and form.is_file:
        message = f"`source.{fields[0]}` does not go with `{source.type}`: it is a file"
        _connection(fields[0], message, hint="give the file with `path:`")
    if {"password", "password_env"} <= set(fields):
        _connection(
            "password_env",
            "`source.password` and `source.password_env` exclude each other",
            hint="keep password_env",
        )
    if not given:
        _check_fields(source, fields, form)


def _check_fields(source: SourceConfig, fields: Sequence[str], form: EngineForm) -> None:
    if not fields:
        ways = "`path` or `url`" if form.is_file else "`url_env`, `url`, `url_file` or `host`"
        _connection(None, f"`source` says not where the database is: {ways} is missing")
    missing = [key for key in ("host", "user", "database") if getattr(source, key) is None]
    if missing:
        message = f"`source.{missing[0]}` is missing"
        _connection(None, message, hint="separate fields need host, user and database")


def _connection(key: str | None, message: str, *, hint: str | None = None) -> NoReturn:
    path = ("source", key) if key else ("source",)
    if hint is None:
        hint = (
            "give exactly one of url, url_env, url_file, path, or host with user and database"
            if key
            else "for example `url_env: DATABASE_URL`"
        )
    raise Problem(path, message, hint=hint, code=CONNECTION)


def _check_session(source: SourceConfig, form: EngineForm) -> None:
    """Refuse settings that are no names, and those on which exact and bounded reading rests."""
    if source.session and form.kept_settings is None:
        message = f"`source.session` does not go with `{source.type}`: it has no such settings"
        raise Problem(("source", "session"), message, hint="remove `session`", code=MODE_SETTING)
    for name, value in source.session.items():
        if "." in name:  # an application's own, which may let it in
            register_secret(value)
        path = ("source", "session", name)
        if not _SETTING_NAME.fullmatch(name):
            message = f"`source.session` holds '{name[:60]}', which is no name of a setting"
            raise Problem(path, message, hint="use a name such as TimeZone", code=OUT_OF_RANGE)
        if name.lower() in (form.kept_settings or ()):
            message = f"`source.session.{name}` is decided by Rivet: exact, bounded reads need it"
            hint = f"remove `{name}`; time limits are set under `tuning`"
            raise Problem(path, message, hint=hint, code=MODE_SETTING)


def _check_tls(source: SourceConfig) -> None:
    tls = source.tls
    if tls is None:
        return
    is_chosen = "mode" in tls.model_fields_set and tls.mode is not TlsMode.DISABLE
    for switch in ("accept_invalid_certs", "accept_invalid_hostnames"):
        if is_chosen and getattr(tls, switch):
            raise Problem(
                ("source", "tls", switch),
                f"`source.tls.{switch}` contradicts `mode: {tls.mode}`",
                hint="remove it and trust a private authority with `ca_file`, or remove `mode`",
                code="RIVET_CONFIG_TLS_VERIFICATION_DOWNGRADE",
            )
