"""The root of the error tree: message, hint, code, exit code and retry advice."""

from __future__ import annotations

from typing import Any, ClassVar, Self

from typing_extensions import override

from rivet.redact import redact


class RivetError(Exception):
    """Anything Rivet can fail with; catching it catches all of them.

    A message is one plain sentence: what failed, where, and the value or limit. It never holds a
    cell value or a secret: those that are known are masked. Errors survive pickle (they cross
    process borders) and `to_json`.
    """

    code: ClassVar[str] = "RIVET_ERROR"
    exit_code: ClassVar[int] = 1
    retryable: ClassVar[bool] = False
    reconnect: ClassVar[bool] = False
    settle_s: ClassVar[float] = 0.0

    hint: str | None
    context: dict[str, str]
    report: Any = None
    """The `RunReport` of the call that raised it; None where it raised before any export ran."""

    def __init__(
        self,
        message: str,
        *,
        hint: str | None = None,
        code: str | None = None,
        **context: str | int | None,
    ) -> None:
        # Here and not only where it is printed: a library's user logs what is raised.
        message = redact(message)
        super().__init__(message)
        self.message = message
        self.hint = redact(hint) if hint else hint
        self.specific_code = code
        self.context = {key: str(value) for key, value in context.items() if value is not None}

    @property
    def error_code(self) -> str:
        """The stable code: the class's own, or the narrower one given when it was raised."""
        return self.specific_code or self.code

    def to_json(self) -> dict[str, Any]:
        """Describe the error for `--json-errors` and reports: plain JSON types only."""
        return {
            "error": self.message,
            "code": self.error_code,
            "exit_class": self.exit_status,
            "retryable": self.retryable,
            "hint": self.hint,
            "context": self.context,
        }

    @property
    def exit_status(self) -> int:
        """The exit code of a process that ends with this error."""
        return self.exit_code

    @override
    def __reduce__(self) -> tuple[Any, ...]:
        # The state apart: a report may lead back to the error.
        return (_restore, (type(self), self.args), self.__dict__.copy())

    @classmethod
    def with_code(cls, code: str, message: str, *, hint: str | None = None) -> Self:
        """Build the error with a narrower stable code than its class has."""
        return cls(message, hint=hint, code=code)


def _restore(cls: type[RivetError], args: tuple[Any, ...]) -> RivetError:
    error = cls.__new__(cls, *args)
    Exception.__init__(error, *args)
    return error
