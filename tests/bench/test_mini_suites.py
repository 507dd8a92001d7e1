"""The suites of the mini world, from the command line, on stand-ins of its checkpoints."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from contextlib import redirect_stdout
from pathlib import Path

import pandas as pd
import pytest

from t2ibench.adapters.codecs.baselines import Bicubic
from t2ibench.bench.options import Options, default_batch, methods_of
from t2ibench.bench.plan import make_plan
from t2ibench.bench.suites import SUITES, find_suite
from t2ibench.core.errors import BenchError

Bench = Callable[..., tuple[int, str, str]]

SMALL = ["--set", "sampling.steps=2", "--set", "reference_n=6", "--batch-size", 4, "--offline"]
CONTROL = ["controlnet", "t2i-adapter", "mediapipe-plugin"]
FEW_STEPS = ["snapfusion", "mobilediffusion"]
METHODS = ["scenes", "scenes[codec=vae:zoo:mini-sd]", "sd15[checkpoint=zoo:mini-sd]"]
COMMON = ["mini_fd", "mini_kd", "mini_clip_score", "caption_accuracy", "edge_f1"]
OTHERS = {
    "scene-regions": ["mini_clip_score", "caption_accuracy", "object_iou"],
    "scene-panoramas": ["mini_clip_score", "seam_ratio"],
    "scene-edits": ["mini_clip_score", "caption_accuracy", "edit_success", "background_psnr"],
}
"""What is measured of rows of other prompts."""
LABEL = "Mini world: miniature models on drawn 64×64 scenes. No number here says anything of the full-size methods."


def read(out: Path) -> dict:
    return json.loads((out / "run.json").read_text())


@pytest.fixture(scope="module")
def finished(zoo_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """A small run of the suite, without the row that trains: its folder and what it printed."""
    from t2ibench.bench.cli import status

    rows = [row.model_dump(exclude_none=True) for row in find_suite("mini").methods if "unitune" not in row.method]
    inline = (", ".join(f"{key} = {json.dumps(value)}" for key, value in row.items()) for row in rows)
    methods = f"methods=[{', '.join(f'{{ {row} }}' for row in inline)}]"
    folder, printed = tmp_path_factory.mktemp("mini"), io.StringIO()
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(printed):
        patch.setattr("t2ibench.core.zoo.FOLDER", zoo_folder)
        code = status([*map(str, ("run", "--limit", 5, "--out", folder, "--set", methods, *SMALL))])
    assert code == 0
    return folder, printed.getvalue()


def test_mini_is_the_suite_of_a_run_without_options(finished: tuple[Path, str], zoo_folder: Path) -> None:
    folder, out = finished
    run = read(folder)
    assert (run["suite"]["name"], run["suite"]["dataset"]) == ("mini", "scenes")
    results = run["results"]
    assert [result["method"] for result in results if result["dataset"] is None] == METHODS
    assert [result["checkpoint"] for result in results][:3] == [None, "zoo:mini-sd", "zoo:mini-sd"]
    assert [result["dataset"] for result in results][3:] == list(OTHERS)
    # The stand-in of the zoo has neither control networks nor methods of few steps, and fewer layers.
    assert [item["method"].partition("[")[0] for item in run["skipped"]] == [*CONTROL, *FEW_STEPS, "plug-and-play"]
    assert all("the zoo has no checkpoint" in item["reason"] for item in run["skipped"][:-1])
    for text in (out, *(path.read_text() for path in (folder / "run.json", folder / "report.md"))):
        assert LABEL[:48] in text
        assert str(zoo_folder) not in text
    assert LABEL in run["suite"]["notes"]
    assert LABEL in (folder / "report.html").read_text()


def test_every_row_has_its_numbers_its_time_and_its_cost(finished: tuple[Path, str]) -> None:
    folder, out = finished
    found = read(folder)["results"]
    results = dict(zip(METHODS, found, strict=False))
    for result in found:
        assert result["n"] == 5
        told = [name for name, value in result["metrics"].items() if value["value"] is not None]
        assert told == list(result["metrics"]) == OTHERS.get(result["dataset"], COMMON)
        assert result["latency"]["end_to_end"]["median_s"] > 0
    assert results["scenes"]["metrics"]["caption_accuracy"]["value"] == 1
    assert "scene-reader@" in results["scenes"]["metrics"]["caption_accuracy"]["identity"]
    assert results["scenes"]["settings"]["steps"] is None
    sampled = results["sd15[checkpoint=zoo:mini-sd]"]
    assert (sampled["settings"]["scheduler"], sampled["settings"]["steps"]) == ("ddim", 2)
    assert sampled["cost"]["forwards_per_image"] == 4
    scores = pd.read_parquet(folder / "scores.parquet")
    assert set(scores[scores.metric == "caption_accuracy"].value) <= {0.0, 1.0}
    for title in ("accuracy", "Params", "Time"):
        assert title in out


def test_rows_of_other_prompts_stand_in_tables_of_their_own(finished: tuple[Path, str]) -> None:
    folder, out = finished
    page, text = ((folder / f"report.{kind}").read_text() for kind in ("html", "md"))
    for dataset in ("scenes", *OTHERS):
        assert f"\nPrompts of {dataset}\n" in f"\n{out}" and f"<h2>Prompts of {dataset}</h2>" in page
    tables = [part.split("<details>")[0] for part in text.split("### Prompts of ")[1:]]
    heads = ["mini FD", "Object IoU", "Seam ratio", "Edit success"]
    assert [[head in table for head in heads] for table in tables] == [[a == b for b in range(4)] for a in range(4)]
    assert "of 5 of the 256 prompts of scene-regions: multidiffusion[" in out


def test_a_row_of_a_suite_keeps_what_is_its_own_where_it_is_named(bench: Bench, zoo: Path, tmp_path: Path) -> None:
    row = next(row.method for row in find_suite("mini").methods if row.dataset == "scene-panoramas")
    status, out, err = bench("run", "--methods", row, "--dry-run", "--out", tmp_path)
    assert status == 0 and f"{row}: 8 pictures to make" in out, err
    (tmp_path / "mine.txt").write_text("a red circle")
    status, _, err = bench("run", "--methods", row, "--prompts", tmp_path / "mine.txt", "--dry-run", "--out", tmp_path)
    assert status == 2 and "takes dataset 'scene-panoramas': leave out --prompts" in err


def test_the_suite_says_how_many_prompts_and_batches_fit_small_pictures(
    bench: Bench, zoo: Path, tmp_path: Path
) -> None:
    status, out, err = bench("run", "--methods", "scenes", "--dry-run", "--out", tmp_path)
    assert status == 0, err
    assert "suite mini: 128 of 2,048 items, batches of 32" in out
    assert "scenes: 128 pictures to make" in out
    assert [default_batch(side, side, device) for side, device in ((512, "cpu"), (512, "cuda:0"), (64, "cuda:0"))] == [
        1, 8, 32,
    ]  # fmt: skip


def test_fewer_wide_pictures_fit_in_a_batch(tmp_path: Path) -> None:
    (tmp_path / "prompts.txt").write_text("a lake\n")
    (tmp_path / "0.png").write_bytes(b"")
    wide = find_suite("prompts", {"sampling.width": 3072})
    methods = f"folder:{tmp_path}"
    batches = [
        make_plan(Options(suite, methods, device="cuda:0", prompts=tmp_path / "prompts.txt"), tmp_path).batch_size
        for suite in (find_suite("prompts"), wide)
    ]
    assert batches == [8, 1]


def test_claims_are_by_the_excess_over_real_pictures(bench: Bench, zoo: Path, tmp_path: Path) -> None:
    suite = find_suite("mini-claims")
    assert (suite.n, suite.reference_n, suite.methods) == (2048, None, find_suite("mini").methods[:3])
    status, out, err = bench("run", "--suite", "mini-claims", "--limit", 4, "--out", tmp_path / "run", *SMALL)
    assert status == 0, err
    scenes, codec, sampled = (result["metrics"] for result in read(tmp_path / "run")["results"])
    for found in (codec, sampled):
        expected = found["mini_fd"]["value"] - scenes["mini_fd"]["value"]
        assert found["mini_fd_excess"]["value"] == pytest.approx(expected)
    assert scenes["mini_fd_excess"]["reason"] == "the excess of the other rows is over this one"
    assert "excess" in out


def test_the_sweep_takes_guidance_from_1_to_12() -> None:
    suite = find_suite("mini-cfg-sweep")
    found = methods_of(Options(suite))
    values = ["1", "1.5", "2", "3", "4", "6", "8", "12"]
    assert [method.method for method in found] == [f"sd15[checkpoint=zoo:mini-sd,guidance={g}]" for g in values]
    assert {method.n for method in found} == {512}


def test_all_suites_of_the_mini_world_carry_the_label() -> None:
    names = [name for name in SUITES.names() if name.startswith("mini")]
    control = {"mini-control", "mini-control-faces", "mini-control-steps", "mini-control-strength"}
    assert {"mini", "mini-cfg-sweep", "mini-claims", *control} <= set(names)
    assert all(LABEL in find_suite(name).notes for name in names)


def test_prompts_that_are_no_captions_leave_reasons(bench: Bench, zoo: Path, tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("a photo of a bus\na red circle")
    arguments = ["--suite", "mini", "--prompts", tmp_path / "mine.txt", "--out", tmp_path / "run", *SMALL]
    status, _, err = bench("run", *arguments)
    assert status == 0, err
    run = read(tmp_path / "run")
    reasons = {item["method"]: item["reason"] for item in run["skipped"]}
    assert set(METHODS[:2]) <= set(reasons)
    assert "is no caption of dataset 'scenes'" in reasons["scenes"]
    (result,) = run["results"]
    assert result["metrics"]["mini_clip_score"]["value"] is not None
    assert "needs captions of drawn scenes" in result["metrics"]["caption_accuracy"]["reason"]
    assert "has no photos" in result["metrics"]["mini_fd"]["reason"]


def test_a_zoo_without_the_checkpoint_is_said_so(bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("t2ibench.core.zoo.FOLDER", tmp_path / "empty")
    arguments = ["--limit", 3, "--metrics", "caption_accuracy", "--out", tmp_path / "run", *SMALL]
    status, _, err = bench("run", *arguments)
    assert status == 0, err
    assert "the zoo has no checkpoint 'mini-sd' (known: none: this installation lacks them)" in err
    status, _, err = bench("run", *arguments, "--strict")
    assert status == 2
    assert err.count("\n") == 1


OWN = """
name = "own"
version = 1
summary = "s"
dataset = "scenes"
n = 3
methods = ["scenes", { method = "scenes[offset=5000]", n = 2 }]
metrics = ["caption_accuracy"]
"""


def test_a_suite_states_n_and_a_method_its_own(bench: Bench, tmp_path: Path) -> None:
    (tmp_path / "own.toml").write_text(OWN)
    command = ["run", "--suite", tmp_path / "own.toml", "--set", "sampling.size=64", "--out", tmp_path / "run"]
    status, _, err = bench(*command)
    assert status == 0, err
    run = read(tmp_path / "run")
    assert [result["n"] for result in run["results"]] == [3, 2]
    assert (run["suite"]["items"], run["suite"]["total"]) == (3, 2048)
    assert bench(*command, "--limit", 1)[0] == 0
    assert [result["n"] for result in read(tmp_path / "run")["results"]] == [1, 1]


def test_a_suite_of_photos_states_n_too(bench: Bench, photo_folder: Path, tmp_path: Path) -> None:
    arguments = ["--set", "sampling.size=64", "--methods", "jpeg", "--metrics", "psnr", "--set", "n=2"]
    out = ["--out", tmp_path / "run"]
    status, _, err = bench("run", "--suite", "decoders", "--images", photo_folder, *arguments, *out)
    assert status == 0, err
    assert read(tmp_path / "run")["suite"]["items"] == 2


def test_an_excess_of_a_metric_that_the_suite_lacks_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "own.toml").write_text(f"{OWN}[excess]\nover = 'scenes'\nmetrics = ['mini_fd']\n")
    with pytest.raises(BenchError, match="names mini_fd, which metrics does not"):
        find_suite(str(tmp_path / "own.toml"))
    with pytest.raises(BenchError, match=r"own\.toml': excess\.metrics names"):
        find_suite(str(tmp_path / "own.toml"))
    with pytest.raises(BenchError, match=r"own\.toml': version: Input should be"):
        find_suite(str(tmp_path / "own.toml"), {"version": 0})


def test_drawing_the_reference_is_shown_once(bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    arguments = ["--methods", "scenes", "--metrics", "mini_fd", "--limit", 3, "--out", tmp_path / "run", *SMALL]
    monkeypatch.setattr("t2ibench.core.zoo.FOLDER", tmp_path / "empty")
    errors = [bench("run", *arguments)[2] for _ in range(2)]
    assert ["draw the reference: 6 of 6" in text for text in errors] == [True, False]


@pytest.mark.parametrize(("limit", "noted"), [(500, True), (128, False), (5, False)])
def test_a_limit_above_n_is_said_to_change_nothing(bench: Bench, zoo: Path, limit: int, noted: bool) -> None:
    status, out, err = bench("run", "--methods", "scenes", "--limit", limit, "--dry-run")
    assert status == 0, err
    assert f"suite mini: {min(limit, 128)} of 2,048 items" in out
    assert ("takes 128 of 2,048 items, --limit 500 or not: for more, --set n=500" in out) == noted


def test_a_limit_above_n_is_noted_for_photos_too(bench: Bench, photo_folder: Path) -> None:
    arguments = ["--images", photo_folder, "--set", "sampling.size=64", "--set", "n=2", "--methods", "jpeg"]
    status, out, err = bench("run", "--suite", "decoders", *arguments, "--limit", 3, "--dry-run")
    assert status == 0, err
    assert "takes 2 of 3 items, --limit 3 or not: for more, --set n=3" in out


def test_photos_for_a_suite_of_prompts_are_shown_the_way(bench: Bench, photo_folder: Path) -> None:
    status, _, err = bench("run", "--images", photo_folder)
    assert status == 2
    assert "takes prompts, not photos: leave out --images, or choose --suite decoders" in err


@pytest.mark.parametrize(("official", "notes"), [(False, ["its weights are not the official ones"]), (None, [])])
def test_unofficial_weights_of_a_codec_in_a_method_are_said_so(
    bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, official: bool | None, notes: list[str]
) -> None:
    monkeypatch.setattr(Bicubic, "official", official)
    arguments = ["--methods", "scenes[codec=bicubic[factor=2]]", "--metrics", "caption_accuracy", "--limit", 2]
    status, _, err = bench("run", *arguments, "--out", tmp_path / "run", *SMALL)
    assert status == 0, err
    (result,) = read(tmp_path / "run")["results"]
    assert [note for note in result["notes"] if "weights" in note] == notes
