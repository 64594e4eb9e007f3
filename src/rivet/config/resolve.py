"""Turn parts of a configuration into what is used: addresses with secrets, tuning, query text.

Secrets are read here, at the last moment, and leave only inside `Secret`.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Final
from urllib.parse import quote

from rivet.config.durations import parse_duration
from rivet.config.engines import EngineForm, engine_form
from rivet.config.output import column_rules, output_plan, writer_options
from rivet.config.problem import CONNECTION, EXPORT_SOURCE, SECRET_UNSET
from rivet.config.profiles import ResolvedTuning, resolve_tuning
from rivet.config.source_url import scheme_fault
from rivet.config.substitute import substitute
from rivet.errors import ConfigError, SecretNotFoundError, UnknownEngineError
from rivet.model.quality import DEFAULT_UNIQUE_ENTRIES, QualityRules
from rivet.model.shape import ChunkRules
from rivet.model.source import SourceAddress, TlsOptions
from rivet.openfile import SHARED_HINT, SharedFileError, read_regular
from rivet.redact import Secret, register_secret

if TYPE_CHECKING:
    from collections.abc import Mapping
    from zoneinfo import ZoneInfo

    from rivet.config.models import Config, ExportConfig
    from rivet.config.source import SourceConfig, TlsConfig

__all__ = [
    "ResolvedTuning",
    "column_rules",
    "output_plan",
    "quality_rules",
    "resolve_query_file",
    "resolve_source",
    "resolve_tuning",
    "writer_options",
]

_MAX_FILE_BYTES: Final = 1024 * 1024


def resolve_source(config: Config, env: Mapping[str, str] | None = None) -> SourceAddress:
    """Find out where the source is, reading secrets from the environment or from files.

    Args:
        config: A loaded configuration.
        env: The environment; None is the process's own.

    Raises:
        SecretNotFoundError: A variable is not set, or a file is missing or empty.
        ConfigError: The URL is the address of another kind of database.
    """
    environment = os.environ if env is None else env
    source = config.source
    form = engine_form(source.type)
    if form is None:
        msg = f"source type '{source.type}' is not a kind of database Rivet knows"
        raise UnknownEngineError(msg)
    tls = _tls(source.tls, config.base_dir)
    key = source.server_public_key
    public_key = None if key is None else Path(key).expanduser()
    url = _url(config, form, environment)
    if url is not None:
        return SourceAddress(
            form.name,
            url=Secret(url),
            tls=tls,
            server_public_key=public_key,
            base_dir=config.base_dir,
        )
    return SourceAddress(
        form.name,
        host=source.host,
        port=None if form.is_file else source.port or form.port,
        user=source.user,
        password=_password(source, environment),
        database=source.path or source.database,
        tls=tls,
        server_public_key=public_key,
        base_dir=config.base_dir,
    )


def _tls(tls: TlsConfig | None, base_dir: Path) -> TlsOptions | None:
    if tls is None:
        return None
    ca_file = None if tls.ca_file is None else base_dir / Path(tls.ca_file).expanduser()
    return TlsOptions(mode=tls.effective_mode, ca_file=ca_file)


def _url(config: Config, form: EngineForm, env: Mapping[str, str]) -> str | None:
    source = config.source
    if source.service is not None:
        return f"{form.schemes[0]}://?service={quote(source.service, safe='')}"
    if source.url is not None:
        key, text = "url", source.url.reveal()
    elif source.url_env is not None:
        key, text = "url_env", _variable(source.url_env, "source.url_env", env)
    elif source.url_file is not None:
        key, text = "url_file", _secret_file(source.url_file, config.base_dir)
    else:
        return None
    where = f"the URL of source.{key}"
    text = substitute(text.strip(), params=config.params, env=env, where=where).text
    register_secret(text)
    if fault := scheme_fault(text, form, key=key):
        raise ConfigError(fault.message, hint=fault.hint, code=fault.code)
    return text


def _password(source: SourceConfig, env: Mapping[str, str]) -> Secret | None:
    if source.password_env is not None:
        return Secret(_variable(source.password_env, "source.password_env", env))
    return source.password


def _variable(name: str, key: str, env: Mapping[str, str]) -> str:
    value = env.get(name)
    if value is None or not value.strip():
        state = "is not set" if value is None else "is empty"
        msg = f"env var '{name}' {state}, and {key} names it"
        hint = f"run `export {name}=...` first"
        raise SecretNotFoundError(msg, hint=hint, code=SECRET_UNSET, variable=name)
    if "\x00" in value:
        msg = f"env var '{name}', named by {key}, holds a NUL character"
        raise ConfigError(msg, hint=f"set {name} again", code=CONNECTION, variable=name)
    return value


def _secret_file(name: str, base_dir: Path) -> str:
    path = base_dir / Path(name).expanduser()
    try:
        text = read_regular(path, max_bytes=_MAX_FILE_BYTES, is_trusted=True).decode().strip()
    except (OSError, UnicodeDecodeError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "it is not UTF-8 text"
        msg = f"source.url_file '{name}' cannot be read: {reason}"
        is_shared = isinstance(error, SharedFileError)
        hint = SHARED_HINT if is_shared else "give the path of a file that holds the URL"
        raise SecretNotFoundError(msg, hint=hint, code=SECRET_UNSET, file=name) from error
    if not text or "\x00" in text:
        msg = f"source.url_file '{name}' is empty or holds no URL"
        raise SecretNotFoundError(msg, hint="write the URL into it", code=SECRET_UNSET, file=name)
    return text


def resolve_query_file(
    config: Config, export: ExportConfig, env: Mapping[str, str] | None = None
) -> str:
    """Read the export's query, with `${NAME}` replaced and without its closing semicolon.

    Args:
        config: For its folder and its parameters.
        export: One that has `query_file`.
        env: The environment; None is the process's own.

    Raises:
        ConfigError: The file is missing, empty, too large, or outside the configuration's folder
            once links are followed.
        SecretNotFoundError: It holds a `${NAME}` that is set nowhere.
    """
    name = export.query_file or ""
    where = f"export '{export.name}': query_file '{name}'"
    base = config.base_dir.resolve()
    path = (base / name).resolve()
    if not name or ".." in Path(name).parts or not path.is_relative_to(base):
        msg = f"{where} must not contain '..' or lead out of the configuration's folder"
        hint = "put the file into the configuration's folder"
        raise ConfigError(msg, hint=hint, code=EXPORT_SOURCE, export=export.name)
    try:
        text = read_regular(path, max_bytes=_MAX_FILE_BYTES).decode("utf-8-sig")
    except FileNotFoundError as error:
        msg = f"{where} does not exist"
        hint = "paths start at the configuration's folder"
        raise ConfigError(msg, hint=hint, code=EXPORT_SOURCE, export=export.name) from error
    except (OSError, UnicodeDecodeError) as error:
        msg = f"{where} cannot be read: {getattr(error, 'strerror', None) or 'it is not UTF-8'}"
        hint = "make it a readable UTF-8 file"
        raise ConfigError(msg, hint=hint, code=EXPORT_SOURCE, export=export.name) from error
    environment = os.environ if env is None else env
    query = substitute(text, params=config.params, env=environment, where=where).text.strip()
    query = query.removesuffix(";").rstrip()
    if not query:
        msg = f"{where} holds no query"
        raise ConfigError(msg, hint="write one SELECT into it", code=EXPORT_SOURCE)
    return query


def chunk_rules(export: ExportConfig) -> ChunkRules:
    """Return what an export says of its chunks; a size that nobody wrote is not said."""
    return ChunkRules(
        column=export.chunk_column,
        size=export.chunk_size if "chunk_size" in export.model_fields_set else None,
        memory_mb=export.chunk_size_memory_mb,
        count=export.chunk_count,
        days=export.chunk_by_days,
        is_dense=export.chunk_dense,
        key=export.chunk_by_key,
        is_checkpointed=export.chunk_checkpoint,
        goes_on=export.keyset_incremental,
    )


def settle_of(export: ExportConfig) -> tuple[str | None, int]:
    """Return the column that tells a row's age, None for the cursor, and the age in seconds."""
    settle = export.settle
    return (None, 0) if settle is None else (settle.column, parse_duration(settle.after))


def zone_of(export: ExportConfig) -> ZoneInfo | None:
    """Return where the clock hangs by which a cursor without a zone is set; None is not said."""
    if export.cursor_zone is None:
        return None
    from zoneinfo import ZoneInfo

    return ZoneInfo(export.cursor_zone)


def quality_rules(export: ExportConfig) -> QualityRules | None:
    """Return the export's quality rules, None where there are none."""
    quality = export.quality
    if quality is None or not quality.model_fields_set:
        return None
    return QualityRules(
        row_count_min=quality.row_count_min,
        row_count_max=quality.row_count_max,
        null_ratio_max=dict(quality.null_ratio_max or {}),
        unique_columns=tuple(quality.unique_columns or ()),
        unique_max_entries=quality.unique_max_entries or DEFAULT_UNIQUE_ENTRIES,
    )
