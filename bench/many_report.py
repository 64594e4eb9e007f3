"""The section "many exports" of the results, and the verdicts on its targets."""

from __future__ import annotations

from typing import Any

from bench.many import EMPTIES, SHARES
from bench.verdict import Verdict, at_most, times

Results = dict[str, Any]

_EMPTY_LIMIT_S = 3.0
_OVER_CPU_LIMIT = 1.15
_DELAYED_LIMIT = 0.65
_BUSY_PROXY = 0.5


def many_verdicts(many: Results) -> list[Verdict]:
    """Judge the targets of runs with many exports; `many` is empty where they were not measured."""
    return [_forty_empty(many), _eight_equal(many), _eight_delayed(many)]


def many_section(many: Results) -> list[str]:
    """Return the lines of Markdown."""
    mb_s, ms = many["mb_per_s"], many["one_way_ms"]
    return [
        "## Many exports",
        "",
        f"Measured {many['measured_at']} on {many['cpus']} processors with Rivet {many['rivet']}: "
        f"medians of {many['runs']} alternating runs after a warm-up.",
        "",
        f"### {EMPTIES} empty tables",
        "",
        *_table(many["forty-empty"]),
        "",
        f"### {SHARES} tables of {many['rows'] // SHARES:,} rows of lineitem each",
        "",
        *_table(many["eight-equal"]),
        "",
        f"### The same {SHARES}, each connection at {mb_s:g} MB/s and {ms:g} ms each way",
        "",
        *_table(many["eight-delayed"]),
        "",
        f"The proxy used {many['proxy_cpu_s']:.2f} s of processor in a run; it is in no column.",
    ]


def _table(cases: Results) -> list[str]:
    is_weighed = any("shared_peak_mb" in case for case in cases.values())
    heads = ["wall s", "sequential", "client CPU s", "server CPU s", "wall / CPU", "peak MB"]
    if is_weighed:
        heads += ["peak MB, shared once", "parent's peak MB"]
    lines = [
        f"| to Parquet zstd | {' | '.join(heads)} |",
        f"|---|{'---:|' * len(heads)}",
    ]
    alone_s = cases.get("sequential", {}).get("wall_s")
    for case in cases.values():
        if "wall_s" not in case:
            problem = _cell(case["problem"])
            lines.append(f"| {case['title']} | failed: {problem}{' |' * len(heads)}")
            continue
        cells = [
            f"{case['wall_s']:.2f}",
            times(case["wall_s"] / alone_s if alone_s else None),
            f"{case['client_cpu_s']:.2f}",
            f"{case['server_cpu_s']:.2f}",
            times(case["wall_over_cpu"]),
            f"{case['peak_mb']:.0f}",
        ]
        if is_weighed:
            cells += [f"{case['shared_peak_mb']:.0f}", f"{case['own_peak_mb']:.0f}"]
        lines.append(f"| {case['title']} | {' | '.join(cells)} |")
    return lines


def _forty_empty(many: Results) -> Verdict:
    target = (
        f"{EMPTIES} empty tables, a process each: wall at most {_EMPTY_LIMIT_S:g} s "
        "(the aim: the reference's)"
    )
    cases = many.get("forty-empty", {})
    if problem := _problem(cases, "processes"):
        return Verdict(target, problem, is_met=False)
    wall_s = _wall_s(cases, "processes")
    if wall_s is None:
        return Verdict(target, "", None)
    aim_s = _wall_s(cases, "reference")
    beside = "not measured" if aim_s is None else f"{aim_s:.2f} s"
    return Verdict(target, f"{wall_s:.2f} s; the reference {beside}", wall_s <= _EMPTY_LIMIT_S)


def _eight_equal(many: Results) -> Verdict:
    target = (
        f"{SHARES} equal exports, a process each: wall at most {_OVER_CPU_LIMIT} times "
        "(processor seconds of client and server / processors)"
    )
    cases = many.get("eight-equal", {})
    if problem := _problem(cases, "processes"):
        return Verdict(target, problem, is_met=False)
    return at_most(target, cases.get("processes", {}).get("wall_over_cpu"), _OVER_CPU_LIMIT)


def _eight_delayed(many: Results) -> Verdict:
    target = (
        f"{SHARES} equal exports over slow connections, a process each: wall at most "
        f"{_DELAYED_LIMIT} times one after another"
    )
    cases = many.get("eight-delayed", {})
    if problem := _problem(cases, "processes", "sequential"):
        return Verdict(target, problem, is_met=False)
    wall_s, alone_s = _wall_s(cases, "processes"), _wall_s(cases, "sequential")
    if wall_s is None or alone_s is None:
        return Verdict(target, "", None)
    ratio, busy = wall_s / alone_s, many["proxy_cpu_s"] / wall_s
    if busy > _BUSY_PROXY:  # it would have been the proxy that was measured
        return Verdict(target, f"{times(ratio)}, but the proxy was busy {busy:.0%} of it", None)
    found = f"{times(ratio)}, the proxy busy {busy:.0%} of it"
    return Verdict(target, found, ratio <= _DELAYED_LIMIT)


def _wall_s(cases: Results, name: str) -> float | None:
    wall_s: float | None = cases.get(name, {}).get("wall_s")
    return wall_s


def _problem(cases: Results, *names: str) -> str | None:
    """Return why a case of Rivet itself failed: that is a missed target, not a missing number."""
    problems = (cases.get(name, {}).get("problem") for name in names)
    return next((_cell(problem) for problem in problems if problem), None)


def _cell(text: str) -> str:
    return text.replace("|", "/").replace("\n", " ")
