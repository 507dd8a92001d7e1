"""The commands that compare two runs, and what ``bench run --baseline`` does after its run."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...core.errors import BenchError, printable
from ...core.files import write_atomic
from ...reports.ab import load_ab
from ...reports.schema import load_run
from ..saved import COMPARISON, COMPARISON_TEXT, GATE, rewrite
from ..startup import device_of, exact_arithmetic, finder, quiet_libraries
from .sides import Looker, RunSide, Side, open_side, rows_of
from .thresholds import Thresholds, load_thresholds

if TYPE_CHECKING:
    from ...reports.comparison import Comparison
    from ...reports.gallery import Embed
    from .gate import Gate


def gate_command(base: Path, head: Path, thresholds: Path | None, asked: Mapping[str, Any]) -> int:
    """``bench gate``: print the verdict, write its page and return the exit status."""
    check_link(asked["link"])
    check_form(asked)
    found = judge_runs(base, head, thresholds, asked)
    if asked["out"] is not None:
        write_atomic(asked["out"], _json(found))
    told = side_by_side(base, [(head, found)]) if asked["html"] or asked["markdown"] else None
    if asked["html"]:
        _written(told, asked["html"], None, asked)
    return deliver(found, asked, told)


def side_by_side(base: Path, heads: Sequence[tuple[Path, Gate]]) -> Comparison | None:
    """What was found of runs as their report has it; None for what has no pictures, such as files of timings."""
    from .imported import load_timings
    from .report import Against, comparison

    if load_timings(base) is not None:
        return None
    return comparison(open_side(base), [Against(open_side(head), found) for head, found in heads])


def judge_runs(base: Path, head: Path, thresholds: Path | None, asked: Mapping[str, Any]) -> Gate:
    """Return the verdict on a run. Raises BenchError where a file cannot be read."""
    from .gate import gate
    from .imported import imported

    limits = load_thresholds(thresholds)
    if (found := imported(base, head)) is not None:
        return found
    timed = load_ab(asked["ab"]) if asked.get("ab") else None
    return gate(open_side(base), open_side(head), limits, looker_of(asked), timed)


def keep(found: Gate, run: Path, embed: Embed = "thumbnails") -> None:
    """Keep a verdict in the folder of the run that it judges, and write the run's report anew, which says it first."""
    write_atomic(run / GATE, _json(found))
    rewrite(load_run(run), run, None, None, embed)


def compare_command(base: Path, heads: Sequence[Path], asked: Mapping[str, Any]) -> int:
    """``bench compare``: print the same rows without a verdict, of all against the first; write their report."""
    from .gate import compare
    from .imported import imported
    from .report import Against, comparison, comparison_text

    check_link(asked["link"])
    printed = asked["markdown"] == Path("-")
    if printed and asked["json_"]:
        raise BenchError("--json and --markdown -: choose one")
    found, told = [timed for head in heads if (timed := imported(base, head, judged=False))], None
    if not found:
        looker, (first, *others) = looker_of(asked), _compared(base, heads, asked["methods"])
        found = [compare(first, other, looker) for other in others]
        if asked["html"] or asked["markdown"]:
            told = comparison(first, [Against(*each) for each in zip(others, found, strict=True)])
    if asked["html"] or (asked["markdown"] and not printed):
        _written(told, asked["html"], None if printed else asked["markdown"], asked)
    if printed and told:
        print(comparison_text(told, asked["link"]), end="")
    elif asked["json_"] and len(found) > 1:
        print(f"[{', '.join(_json(one).strip() for one in found)}]")
    else:
        for one in found:
            _print(one, {**asked, "markdown": printed})
    return 0


def _compared(base: Path, heads: Sequence[Path], methods: str | None) -> Sequence[Side]:
    """The first and what is held against it: runs, or rows of one."""
    if bool(heads) == bool(methods):
        raise BenchError(f"'{base}' alone: name a run to hold against it, or rows of it by --methods" if not heads
                         else "--methods compares rows of one run: leave out either it or the other runs")  # fmt: skip
    return rows_of(open_side(base), methods) if methods else [open_side(run) for run in (base, *heads)]


def check_link(link: str | None) -> None:
    """Raise BenchError for an address of ``--link`` that is none, before there is work to lose."""
    if link is not None:
        from ...reports.markdown import address

        address(link)


def check_form(asked: Mapping[str, Any]) -> None:
    """Raise BenchError for two forms of one result, before there is work to lose."""
    if asked["json_"] and asked["markdown"]:
        raise BenchError("--json and --markdown: choose one")


def _written(found: Comparison | None, html: Path | None, markdown: Path | None, asked: Mapping[str, Any]) -> None:
    from .report import write_comparison

    if found is None:
        raise BenchError("files of timings have no pictures to show: leave out --html, and --markdown FILE")
    for file in write_comparison(found, html, markdown, asked["embed"], asked["link"]):
        print(printable(f"report: {file}"), file=sys.stderr)


def baseline_command(run: Path, out: Path, asked: Mapping[str, Any]) -> int:
    """``bench baseline``: write what comparing with a run takes."""
    from .baseline import save_baseline

    save_baseline(RunSide(run), out, looker_of(asked))
    size = out.stat().st_size
    if asked["json_"]:
        print(json.dumps({"file": str(out), "bytes": size}))
    else:
        print(printable(f"{out}: {size / 1e6:.2f} MB; compare with it by 'bench gate {out} RUN'"))
    return 0


class After:
    """What is to be said of a run beside an earlier one, once it is finished; mistakes are found before it starts."""

    def __init__(self, asked: Mapping[str, Any]) -> None:
        """Raises BenchError for options that do not go together, or a baseline or thresholds that cannot be read."""
        self.asked = {**asked, "markdown": False}
        self.base: Side | None = open_side(asked["baseline"]) if asked["baseline"] is not None else None
        for option in ("gate", "thresholds"):
            if asked[option] and self.base is None:
                raise BenchError(f"--{option} needs a run to compare with: add --baseline RUN")
        for option in ("thresholds", "junit"):
            if asked[option] and not asked["gate"]:
                raise BenchError(f"--{option} is for a verdict: add --gate")
        self.thresholds: Thresholds = load_thresholds(asked["thresholds"])

    def __call__(self, run: Path) -> int:
        """Compare the finished run with its baseline and return the exit status; 0 where there is no gate.

        A verdict is kept in the run's folder, and its report says it first; the report of both runs lies beside it.
        """
        from .gate import compare, gate
        from .report import Against, comparison, write_comparison

        if self.base is None:
            return 0
        head, looker = open_side(run), looker_of(self.asked)
        if not self.asked["gate"]:
            found = compare(self.base, head, looker)
        else:
            found = gate(self.base, head, self.thresholds, looker)
            keep(found, run, self.asked["embed"])
        told = comparison(self.base, [Against(head, found)])
        for file in write_comparison(told, run / COMPARISON, run / COMPARISON_TEXT, self.asked["embed"]):
            print(printable(f"comparison: {file}"), file=sys.stderr)
        return deliver(found, self.asked) if self.asked["gate"] else _print(found, self.asked)


def looker_of(asked: Mapping[str, Any]) -> Looker:
    """Return what looks at pictures with the device and the weights of a command line."""
    quiet_libraries()
    exact_arithmetic()
    if asked["offline"]:
        os.environ["HF_HUB_OFFLINE"] = "1"
    return Looker(device_of(asked["device"]), finder(asked["weights"], asked["offline"]))


def deliver(found: Gate, asked: Mapping[str, Any], told: Comparison | None = None) -> int:
    """Print a verdict and hand it to continuous integration; the exit status.

    ``told`` is what Markdown says of both runs beside it.
    """
    from ..ci.github import annotate, is_github

    if asked["junit"] is not None:
        from ..ci.junit import junit_xml

        write_atomic(asked["junit"], junit_xml(found))
    status = _print(found, asked, told)
    if is_github() if asked["github"] is None else asked["github"]:
        annotate(found)
    return status


def _json(found: Gate) -> str:
    return found.model_dump_json(by_alias=True, indent=2) + "\n"


def _print(found: Gate, asked: Mapping[str, Any], told: Comparison | None = None) -> int:
    from .report import comparison_text
    from .text import gate_markdown, print_gate

    if asked["json_"]:
        print(_json(found), end="")
    elif asked["markdown"]:
        print(comparison_text(told, asked["link"]) if told else gate_markdown(found), end="")
    else:
        print_gate(found)
    return found.status
