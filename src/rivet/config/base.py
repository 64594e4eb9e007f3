"""The base of every configuration model and the types of single values."""

from __future__ import annotations

from enum import Enum
from typing import Annotated, Any, ClassVar, NoReturn, TypeVar

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainValidator,
    Strict,
    model_validator,
)
from pydantic.json_schema import WithJsonSchema
from pydantic_core import PydanticCustomError

from rivet.config.problem import nearest
from rivet.redact import Secret


def reject(kind: str, context: dict[str, Any] | None = None) -> NoReturn:
    """Refuse a value inside a validator; `kind` chooses the words people read.

    Raises:
        PydanticCustomError: Always.
    """
    raise PydanticCustomError(kind, kind, context)


class PlainInt(int):
    """A whole number from YAML that remembers how it was written."""

    raw: str

    def written(self, text: str) -> PlainInt:
        """Remember the text it came from."""
        self.raw = text
        return self


class PlainFloat(float):
    """A number with a fraction from YAML that remembers how it was written."""

    raw: str

    def written(self, text: str) -> PlainFloat:
        """Remember the text it came from."""
        self.raw = text
        return self


class Section(BaseModel):
    """A map of the configuration: frozen, unknown keys refused, a null value means absent.

    Attributes:
        null_words: Keys that take the word `null`, which YAML reads as nothing.
    """

    null_words: ClassVar[frozenset[str]] = frozenset()

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        arbitrary_types_allowed=True,
        hide_input_in_errors=True,
        validate_default=False,
        defer_build=True,
        protected_namespaces=(),
        populate_by_name=True,
    )

    @model_validator(mode="before")
    @classmethod
    def _known_keys_without_nulls(cls, data: Any) -> Any:  # noqa: ANN401 - any YAML value
        if not isinstance(data, dict):
            return data
        known = {field.alias or name for name, field in cls.model_fields.items()}
        for key in data:
            if key not in known:
                context = {"key": str(key), "nearest": nearest(str(key), known), "known": known}
                reject("unknown_key", context)
        return {
            key: "null" if value is None else value
            for key, value in data.items()
            if value is not None or key in cls.null_words
        }

    def to_document(self) -> dict[str, Any]:
        """Return what was given, as plain JSON types with every secret in clear.

        Only for a pipe to a process of our own; never for a file, a log or a command line.
        """
        fields = type(self).model_fields
        return {
            fields[name].alias or name: self._written(name, getattr(self, name))
            for name in fields
            if name in self.model_fields_set
        }

    def _written(self, name: str, value: Any) -> Any:  # noqa: ANN401 - any value of a field
        """Return a field's value as it could be written in the configuration."""
        del name
        return _plain(value)


def _plain(value: Any) -> Any:  # noqa: ANN401 - any value of a field
    if isinstance(value, Section):
        return value.to_document()
    if isinstance(value, Secret):
        return value.reveal()
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    return value


def _as_text(value: Any) -> Any:  # noqa: ANN401 - any YAML value
    return value.raw if isinstance(value, PlainInt | PlainFloat) else value


def _not_blank(value: Any) -> Any:  # noqa: ANN401 - any YAML value
    text = _as_text(value)
    if isinstance(text, str):
        if not text.strip():
            reject("blank")
        if "\x00" in text:
            reject("nul")
    return text


def _as_secret(value: Any) -> Any:  # noqa: ANN401 - any YAML value
    if isinstance(value, Secret):
        return value
    text = _not_blank(value)
    if not isinstance(text, str):
        reject("string_type")
    return Secret(text)


Text = Annotated[str, Field(min_length=1), BeforeValidator(_not_blank)]
"""Text; a number is taken as it is written, so that `password: 007` stays `007`."""

SecretText = Annotated[Secret, BeforeValidator(_as_secret), WithJsonSchema({"type": "string"})]
"""Text that is never shown."""


def _unambiguous(value: Any) -> Any:  # noqa: ANN401 - any YAML value
    if isinstance(value, PlainInt):
        if value.raw.lstrip("+-")[:1] == "0" and value.raw.lstrip("+-")[1:2].isdigit():
            reject("leading_zero", {"value": int(value)})
        return int(value)
    return value


Flag = Annotated[bool, Strict()]
Whole = Annotated[int, Strict(), Field(ge=0), BeforeValidator(_unambiguous)]
Positive = Annotated[int, Strict(), Field(ge=1), BeforeValidator(_unambiguous)]
Port = Annotated[int, Strict(), Field(ge=1, le=65535), BeforeValidator(_unambiguous)]


def _parallel(value: Any) -> bool | int:  # noqa: ANN401 - any YAML value
    if isinstance(value, bool):
        return value
    if not isinstance(value, int):
        reject("parallel")
    number = int(_unambiguous(value))
    if number < 1:
        reject("too_few_at_once", {"value": number})
    return number


Parallel = Annotated[
    bool | int,
    PlainValidator(_parallel),
    WithJsonSchema({"anyOf": [{"type": "boolean"}, {"type": "integer", "minimum": 1}]}),
]
"""Whether several run at once; a number is how many at most."""


def _as_number(value: Any) -> Any:  # noqa: ANN401 - any YAML value
    if isinstance(value, bool) or not isinstance(value, int | float):
        reject("float_type")
    return float(value)


Ratio = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False), BeforeValidator(_as_number)]
Factor = Annotated[float, Field(ge=0, allow_inf_nan=False), BeforeValidator(_as_number)]

_Item = TypeVar("_Item")


def unique(items: tuple[_Item, ...]) -> tuple[_Item, ...]:
    """Refuse an empty list and one that names something twice."""
    if not items:
        reject("empty_list")
    if len(set(items)) != len(items):
        reject("repeated")
    return items
