"""From medians to a table that can be read, and to a verdict on every target."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bench.chunks import chunk_verdicts
from bench.many_report import many_section, many_verdicts
from bench.mariadb import maria_verdicts
from bench.verdict import Verdict, at_least, at_most, ratio, times

if TYPE_CHECKING:
    from collections.abc import Sequence

Results = dict[str, Any]

_MEMORY_MB = 256
_SAME_MEMORY = 1.1


def verdicts(
    results: Results, parts: Sequence[str] = ("tables", "chunks", "many", "mariadb")
) -> list[Verdict]:
    """Judge every target of the project, or those of some parts."""
    return [
        *(_table_verdicts(results) if "tables" in parts else []),
        *(many_verdicts(results.get("many", {})) if "many" in parts else []),
        *(chunk_verdicts(results.get("chunks", {})) if "chunks" in parts else []),
        *(maria_verdicts(results.get("mariadb", {})) if "mariadb" in parts else []),
    ]


def _table_verdicts(results: Results) -> list[Verdict]:
    line, wide = results["tables"].get("lineitem", {}), results["tables"].get("wide", {})
    startup = results["startup"]
    return [
        at_most(
            "lineitem: wall at most 1.5 times the drained COPY", ratio(line, "rivet", "drain"), 1.5
        ),
        at_least("lineitem: faster than connectorx", ratio(line, "connectorx", "rivet"), 1.0),
        at_least("lineitem: at least 2 times as fast as ADBC", ratio(line, "adbc", "rivet"), 2.0),
        at_least(
            "lineitem: at least 2.5 times as fast as the reference, its fast profile",
            ratio(line, "reference-fast", "rivet"),
            2.5,
        ),
        at_least(
            "wide: at least 1.5 times as fast as the reference, its fast profile",
            ratio(wide, "reference-fast", "rivet"),
            1.5,
        ),
        at_least(
            "lineitem: at least 2.5 times as fast as the reference as it comes",
            ratio(line, "reference", "rivet"),
            2.5,
        ),
        at_least(
            "wide: at least 1.5 times as fast as the reference as it comes",
            ratio(wide, "reference", "rivet"),
            1.5,
        ),
        _memory("lineitem: peak memory under 256 MB", line),
        _memory("wide: peak memory under 256 MB", wide),
        _tenfold(results, line),
        _under_ms("`rivet --help` under 150 ms", startup, "help", 150),
        _under_ms("`rivet run` of an empty SQLite table under 800 ms", startup, "empty_run", 800),
    ]


def render(results: Results) -> str:
    """Write the results as Markdown."""
    machine, fixture = results["machine"], results.get("fixture", {"tables": {}})
    lines = [
        "# Benchmark results",
        "",
        f"Measured {results['measured_at']}: {machine['cpus']} processors ({machine['model']}), "
        f"{machine['memory_gb']} GB, Python {machine['python']}, "
        f"PostgreSQL {fixture.get('postgresql', 'not measured')}, kernel {results['kernel']}. "
        f"Medians of {results['runs']} alternating runs after a warm-up; the peak is "
        "the largest of all runs. How to read this: [README](../README.md).",
        "",
        "## Targets",
        "",
        "| target | found | |",
        "|---|---|---|",
        *(verdict.line() for verdict in verdicts(results)),
    ]
    for table, cases in results["tables"].items():
        about = fixture["tables"].get(table)
        size = f": {about['rows']:,} rows, {about['mb']} MB in the database" if about else ""
        lines += ["", f"## {table}{size}", "", *_table(cases)]
    if chunks := results.get("chunks"):
        lines += [
            "",
            "## Chunks and slices: lineitem on PostgreSQL",
            "",
            f"Measured {chunks['measured_at']}, {chunks['runs']} alternating runs.",
            "",
        ]
        lines += _table(chunks["cases"])
        if close := chunks.get("close"):
            rounds = next(iter(close.values())).get("runs", 0)
            lines += ["", f"The three whose limits are near, once more in {rounds} rounds:", ""]
            lines += _table(close)
        if slow := chunks.get("slow"):
            lines += ["", "Through the slow proxy of the benchmark of many exports:", ""]
            lines += _table(slow)
    if maria := results.get("mariadb"):
        where = f"{maria['machine']['cpus']} processors ({maria['machine']['model']})"
        lines += [
            "",
            f"## lineitem on MariaDB {maria['version']}: {maria['rows']:,} rows",
            "",
            f"Measured {maria['measured_at']} on {where}, {maria['runs']} alternating runs.",
            "",
        ]
        lines += _table(maria["lineitem"])
    if many := results.get("many"):
        lines += ["", *many_section(many)]
    lines += [
        "",
        "## Versions",
        "",
        *(f"- {name}: {text}" for name, text in results["versions"].items()),
    ]
    return "\n".join(lines) + "\n"


def _table(cases: Results) -> list[str]:
    lines = [
        "| to Parquet zstd | wall s | drain | Rivet | client CPU s | server CPU s | peak MB | MB |",
        "|---|---:|---:|---:|---:|---:|---:|---:|",
    ]
    for name, case in cases.items():
        if "wall_s" not in case:
            lines.append(f"| {case['title']} | failed: {_cell(case['problem'])} | | | | | | |")
            continue
        lines.append(
            f"| {case['title']} | {case['wall_s']:.2f} | {times(ratio(cases, name, 'drain'))} "
            f"| {times(ratio(cases, name, 'rivet'))} | {case['client_cpu_s']:.2f} "
            f"| {case['server_cpu_s']:.2f} | {case['peak_mb']:.0f} "
            f"| {_whole(case['written_mb'])} |"
        )
    return lines


def _cell(text: str | None) -> str:
    return (text or "").replace("|", "/").replace("\n", " ")


def _whole(number: float | None) -> str:
    return "" if number is None else f"{number:.0f}"


def _memory(target: str, cases: Results) -> Verdict:
    peak = cases.get("rivet", {}).get("peak_mb")
    return Verdict(
        target, f"{peak:.0f} MB" if peak else "", None if peak is None else peak < _MEMORY_MB
    )


def _tenfold(results: Results, line: Results) -> Verdict:
    target = "ten times the rows: the same peak memory, within a tenth"
    small = line.get("rivet", {}).get("peak_mb")
    big = results["tables"].get("lineitem_tenfold", {}).get("rivet", {}).get("peak_mb")
    if small is None or big is None:
        return Verdict(target, "", None)
    is_met = big < _MEMORY_MB and big <= small * _SAME_MEMORY
    return Verdict(target, f"{big:.0f} MB, and {small:.0f} MB for the table itself", is_met)


def _under_ms(target: str, startup: Results, name: str, limit: float) -> Verdict:
    found = startup.get(f"{name}_ms")
    if found is None:
        return Verdict(target, "", None)
    cpu = startup[f"{name}_cpu_ms"]
    return Verdict(target, f"{found} ms, of them {cpu} ms of processor", found < limit)
