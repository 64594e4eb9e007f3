"""Write the reference pages from the code they describe, or check that they are not stale.

    python scripts/render_docs.py            write docs/reference/*.md
    python scripts/render_docs.py --check    exit 1 and name the pages that are stale

The pages: `cli` from the command tree, `config` from the JSON Schema, `errors` from the error tree,
`types-<engine>` from the conformance cases, `guarantees` from the lines that tests/worlds runs, so
that only what is tested is promised.
"""

from __future__ import annotations

import ast
import json
import re
import sys
from enum import Enum
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

ROOT: Final = Path(__file__).resolve().parents[1]
REFERENCE: Final = ROOT / "docs" / "reference"
REPORT: Final = ROOT / "tests" / "conformance" / "report.json"
GUARANTEES: Final = ROOT / "tests" / "worlds" / "guarantees.yaml"
_TITLES: Final = {
    "every engine": "Every engine",
    "postgresql": "PostgreSQL",
    "mysql": "MySQL and MariaDB",
    "sqlite": "SQLite",
    "duckdb": "DuckDB",
    "whole invocations": "Whole invocations: reports, files, exit codes",
}
_MADE: Final = "<!-- made by `make docs`; edits are lost -->\n"
_CODE: Final = re.compile(r"RIVET(_[A-Z0-9]+)+")


def pages() -> dict[str, Callable[[], str]]:
    """Return what makes each generated page, by its file name."""
    from rivet.sources import ENGINES

    fixed = {"cli.md": cli_page, "config.md": config_page, "errors.md": errors_page}
    fixed["guarantees.md"] = guarantees_page
    return fixed | {f"types-{engine}.md": partial(types_page, engine) for engine in ENGINES}


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a Markdown table; line feeds and bars in cells are made safe."""

    def line(cells: Sequence[str]) -> str:
        flat = (re.sub(r"\s+", " ", cell).strip().replace("|", "\\|") for cell in cells)
        return "| " + " | ".join(flat) + " |\n"

    return line(head) + "|" + "---|" * len(head) + "\n" + "".join(line(row) for row in rows)


def cli_page() -> str:
    """Describe every command, argument and option of the command tree."""
    text = f"# Commands\n\n{_MADE}"
    for words, command in commands():
        usage = " ".join(["rivet", *words, *(_usage(one) for one in parameters(command))])
        text += f"\n## rivet {' '.join(words)}".rstrip() + f"\n\n    {usage}\n\n"
        text += f"{_paragraphs(command.help or '')}\n"
        if rows := [_parameter_row(one) for one in parameters(command)]:
            text += "\n" + table(["Argument or option", "Meaning"], rows)
    return text


def commands() -> Iterator[tuple[tuple[str, ...], Any]]:
    """Yield every command with the words that call it, the root first."""
    from typer.main import get_command

    from rivet.cli.app import app

    def walk(words: tuple[str, ...], command: Any) -> Iterator[tuple[tuple[str, ...], Any]]:  # noqa: ANN401
        yield words, command
        for name, child in getattr(command, "commands", {}).items():
            if not child.hidden:
                yield from walk((*words, name), child)

    return walk((), get_command(app))


def parameters(command: Any) -> list[Any]:  # noqa: ANN401 - the classes are private to typer
    """Return the visible arguments and options of a command, in its order."""
    return [one for one in command.params if not getattr(one, "hidden", False)]


def _usage(parameter: Any) -> str:  # noqa: ANN401
    if parameter.param_type_name == "argument":
        name = parameter.metavar or parameter.name.upper()
        return name if parameter.required else f"[{name}]"
    shown = parameter.opts[0] + _written_value(parameter)
    return shown if parameter.required else f"[{shown}]"


def _parameter_row(parameter: Any) -> tuple[str, str]:  # noqa: ANN401
    meaning = parameter.help or ""
    if parameter.param_type_name == "argument":
        return f"`{parameter.metavar or parameter.name.upper()}`", meaning
    names = ", ".join(f"`{name}`" for name in (*parameter.opts, *parameter.secondary_opts))
    value = _written_value(parameter)
    value = f" `{value.strip()}`" if value else ""
    default = parameter.default
    if default not in (None, False, True, "", ()) and not callable(default):
        meaning += f" Default: `{getattr(default, 'value', default)}`."
    return names + value, meaning


def _written_value(parameter: Any) -> str:  # noqa: ANN401
    """Return what follows an option's name: nothing, a blank and a value, or `[=N]`."""
    if parameter.is_flag:
        return ""
    value = _value_of(parameter)
    return value if value.startswith("[=") else f" {value}"


def _value_of(parameter: Any) -> str:  # noqa: ANN401
    annotation = parameter.type_descriptor.annotation
    if isinstance(annotation, type) and issubclass(annotation, Enum):
        return "|".join(str(choice.value) for choice in annotation)
    return parameter.metavar or {Path: "PATH", int: "NUMBER"}.get(annotation, "TEXT")


def _paragraphs(help_text: str) -> str:
    lines = [line.strip() for line in help_text.replace("\b", "").strip().splitlines()]
    return "\n".join(re.sub(r"^(Example: )(.*)$", r"\1`\2`", line) for line in lines)


_REFERENCES = """## Values from outside

`${NAME}` stands for a parameter (`--param NAME=value`) or, where there is none, for a variable
of the environment. One that is not set is an error, an empty one is empty, and `${}` is
nothing. Values are put in after the YAML is read: whatever a value holds (line ends, `#`, `: `,
quotes, `${`), it stays within the text, number or flag in which its reference stands, and
cannot add a key or an export. A whole unquoted value keeps its meaning: `${SIZE}` is a number
where SIZE is `64`, and a flag where it is `true`. References in comments are not looked up.

`${NAME:-text}` is the text where NAME is not set or empty; the text ends at the first `}`. `$${` is
a literal `${`, in queries and their files too.
"""


def config_page() -> str:
    """Describe every section and key of the configuration."""
    from rivet.config.schema import config_schema

    schema = config_schema()
    sections = {"": schema, **schema.get("$defs", {})}
    text = f"# Configuration\n\n{_MADE}\n`rivet schema config` prints the same as JSON Schema.\n"
    text += f"\n{_REFERENCES}"
    for name, section in sections.items():
        if "properties" not in section:
            continue
        title = name or "The file"
        required = section.get("required", ())
        rows = [
            (f"`{key}`", _type_of(value, sections), _default(value, key in required), _about(value))
            for key, value in section["properties"].items()
        ]
        text += f"\n## {title}\n\n"
        if about := section.get("description"):
            text += f"{about}\n\n"
        text += table(["Key", "Type", "Default", "Meaning"], rows)
    return text


def _type_of(value: dict[str, Any], sections: dict[str, Any]) -> str:
    if "$ref" in value:
        name = value["$ref"].rsplit("/", 1)[-1]
        target = sections.get(name, {})
        return (
            f"[{name}](#{name.lower()})" if "properties" in target else _type_of(target, sections)
        )
    for union in ("anyOf", "oneOf", "allOf"):
        if union in value:
            kinds = [_type_of(one, sections) for one in value[union] if one.get("type") != "null"]
            return " or ".join(dict.fromkeys(kinds))
    if words := value.get("enum", [value["const"]] if "const" in value else []):
        return ", ".join(f"`{one}`" for one in words if one is not None)
    kind = value.get("type", "any")
    if kind == "array":
        return f"list of {_type_of(value.get('items', {}), sections)}"
    inner = value.get("additionalProperties")
    return f"map to {_type_of(inner, sections)}" if isinstance(inner, dict) else str(kind)


def _default(value: dict[str, Any], is_required: bool) -> str:  # noqa: FBT001
    if is_required:
        return "required"
    default = value.get("default")
    if default is None:
        return ""
    return f"`{str(default).lower() if isinstance(default, bool) else default}`"


def _about(value: dict[str, Any]) -> str:
    return str(value.get("description", ""))


def errors_page() -> str:
    """Describe every error class, and list the narrower codes by family."""
    from rivet.errors import ExportsFailedError, RivetError

    rows = [
        (
            f"`{cls.code}`",
            f"`{cls.__name__}`",
            "the worst export's" if issubclass(cls, ExportsFailedError) else str(cls.exit_code),
            "yes" if cls.retryable else "no",
            (cls.__doc__ or "").strip().split("\n\n")[0],
        )
        for _, cls in _tree(RivetError)
    ]
    text = f"# Errors\n\n{_MADE}\n"
    text += "A text error begins with its code; `--json-errors` prints it as a field. "
    text += "A run that a signal ends exits with 128 plus its number; one whose child process "
    text += "was ended by one exits with 2.\n\n"
    text += table(["Code", "Class", "Exit code", "Worth retrying", "Meaning"], rows)
    own = {cls.code for _, cls in _tree(RivetError)}
    narrow = sorted(_codes_in_source() - own)
    text += "\n## Narrower codes\n\nA code of a family comes with the exit code of the class that"
    text += " is raised.\n\n"
    families: dict[str, list[str]] = {}
    for code in narrow:
        families.setdefault(code.split("_")[1], []).append(f"`{code}`")
    return text + table(["Family", "Codes"], [(k, ", ".join(v)) for k, v in families.items()])


def _tree(cls: Any, level: int = 0) -> Iterator[tuple[int, Any]]:  # noqa: ANN401
    yield level, cls
    for child in cls.__subclasses__():
        yield from _tree(child, level + 1)


def _codes_in_source() -> set[str]:
    found = set()
    for path in (ROOT / "src" / "rivet").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                found.add(node.value)
    return {one for one in found if _CODE.fullmatch(one)} - variables()


def variables() -> set[str]:
    """Return the environment variables of Rivet, which look like error codes, from their page."""
    page = (REFERENCE / "environment.md").read_text(encoding="utf-8")
    return {match.group() for match in _CODE.finditer(page)}


def types_page(engine: str) -> str:
    """Tabulate what each native type becomes where nobody says otherwise.

    Only cases that the last report says passed count, and only as long as they say the same.
    """
    sys.path.insert(0, str(ROOT / "tests"))
    from rivet.model.columns import ColumnRules
    from support.cases import load_cases

    report = json.loads(REPORT.read_text(encoding="utf-8")).get(engine, {})
    passed = report.get("cases", {})
    found: dict[tuple[str, str], tuple[str, str]] = {}
    overrides: set[tuple[str, str]] = set()
    for case in load_cases(engine):
        if passed.get(case.name) != case.digest or case.error:
            continue
        if case.rules != ColumnRules():
            overrides |= {
                (column.native or "", column.logical or "")
                for column in case.columns
                if column.name in case.rules.overrides and column.native and column.logical
            }
            continue
        for column in case.columns:
            if column.native and column.logical:
                key = (column.native, column.logical)
                arrow, fidelity = found.get(key, ("", ""))
                found[key] = (column.arrow or arrow, column.fidelity or fidelity)
    text = f"# Types of {engine}\n\n{_MADE}\n"
    kernels = " and ".join(report.get("kernels", []))
    versions = report.get("versions", ["nothing yet"])
    text += f"Every row passed on {', '.join(versions)}"
    text += ", wherever the server has the type" if len(versions) > 1 else ""
    text += f", with the {kernels} kernel" if kernels else ""
    text += ", in every way to read a table. Without overrides or policies:\n\n"
    rows = [[f"`{cell}`" if cell else "" for cell in (*key, *found[key])] for key in sorted(found)]
    text += table(["Native type", "Logical type", "Arrow type", "Fidelity"], rows)
    if proven := sorted(overrides):
        text += "\n## Overrides\n\nThese were tried; an override that is not exact is refused.\n\n"
        text += table(["Native type", "As"], [[f"`{a}`", f"`{b}`"] for a, b in proven])
    return text


def guarantees_page() -> str:
    """Tabulate what is guaranteed per engine, mode and setting, and what a run then prints."""
    from ruamel.yaml import YAML

    lines = YAML(typ="safe").load(GUARANTEES)
    text = f"# Guarantees\n\n{_MADE}\n"
    text += (
        "Every line is a test: the run prints these words, and the rows are there. A line that is"
        " not of one run\nalone has a test of its own, as `tests/worlds/guarantees.yaml` names.\n"
    )
    for engine in dict.fromkeys(line["engine"] for line in lines):
        own = [line for line in lines if line["engine"] == engine]
        rows = [
            (
                f"`{line['mode']}`" if line["mode"] != "any" else "any",
                line["setting"],
                line["guarantee"],
                line["condition"],
                "; ".join(_said(*one) for one in line["says"].items()),
            )
            for line in own
        ]
        head = ["Mode", "Setting", "Guaranteed", "Condition", "Printed"]
        text += f"\n## {_TITLES.get(engine, engine)}\n\n" + table(head, rows)
    return text


def _said(name: str, words: str) -> str:
    words = words.replace("{rows}", "n")
    if name == "error":
        return f"refused: `{words}`"
    return words if name == "warning" else f"{name}: {words}"


def is_stale(name: str) -> bool:
    """Return whether a page differs from what the code says."""
    page = REFERENCE / name
    return not page.exists() or page.read_text(encoding="utf-8") != pages()[name]()


def main() -> int:
    """Write or check the pages."""
    if "--check" in sys.argv[1:]:
        if names := [name for name in pages() if is_stale(name)]:
            print("stale, run `make docs`:", ", ".join(names), file=sys.stderr)
        return 1 if names else 0
    REFERENCE.mkdir(parents=True, exist_ok=True)
    for name, make in pages().items():
        (REFERENCE / name).write_text(make(), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
