"""Read a configuration: text, YAML, substitution, models, rules; the first error wins."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import xxhash
from pydantic import ValidationError

from rivet.config.document import Document, SyntaxProblem, parse
from rivet.config.lint import missing_warnings, refuse_missing
from rivet.config.models import Config
from rivet.config.problem import FILE_UNREADABLE, YAML_INVALID, Problem
from rivet.config.rules import check
from rivet.config.secretlines import register_given, register_written
from rivet.config.substitute import References, unused_params
from rivet.config.unused import unused_keys
from rivet.config.wording import first_problem
from rivet.errors import ConfigError, ConfigSyntaxError
from rivet.openfile import FileTooLargeError, NotRegularFileError, is_shared, read_regular
from rivet.redact import foreign, visible_line

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = [
    "config_from_dict",
    "config_from_document",
    "config_from_text",
    "file_digest",
    "load_config",
]

_MAX_BYTES: Final = 4 * 1024 * 1024
_MARK: Final = "\ufeff"
_INHERITED: Final = ("on_overlap", "consistency")


def load_config(
    path: Path | str,
    params: Mapping[str, str] | None = None,
    env: Mapping[str, str] | None = None,
) -> Config:
    """Read a configuration file; nothing is contacted and nothing written.

    Args:
        path: The YAML file; `~` is expanded.
        params: Values of `${NAME}` that win over the environment.
        env: The environment; None is the process's own.

    Returns:
        The configuration, checked as far as it can be without the database.

    Raises:
        ConfigSyntaxError: A key or the YAML is wrong; it holds line and column.
        SecretNotFoundError: A `${NAME}` is set nowhere.
        ConfigError: The file cannot be read.
    """
    file = Path(path).expanduser()
    return config_from_text(_read(file), file.absolute(), params, env, shown=str(path))


def config_from_text(
    text: str,
    path: Path,
    params: Mapping[str, str] | None = None,
    env: Mapping[str, str] | None = None,
    *,
    shown: str | None = None,
) -> Config:
    """Read a configuration from YAML text, as if it stood in the file `path`.

    Args:
        text: The YAML.
        path: Where it would be; its folder is where relative paths start.
        params: As `load_config`.
        env: As `load_config`.
        shown: How messages name the file; `path` without it.

    Raises:
        ConfigError: As `load_config`.
    """
    params = dict(params or {})
    where = f"config file '{shown or path}'"
    text = text.removeprefix(_MARK)
    references = References(
        text, params=params, env=os.environ if env is None else env, where=where
    )
    reporter = _Reporter(where, text, references)
    document = reporter.parsed()
    config = reporter.built(document, path.parent)
    unused = tuple(
        f"parameter '{key}' was not referenced: ${{{key}}} occurs nowhere in {where}"
        for key in unused_params(text, params)
        if _has_no_query_file(config)
    )
    return config.originating(
        path,
        digest=_digest(text),
        warnings=unused + _warnings(config) + _shared(path, *_queries(config, path.parent)),
        params=params,
    )


def config_from_dict(data: Mapping[str, Any], base_dir: Path | str = ".") -> Config:
    """Make a configuration from plain data, for use as a library; no `${NAME}` is replaced.

    Args:
        data: As the YAML file would hold it.
        base_dir: Folder that relative paths start from.

    Raises:
        ConfigSyntaxError: A key is wrong; without line and column.
    """
    folder = Path(base_dir).expanduser().absolute()
    config = _from_data(data, folder)
    warnings = _warnings(config) + _shared(*_queries(config, folder))
    return config.originating(folder / "rivet.yaml", warnings=warnings)


def config_from_document(
    document: Mapping[str, Any], *, path: Path, digest: str, params: Mapping[str, str]
) -> Config:
    """Make the configuration that `Config.to_document` was called on, without reading its file.

    Every rule is applied again. It has no warnings: whoever read the file has shown them.

    Args:
        document: What `Config.to_document` gave, perhaps after a way through JSON.
        path: Absolute path of the file it came from.
        digest: Of that file's text.
        params: What the file was loaded with.

    Raises:
        ConfigSyntaxError: A rule does not hold any more, such as that for a file that must exist.
    """
    config = _from_data(document, path.parent)
    return config.originating(path, digest=digest, params=params)


def file_digest(path: Path | str) -> str:
    """Return the `Config.digest` that a file's text would have now, without reading its YAML.

    Raises:
        ConfigError: The file cannot be read, or is not UTF-8.
    """
    return _digest(_read(Path(path).expanduser()).removeprefix(_MARK))


def _from_data(data: Mapping[str, Any], folder: Path) -> Config:
    try:
        return _build(Document(dict(data), {}), folder)
    except Problem as problem:
        msg = f"configuration: {problem.message}"
        raise ConfigSyntaxError(msg, hint=problem.hint, code=problem.code) from None


def _digest(text: str) -> str:
    return xxhash.xxh3_64_hexdigest(text.encode("utf-8", "surrogatepass"))


def _has_no_query_file(config: Config) -> bool:
    """Whether no query file could be what a parameter is for."""
    return all(export.query_file is None for export in config.exports)


def _read(path: Path) -> str:
    where = f"config file '{path}'"
    try:
        raw = read_regular(path, max_bytes=_MAX_BYTES)
    except NotRegularFileError as error:
        msg = f"{where} cannot be read: {error.strerror}"
        hint = "name the YAML file itself"
        raise ConfigError(msg, hint=hint, code=FILE_UNREADABLE) from error
    except FileTooLargeError as error:
        msg = f"{where} is larger than {_MAX_BYTES // 1024**2} MB"
        hint = "name the YAML file, not a data file"
        raise ConfigError(msg, hint=hint, code=FILE_UNREADABLE) from error
    except FileNotFoundError as error:
        msg = f"{where} not found"
        hint = "name it with -c or in RIVET_CONFIG, or run `rivet demo DIR` for a complete example"
        raise ConfigError(msg, hint=hint, code=FILE_UNREADABLE) from error
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "the path is not one"
        msg = f"cannot read {where}: {reason}"
        raise ConfigError(msg, hint="check its permissions", code=FILE_UNREADABLE) from error
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        msg = f"{where}, line {line}: not UTF-8 text"
        raise ConfigSyntaxError(
            msg, line=line, column=1, hint="save the file as UTF-8", code=YAML_INVALID
        ) from None


def _build(document: Document, base_dir: Path) -> Config:
    data = document.data
    if data is None:
        raise Problem((), "the configuration is empty", hint="add `source:` and `exports:`")
    if not isinstance(data, dict):
        raise Problem((), "the configuration must be a map of keys", hint="begin with `source:`")
    register_given(data.get("source"))
    data = _inherit(data)
    try:
        config = Config.model_validate(data)
    except ValidationError as error:
        order = document.offset
        problem = first_problem(error, data, lambda path: order(path) or 0)
        raise problem from None
    except RecursionError as error:
        raise Problem((), "the configuration is nested too deeply") from error
    check(config, base_dir=base_dir)
    refuse_missing(config)
    return config


def _inherit(data: dict[str, Any]) -> dict[str, Any]:
    """Hand the top level's defaults down to the exports."""
    defaults = {key: data[key] for key in _INHERITED if data.get(key) is not None}
    exports = data.get("exports")
    if not defaults or not isinstance(exports, list | tuple):
        return data
    handed = [
        {**defaults, **{key: value for key, value in export.items() if value is not None}}
        if isinstance(export, dict)
        else export
        for export in exports
    ]
    return {**data, "exports": handed}


def _queries(config: Config, folder: Path) -> list[Path]:
    named = (export.query_file for export in config.exports)
    return [folder / name for name in named if name is not None]


def _shared(*paths: Path) -> tuple[str, ...]:
    """Return a warning for each file that everybody can write to; it may be so by intent."""
    warnings = []
    for path in paths:
        with suppress(OSError, ValueError):
            if is_shared(path.stat()):
                warnings.append(
                    f"every user of this machine can write to {visible_line(str(path))} and so "
                    "decide what is read and where passwords go; run chmod o-w on it"
                )
    return tuple(warnings)


def _warnings(config: Config) -> tuple[str, ...]:
    from urllib.parse import urlsplit

    warnings: list[str] = []
    source = config.source
    if source.password is not None:
        warnings.append(
            "source.password is plain text in the configuration; use password_env instead"
        )
    if source.url is not None:
        try:
            has_password = bool(urlsplit(source.url.reveal()).password)
        except ValueError:
            has_password = "@" in source.url.reveal()
        if has_password:
            warnings.append(
                "source.url holds a password in plain text; use url_env or url_file instead"
            )
    warnings += [
        f"export '{export.name}': compression_profile wins over compression and compression_level"
        for export in config.exports
        if export.compression_profile is not None
        and (export.compression is not None or export.compression_level is not None)
    ]
    return (*warnings, *unused_keys(config), *missing_warnings(config))


class _Reporter:
    """Turns offsets into lines and columns of the file."""

    def __init__(self, where: str, text: str, references: References) -> None:
        self._where = where
        self._text = text
        self._references = references

    def parsed(self) -> Document:
        """Return the document; what the parser raised is not kept, for it quotes the text."""
        try:
            return parse(self._references.text, self._references)
        except SyntaxProblem as problem:
            found = problem
        raise self._fault(found.offset, found.message, found.hint, YAML_INVALID)

    def built(self, document: Document, base_dir: Path) -> Config:
        """Return the configuration that a document makes."""
        try:
            return _build(document, base_dir)
        except Problem as problem:
            found = problem
        raise self._fault(document.offset(found.path), found.message, found.hint, found.code)

    def _fault(
        self, offset: int | None, message: str, hint: str | None, code: str
    ) -> ConfigSyntaxError:
        line = column = None
        register_written(self._text)
        message, hint = foreign(message), foreign(hint) if hint else None
        place = self._where
        if offset is not None:
            original = min(offset, len(self._text))
            line = self._text.count("\n", 0, original) + 1
            column = original - (self._text.rfind("\n", 0, original) + 1) + 1
            place = f"{place}, line {line}, column {column}"
        masked = self._references.shown
        msg = f"{place}: {masked(message)}"
        return ConfigSyntaxError(
            msg,
            line=line,
            column=column,
            hint=masked(hint) if hint else None,
            code=code,
        )
