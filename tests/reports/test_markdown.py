"""Markdown for a comment on GitHub: how it reads, what strangers' texts cannot do, and what is cut of too much."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pandas as pd
import pytest
from markdown_it import MarkdownIt

from t2ibench.core.errors import BenchError
from t2ibench.metrics.value import MetricValue
from t2ibench.reports.comparison import Change, Comparison, Member
from t2ibench.reports.comparison_markdown import comparison_markdown
from t2ibench.reports.facts import Judged
from t2ibench.reports.grid import Cell, Column, Row, Table
from t2ibench.reports.markdown import LIMIT, Section, address, code, escape, fit, markdown, table_markdown
from t2ibench.reports.schema import Picture, Result, Run, RunSettings, Skipped, SuiteInfo

SNAPSHOTS = Path(__file__).parent / "snapshots"
HOSTILE = (
    "<script>alert('x')</script> \"q\" | `tick` @octocat #12 GH-7 org/repo#3 https://evil.example/x www.evil.example "
    "a@b.example :tada: [a](https://evil.example/x) ![b](x) **bold** $x$ \\| \u202egnp.exe صورة 🦊\n| new | row |"
)
COLUMNS = ["method", "prompt_id", "sample", "metric", "value"]
METHODS = ("a", "b[x=1]")


def run_of(prompts: list[str], methods: tuple[str, ...] = METHODS, worse: float = 0.0) -> tuple:
    """A run with its pictures and scores; those of the last method are ``worse`` than they might be."""
    value = MetricValue(value=0.3 - worse, n=len(prompts), identity="clip_score:m@1:n3", higher_is_better=True)
    settings = RunSettings(size="64x32", dtype="fp32", device="cpu")
    results = [
        Result(method=m, checkpoint=None, n=3, settings=settings, metrics={"clip_score": value}, notes=["92 of 5,000"])
        for m in methods
    ]
    suite = SuiteInfo(
        name="trial", version=2, kind="generate", summary="A trial <of> things", seed=7, dataset="prompts",
        items=len(prompts), total=5000, notes=["Numbers of the mini world."],
    )  # fmt: skip
    run = Run(
        suite=suite,
        created="2026-02-03T10:11:12Z",
        environment={"torch": "2.14" if worse else "2.13", "machine": {"cpu": "x", "threads": 2}},
        results=results,
        skipped=[Skipped(method="controlnet", reason="needs checkpoint=")],
    )
    pictures = [
        Picture(method=m, prompt_id=f"p{i}", sample=0, prompt=p, file=Path(f"{m}{i}{worse}.png"))
        for i, p in enumerate(prompts)
        for m in methods
    ]
    rows = [
        (
            p.method,
            p.prompt_id,
            0,
            "clip_score",
            0.1 + 0.01 * i - (worse * (-1) ** (i // 4) if p.method == methods[-1] else 0),
        )
        for i, p in enumerate(pictures)
    ]
    return run, pictures, pd.DataFrame(rows, columns=COLUMNS)


def verdict_of(count: int = 2) -> Judged:
    columns = [Column("method", "Method", numeric=False), Column("change", "Change")]
    columns.append(Column("verdict", "Verdict", numeric=False))
    rows = [Row((Cell("a"), Cell("-0.1"), Cell("pass" if i else "FAIL", notes=(1,)))) for i in range(count)]
    title, notes = "bench gate, head against base: fail: a regression", ("1 failed, 1 passed", "by @octocat")
    return Judged("fail", Table(tuple(columns), tuple(rows), ("worse by 0.1",), title, notes))


def comparison_of(prompts: list[str], judged: Judged | None = None) -> Comparison:
    members = [
        Member(name, f"runs/{name}", *run_of(prompts, worse=worse)) for name, worse in (("base", 0.0), ("head", 0.05))
    ]
    columns = (
        Column("method", "Method", numeric=False), Column("metric", "Metric", numeric=False), Column("base", "Base"),
        Column("head-1", "Head"), Column("change-1", "Change"),
    )  # fmt: skip
    same = [Cell("CLIP score ↑"), Cell("0.3", 0.3), Cell("0.3", 0.3), Cell("0", 0.0)]
    moved = [Cell("CLIP score ↑"), Cell("0.3", 0.3), Cell("0.25", 0.25)]
    moved.append(Cell("-0.05 [-0.07, -0.03]", -0.05, interval=(-0.07, -0.03), tone="worse", notes=(1,)))
    rows = [Row((Cell(method), *cells)) for method, cells in zip(METHODS, (same, moved), strict=True)]
    table = Table(columns, tuple(rows), ("over 3 pictures",), "Differences", ("Change is head minus base.",))
    change = Change(METHODS[1], 1, "clip_score", True, -0.05, (-0.07, -0.03))
    names = [[method, method] for method in METHODS]
    return Comparison(members, names, table, [change], ["settings differ: steps 10 → 4"], judged)


@pytest.mark.parametrize("name", ["run", "gated-run", "comparison", "gated-comparison"])
def test_markdown_reads_as_it_did(name: str) -> None:
    judged, prompts = (verdict_of() if name.startswith("gated") else None), ["a cat", HOSTILE, "a fox"]
    if name.endswith("run"):
        text = markdown(*run_of(prompts), judged=judged, link="https://ci.example/report.html")
    else:
        text = comparison_markdown(comparison_of(prompts, judged), link="https://ci.example/report.html")
    file = SNAPSHOTS / f"{name}.md"
    if os.environ.get("T2IBENCH_RENEW_SNAPSHOTS"):
        file.write_text(text, encoding="utf-8")
    assert text == file.read_text(encoding="utf-8"), "if it is meant: T2IBENCH_RENEW_SNAPSHOTS=1, and read the diff"


def tokens(text: str) -> list:
    """What a parser of GitHub's flavour makes of it, inline parts included."""
    parsed = MarkdownIt("commonmark").enable("table").parse(text)
    return [inner for token in parsed for inner in (token, *(token.children or []))]


@pytest.mark.parametrize("made", ["run", "comparison"])
def test_strangers_texts_call_nobody_and_link_to_nothing(made: str) -> None:
    judged = verdict_of()
    if made == "run":
        text = markdown(*run_of([HOSTILE] * 3, (f"x|y\n<b>{HOSTILE}", "plain")), judged=judged, link="r.html")
    else:
        text = comparison_markdown(comparison_of([HOSTILE] * 3), link="r.html")
    found = tokens(text)
    seen = [token.content for token in found if token.type == "text"]
    assert any("alert('x')" in one for one in seen)
    live = re.compile(r"@\w|#\d|GH-\d|://|www\.|:\w+:", re.IGNORECASE)
    assert not [one for one in seen if live.search(one)]
    assert [token.attrs["href"] for token in found if token.type == "link_open"] == ["r.html"]
    assert not [
        token for token in found if token.type in ("image", "strong_open", "em_open") and "bold" in token.content
    ]
    html = "".join(token.content for token in found if token.type in ("html_inline", "html_block"))
    tags = set(re.findall(r"</?(\w+)", html))
    assert tags <= {"details", "summary", "sup", "code"}
    assert "\u202e" not in text


def test_tables_keep_their_columns() -> None:
    text = markdown(*run_of([HOSTILE] * 3, (f"x|y\n<b>{HOSTILE}",)))
    width = rows = 0
    for token in tokens(text):
        if token.type == "tr_open":
            width = 0
        width += token.type in ("td_open", "th_open")
        if token.type == "tr_close":
            rows += 1
    for table in re.split(r"\n\n+", text):
        lines = [line for line in table.splitlines() if line.startswith("|")]
        assert len({len(re.findall(r"(?<!\\)\|", line)) for line in lines}) <= 1
    assert rows > 8


def test_markdown_shows_strange_text_as_text() -> None:
    shown = escape(HOSTILE)
    assert "<script>" not in shown
    assert "@<!-- -->octocat" in shown
    assert "\\#<!-- -->12 GH-<!-- -->7" in shown
    assert "https:<!-- -->//evil" in shown
    assert "\\`tick\\`" in shown
    assert "\\[a\\](" in shown
    assert escape("a\\|b\nc") == "a&#92;\\|b c"
    assert escape("12:30, @ 5 # 6") == "12:30, @ 5 \\# 6"
    assert code("sd15[steps=8]") == "`sd15[steps=8]`"
    assert code("a|`b") == "<code>a\\|\\`b</code>"


@pytest.mark.parametrize("link", ["javascript:alert(1)", "data:text/html,x", "", "http://[", "file:///etc/passwd"])
def test_a_link_is_an_address_of_the_web_or_a_path(link: str) -> None:
    with pytest.raises(BenchError, match="--link"):
        address(link)


def test_a_link_cannot_leave_its_brackets() -> None:
    assert address("https://ci.example/a b>(c)|`?x=1&y=%20") == "https://ci.example/a%20b%3E%28c%29%7C%60?x=1&y=%20"
    assert address("../out/report.html") == "../out/report.html"


def test_a_verdict_stands_first_and_what_passed_behind_a_fold() -> None:
    text = markdown(*run_of(["a cat"]), judged=verdict_of(3))
    assert text.index("### bench gate") < text.index("| `a` | -0.1 | FAIL") < text.index("<summary>2 passed</summary>")
    assert text.index("2 passed") < text.index("> Numbers of the mini world.")
    assert comparison_markdown(comparison_of(["a cat"], verdict_of())).startswith(
        "### bench gate, head against base: fail"
    )


def test_markdown_stays_within_its_limit_and_says_what_is_cut() -> None:
    methods = tuple(f"method-{i}|" + "x" * 200 for i in range(400))
    run, pictures, scores = run_of(["word " * 2000], methods)
    run.skipped = [Skipped(method=f"m{i}", reason="because " * 500) for i in range(300)]
    run.environment = {f"key{i}": "v" * 1000 for i in range(500)}
    text = markdown(run, pictures, scores, judged=verdict_of(5000), link="https://ci.example/r.html")
    assert 40_000 < len(text) <= LIMIT
    cut = re.findall(r"\*[\d,]+ more left out; all are in the \[whole report\]\(<https://ci.example/r.html>\).\*", text)
    assert len(cut) >= 3
    assert text.count("<details>") == text.count("</details>")
    assert "### bench gate" in text[:300]


def test_sections_are_cut_from_their_end_and_say_so() -> None:
    text = fit([Section(["# Head"], [f"row {i:03}" for i in range(100)]), Section(["# Tail"], ["last"])], 400)
    assert len(text) <= 400
    assert "row 000" in text
    assert "row 099" not in text
    assert "more left out" in text
    assert text.endswith("last\n")
    assert fit([Section(["x" * 500], ["row"])], 100) == ""
    gone = fit([Section(["kept"], []), Section(["x" * 5000], ["row"], name="the plots")], 2000)
    assert "*Left out: the plots; all is in `report.html` and `scores.parquet`.*" in gone


def test_a_table_alone_has_its_title_footnotes_and_notes() -> None:
    text = table_markdown(verdict_of().table)
    assert text.startswith("### bench gate")
    assert "1. worse by 0.1" in text and text.endswith("> by @<!-- -->octocat  \n")
