"""``bench compare`` and its reports: which numbers may stand together, which pictures changed, what is written."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from PIL import Image

from t2ibench.bench.gating.command import side_by_side
from t2ibench.bench.gating.gate import compare
from t2ibench.bench.gating.sides import Looker, open_side
from t2ibench.bench.saved import PICTURES, dump_pictures
from t2ibench.metrics.value import MetricValue
from t2ibench.reports.comparison import Comparison, all_moves, member_names, ranked
from t2ibench.reports.schema import Picture, Result, Run, RunSettings, SuiteInfo

Bench = Callable[..., tuple[int, str, str]]

COUNT = 12
WEIGHTS = "clip_score:m@1:n12"


@pytest.fixture
def made(tmp_path: Path) -> Callable[..., Path]:
    """Makes a finished run of methods ``same`` and ``moved``; the scores of the latter rise by ``gains``."""

    def make(name: str, gains: list[float] | None = None, identity: str = WEIGHTS, **more: Any) -> Path:
        folder = tmp_path / name
        pictures, rows = [], []
        for method in ("same", more.get("method", "moved")):
            for number in range(COUNT):
                moved = method != "same" and gains is not None
                file = folder / "images" / f"{method}{number}{name if moved else ''}.png"
                file.parent.mkdir(parents=True, exist_ok=True)
                Image.new("RGB", (8, 8), (number, 0, 90 if moved else 0)).save(file)
                picture = {"method": method, "prompt_id": f"p{number}", "sample": 0, "prompt": f"a cat {number}"}
                pictures.append(Picture(**picture, file=file))
                gain = gains[number % len(gains)] if moved and gains else 0.0
                rows.append((method, f"p{number}", 0, "clip_score", 0.1 + number / 100 + gain))
        scores = pd.DataFrame(rows, columns=["method", "prompt_id", "sample", "metric", "value"])
        results = [
            Result(
                method=method,
                checkpoint=None,
                n=COUNT,
                settings=RunSettings(),
                metrics={
                    "clip_score": MetricValue(
                        value=float(frame["value"].mean()), n=COUNT, identity=identity, higher_is_better=True
                    )
                },
            )
            for method, frame in scores.groupby("method", sort=False)
        ]
        suite = SuiteInfo(
            name="s", version=1, kind="generate", summary="s", seed=0, dataset="d", items=COUNT, total=COUNT
        )  # fmt: skip
        run = Run(suite=suite, created="2026-02-03T10:11:12Z", environment={"torch": name}, results=results)
        (folder / "run.json").write_text(run.to_json(), encoding="utf-8")
        (folder / PICTURES).write_text(dump_pictures(pictures, folder), encoding="utf-8")
        scores.to_parquet(folder / "scores.parquet")
        return folder

    return make


def compared(base: Path, *heads: Path) -> Comparison:
    looker, first = Looker(), open_side(base)
    found = side_by_side(base, [(head, compare(first, open_side(head), looker)) for head in heads])
    assert found is not None
    return found


def cells(found: Comparison) -> list[list[str]]:
    """The rows of clip scores."""
    return [[cell.text for cell in row.cells] for row in found.table.rows if row.cells[1].text.startswith("CLIP")]


def test_the_first_run_is_the_base_and_changes_have_intervals(made: Callable[..., Path]) -> None:
    found = compared(made("main"), made("up", [0.01, 0.03]), made("down", [-0.02, -0.04]))
    assert [member.name for member in found.members] == ["base", "up", "down"]
    assert found.title == "up and down against main"
    same, moved = cells(found)
    assert same == ["same", "CLIP score ↑", "0.1550", "0.1550", "0", "0.1550", "0"]
    assert moved[:3] == ["moved", "CLIP score ↑", "0.1550"]
    assert moved[3] == "0.1750" and moved[4].startswith("+0.0200 [+0.01")
    assert moved[5] == "0.1250" and moved[6].startswith("-0.0300 [-0.03")
    row = next(row for row in found.table.rows if row.cells[4].interval)
    assert [row.cells[place].tone for place in (4, 6)] == ["better", "worse"]
    assert found.equal == [0]
    assert [(change.head, change.method) for change in found.changes] == [(1, "moved"), (2, "moved")]


def test_numbers_of_other_identity_stand_in_rows_of_their_own(made: Callable[..., Path]) -> None:
    other = "clip_score:other@2:n12"
    found = compared(made("main"), made("up", [0.01, 0.03]), made("other", [0.2], identity=other))
    same, foreign, moved, foreign_moved = cells(found)
    assert same == ["same", "CLIP score ↑", "0.1550", "0.1550", "0", "–", "–"]
    assert foreign == ["same", "CLIP score ↑", "–", "–", "–", "0.1550", "–"]
    assert moved[5:] == ["–", "–"] and foreign_moved[2:] == ["–", "–", "–", "0.3550", "–"]
    assert any("Not one quantity" in note for note in found.table.footnotes)
    assert {moves.head for moves in all_moves(found)} == {1}


def test_pictures_are_told_by_how_much_they_changed(made: Callable[..., Path]) -> None:
    found = compared(made("main"), made("head", [0.0, 0.02, -0.03]))
    assert [member.name for member in found.members] == ["base", "head"]
    same, moved = all_moves(found)
    assert (len(same.worse), len(same.better), same.equal) == (0, 0, COUNT)
    assert (len(moved.worse), len(moved.better), moved.equal) == (4, 4, 4)
    assert moved.worse[0].worse == pytest.approx(0.03) and moved.better[0].change == pytest.approx(0.02)
    assert [move.prompt_id for _, move in ranked([same, moved], "worse", 2)] == ["p2", "p5"]


def test_a_renamed_method_is_one_row_under_the_name_in_the_base(made: Callable[..., Path]) -> None:
    found = compared(made("main", method="m[x=1]"), made("head", [0.01, 0.02], method="m[x=2]"))
    assert found.rows == [["same", "same"], ["m[x=1]", "m[x=2]"]]
    assert any("is compared with" in note for note in found.notes)
    assert len(all_moves(found)[1].better) == COUNT


def test_names_of_runs_tell_them_apart() -> None:
    assert member_names(["a/run.json", "b"]) == ["base", "head"]
    assert member_names(["a", "x/run", "y/run/", "z/run.json"]) == ["base", "head 1: run", "head 2: run", "z"]
    assert member_names(["a", "x/base", "z"]) == ["base", "head 1: base", "z"]


def test_compare_writes_both_reports(made: Callable[..., Path], bench: Bench, tmp_path: Path) -> None:
    base, head, other = made("main"), made("head", [0.01, -0.03]), made("other", [0.02])
    page, text = tmp_path / "out" / "cmp.html", tmp_path / "cmp.md"
    page.parent.mkdir()
    code, out, err = bench("compare", base, head, "--html", page, "--markdown", text, "--offline")
    assert code == 0 and "bench compare" in out and str(page) in err
    assert "(<out/cmp.html>)" in text.read_text(encoding="utf-8")
    assert "head against main" in page.read_text(encoding="utf-8")
    code, out, _ = bench(
        "compare", base, head, other, "--markdown", "-", "--offline", "--link", "https://x.example/a b"
    )
    assert out.startswith("## head and other against main") and "(<https://x.example/a%20b>)" in out
    code, out, _ = bench("compare", base, head, other, "--json", "--offline")
    assert [found["verdict"] for found in json.loads(out)] == [None, None]
    assert bench("report", base, head, "--html", page, "--offline")[0] == 0
    assert "head against main" in page.read_text(encoding="utf-8")


def test_a_gate_writes_its_verdict_over_both_runs(made: Callable[..., Path], bench: Bench, tmp_path: Path) -> None:
    base, head, page = made("main"), made("head", [-0.1, -0.12]), tmp_path / "gate.html"
    code, out, _ = bench("gate", base, head, "--html", page, "--markdown", "--offline", "--link", "https://x.example")
    assert code == 1
    assert out.startswith("### bench gate") and "fail: a regression" in out.splitlines()[0]
    assert out.splitlines()[2] == "**[Report with pictures side by side](<https://x.example>)**"
    assert "pictures worse" in out
    text = page.read_text(encoding="utf-8")
    assert text.index('id="verdict"') < text.index('id="results"')


@pytest.mark.parametrize("command", ["compare", "gate", "report"])
def test_a_bad_link_is_found_before_the_work(made: Callable[..., Path], bench: Bench, command: str) -> None:
    code, _, err = bench(command, made("main"), made("head"), "--link", "javascript:alert(1)")
    assert code == 2 and "--link" in err and len(err.splitlines()) == 1


def test_json_and_printed_markdown_exclude_each_other(made: Callable[..., Path], bench: Bench) -> None:
    code, _, err = bench("compare", made("main"), made("head"), "--json", "--markdown", "-", "--offline")
    assert code == 2 and "choose one" in err


def test_a_baseline_has_numbers_and_no_pictures(made: Callable[..., Path], bench: Bench, tmp_path: Path) -> None:
    base, head, kept, page = made("main"), made("head", [0.01, -0.03]), tmp_path / "base.zip", tmp_path / "b.html"
    results = json.loads((base / "run.json").read_text())["results"]
    pictures = {
        result["method"]: [[f"p{i}", 0, f"{result['method']}{i}", None] for i in range(COUNT)] for result in results
    }
    with zipfile.ZipFile(kept, "w") as archive:
        archive.write(base / "run.json", "run.json")
        archive.write(base / "scores.parquet", "scores.parquet")
        archive.writestr("baseline.json", json.dumps({"schema": 1, "pictures": pictures, "networks": {}}))
    code, _, err = bench("compare", kept, head, "--html", page, "--offline")
    assert code == 0, err
    text = page.read_text(encoding="utf-8")
    assert "no picture" in text and "-0.0300" in text


def test_rows_of_one_run_are_held_against_each_other(made: Callable[..., Path], bench: Bench, tmp_path: Path) -> None:
    run, page = made("main", [0.01, 0.03], method="m[steps=2]"), tmp_path / "c.html"
    code, out, _ = bench("compare", run, "--methods", "same,m", "--json", "--html", page, "--offline")
    found = json.loads(out)
    row = next(row for row in found["rows"] if row["metric"] == "clip_score")
    assert code == 0 and (found["base"]["path"], found["head"]["path"]) == ("same", "m[steps=2]")
    assert row["method"] == "m[steps=2]" and row["paired"] and row["change"] == pytest.approx(0.02)
    assert row["interval"][0] == pytest.approx(0.02 - 0.0066, abs=2e-4)  # Student's: 0.0104 · 2.201 / √12
    assert (found["only_base"], found["only_head"]) == ([], [])
    text = page.read_text(encoding="utf-8")
    assert "m against same" in text and str(run) in text
    assert '"methods": ["same", "m"]' in text and ">same<" in text.replace("\n", "")


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (["--methods", "same"], "is one row"),
        (["--methods", "same,m"], "2 rows"),
        (["--methods", "same,other"], "no row"),
        (["OTHER", "--methods", "same,m1"], "leave out either"),
        ([], "alone"),
    ],
)
def test_what_is_to_be_compared_is_named_without_doubt(
    made: Callable[..., Path], bench: Bench, given: list[str], said: str
) -> None:
    run = made("main", method="m1")
    text = json.loads((run / "run.json").read_text())
    text["results"].append({**text["results"][1], "method": "m2"})
    (run / "run.json").write_text(json.dumps(text))
    code, _, err = bench("compare", run, *given, "--offline")
    assert code == 2 and said in err and len(err.splitlines()) == 1
