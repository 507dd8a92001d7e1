"""What the command line says of bad input: one line, exit status 2; and how fast it answers."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

Bench = Callable[..., tuple[int, str, str]]

DECODERS = ["run", "--suite", "decoders", "--set", "sampling.size=64", "--metrics", "psnr", "--offline"]
PROMPTS = ["run", "--suite", "prompts", "--offline"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["run", "--suite", "coco6k"], "unknown suite 'coco6k'; did you mean 'coco5k'?"),
        (["run", "--suite", "missing.toml"], "missing.toml"),
        ([*DECODERS, "--methods", "jpg"], "unknown codec 'jpg'; did you mean 'jpeg'?"),
        ([*DECODERS, "--methods", "jpeg[quality=900]"], "quality"),
        ([*DECODERS, "--methods", "jpeg[qality=9]"], "did you mean 'quality'?"),
        ([*DECODERS, "--methods", "jpeg,jpeg"], "named twice"),
        ([*DECODERS, "--methods", ","], "--methods is empty"),
        ([*DECODERS, "--methods", ""], "--methods is empty"),
        ([*DECODERS, "--metrics", ""], "--metrics is empty"),
        ([*DECODERS, "--reference", "."], "leave out --reference"),
        ([*DECODERS, "--weights", "incepton=x.pth"], "did you mean 'inception'?"),
        ([*DECODERS, "--set", "codec.mode=latents", "--set", "codec.teacher=jpeg"], "has no latents"),
        ([*DECODERS, "--set", "name=../elsewhere"], "name"),
        ([*PROMPTS, "--methods", "diffusers", "--prompts", "p.txt"], "needs an argument"),
        ([*PROMPTS, "--methods", "folder", "--prompts", "p.txt"], "needs an argument"),
        ([*DECODERS, "--metrics", "pnsr"], "unknown metric 'pnsr'; did you mean 'psnr'?"),
        ([*DECODERS, "--metrics", "fid"], "fid"),
        ([*DECODERS, "--set", "sampling.size=7"], "sampling.size"),
        ([*DECODERS, "--set", "sampling.sise=8"], "sampling.sise"),
        ([*DECODERS, "--set", "name.deep=8"], "'name' has no keys"),
        ([*DECODERS, "--set", "nothing"], "write KEY=VALUE"),
        ([*DECODERS, "--weights", "inception"], "write NAME=FILE"),
        ([*DECODERS, "--weights", "lpips-squeeze=/no/such/file", "--metrics", "lpips"], "/no/such/file"),
        ([*DECODERS, "--dtype", "fp12"], "unknown dtype 'fp12'"),
        ([*DECODERS, "--device", "gpu"], "device 'gpu'"),
        ([*DECODERS, "--images", "/no/such/folder"], "/no/such/folder"),
        ([*DECODERS, "--prompts", "x.txt"], "takes photos, not prompts"),
        ([*DECODERS, "--limit", "0"], "--limit"),
        ([*DECODERS, "--limt", "1"], "No such option"),
        ([*PROMPTS, "--methods", "sd15"], "--prompts"),
        ([*PROMPTS, "--images", "."], "takes prompts, not photos"),
        ([*PROMPTS, "--prompts", "/no/such/prompts.txt"], "/no/such/prompts.txt"),
        (["report", "/no/such/run"], "no run at '/no/such/run'"),
        (["ls", "suits"], "did you mean 'suites'?"),
        (["fetch", "coco5"], "did you mean 'coco5k'?"),
        (["rum"], "No such command 'rum'"),
    ],
)
def test_one_line_and_status_2(
    bench: Bench, arguments: list[str], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "p.txt").write_text("a bus")
    status, out, err = bench(*arguments)
    last = err.splitlines()[-1]
    assert status == 2
    assert last.startswith("bench: error: ")
    assert message in last
    assert "Traceback" not in err
    assert out == ""


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("name = \nversion = 1", "line 1"),
        ("name = 'x'\nversion = 1\nsummary = 's'\ndataset = 'coco5k'", "methods"),
        ("name = 'x'\nversion = 0\nsummary = 's'\ndataset = 'coco5k'\nmethods = ['sd15']", "version"),
        ("name = 'x'\nversion = 1\nsummary = 's'\ndataset = 'coco'\nmethods = ['sd15']", "unknown dataset 'coco'"),
        ("name = 'x'\nversion = 1\nsummary = 's'\ndataset = 'coco5k'\nmethods = ['sd15']\nextra = 1", "extra"),
        (
            "name = 'x'\nversion = 1\nsummary = 's'\ndataset = 'coco5k'\nmethods = ['sd15']\n"
            "metrics = ['fid']\n[transform]\nreference = 'bigger'",
            "bigger",
        ),
    ],
)
def test_suite_files_with_mistakes(bench: Bench, tmp_path: Path, text: str, message: str) -> None:
    file = tmp_path / "own.toml"
    file.write_text(text)
    captions = tmp_path / "data" / "coco"
    captions.mkdir(parents=True)
    status, _, err = bench(
        "run", "--suite", file, "--offline", "--data-root", tmp_path / "data", "--out", tmp_path / "o"
    )
    assert status == 2
    if "bigger" not in message:
        assert message in err
    assert err.count("\n") == 1


def good_photo(path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 255, (96, 96, 3), np.uint8)
    Image.fromarray(noise).save(path)


def truncated_jpeg(path: Path) -> None:
    good_photo(path)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


@pytest.mark.parametrize(
    ("name", "make"),
    [
        ("cut.jpg", truncated_jpeg),
        ("empty.png", lambda path: path.write_bytes(b"")),
        ("text.png", lambda path: path.write_text("not a picture")),
        ("moving.png", lambda path: Image.new("RGB", (96, 96)).save(
            path, save_all=True, append_images=[Image.new("RGB", (96, 96), "red")])),
    ],
)  # fmt: skip
def test_photos_that_are_refused_by_name(bench: Bench, tmp_path: Path, name: str, make: Callable) -> None:
    folder = tmp_path / "photos"
    folder.mkdir()
    make(folder / name)
    status, _, err = bench(*DECODERS, "--images", folder, "--methods", "jpeg", "--out", tmp_path / "run")
    assert status == 2
    assert name in err
    assert err.count("\n") == 1


def test_photos_that_are_converted(bench: Bench, tmp_path: Path) -> None:
    modes = ["CMYK", "L", "P", "1", "I;16", "RGBA", "LA"]
    folder = tmp_path / "photos"
    folder.mkdir()
    grey = np.random.default_rng(0).integers(0, 255, (96, 96), np.uint8)
    for place, mode in enumerate(modes):
        image = Image.fromarray(grey.astype(np.uint16) * 257) if mode == "I;16" else Image.fromarray(grey).convert(mode)
        image.save(folder / (f"{place}.tif" if mode == "CMYK" else f"{place}.png"))
    status, _, err = bench(*DECODERS, "--images", folder, "--methods", "jpeg[quality=95]", "--out", tmp_path / "run")
    assert status == 0, err
    scores = pd.read_parquet(tmp_path / "run" / "scores.parquet")
    values = scores[scores["metric"] == "psnr"].set_index("prompt_id")["value"]
    assert {mode: values[str(place)] > 20 for place, mode in enumerate(modes)} == dict.fromkeys(modes, True)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda folder: shutil.rmtree(folder / "unet"), "unet"),
        (lambda folder: (folder / "model_index.json").unlink(), "model_index.json"),
        (lambda folder: (folder / "model_index.json").write_text("{"), "model_index.json"),
        (lambda folder: shutil.rmtree(folder / "tokenizer"), "tokenizer"),
        (lambda folder: shutil.rmtree(folder / "scheduler"), "scheduler_config.json"),
        (lambda folder: cut(folder / "vae" / "diffusion_pytorch_model.safetensors"), "vae"),
        (lambda folder: pickled(folder / "unet" / "diffusion_pytorch_model.safetensors"), "is a pickle"),
    ],
)
def test_checkpoints_that_are_broken(
    bench: Bench, tmp_path: Path, tiny_sd: Path, damage: Callable, message: str
) -> None:
    broken = shutil.copytree(tiny_sd, tmp_path / "broken")
    damage(broken)
    (tmp_path / "p.txt").write_text("a bus")
    status, _, err = bench(*PROMPTS, "--prompts", tmp_path / "p.txt", "--methods", f"sd15[checkpoint={broken}]",
                           "--out", tmp_path / "run", "--set", "sampling.size=64")  # fmt: skip
    assert status == 2
    assert message in err
    assert err.count("\n") == 1


def cut(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:-100])


def pickled(file: Path) -> None:
    import torch

    file.unlink()
    torch.save({"a": torch.zeros(1)}, file.with_suffix(".bin"))


def test_prompt_files_without_prompts(bench: Bench, tmp_path: Path) -> None:
    for name, text in (("none.txt", "\n\n"), ("none.csv", "prompt\n"), ("odd.csv", "a,b\n1,2\n")):
        (tmp_path / name).write_text(text)
        status, _, err = bench(*PROMPTS, "--prompts", tmp_path / name, "--methods", "sd15", "--out", tmp_path / "run")
        assert status == 2
        assert name in err
        assert err.count("\n") == 1


def test_a_missing_metric_asked_for_stops_before_anything_is_made(
    bench: Bench, tmp_path: Path, tiny_sd: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("T2IBENCH_WEIGHTS", raising=False)
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hub"))
    (tmp_path / "p.txt").write_text("a bus")
    status, _, err = bench(*PROMPTS, "--prompts", tmp_path / "p.txt", "--methods", f"sd15[checkpoint={tiny_sd}]",
                           "--metrics", "clip_score", "--out", tmp_path / "run",
                           "--set", "sampling.size=64")  # fmt: skip
    assert status == 2
    assert "clip_score" in err
    assert "T2IBENCH_WEIGHTS" in err
    assert not list(tmp_path.rglob("*.png"))


def test_json_is_all_that_stands_on_standard_output(bench: Bench, photo_folder: Path, tmp_path: Path) -> None:
    status, out, _ = bench(*DECODERS, "--images", photo_folder, "--methods", "jpeg", "--out", tmp_path / "r", "--json")
    assert status == 0
    assert json.loads(out)["results"][0]["method"] == "jpeg"
    for kind in ("suites", "methods", "codecs", "metrics", "datasets", "devices", "tables"):
        status, out, _ = bench("ls", kind, "--json")
        assert status == 0
        assert json.loads(out)


def test_doctor_says_what_is_missing(bench: Bench, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("T2IBENCH_WEIGHTS", raising=False)
    monkeypatch.setenv("T2IBENCH_DATA", str(tmp_path))
    status, out, _ = bench("doctor", "--json")
    assert status == 0
    found = {item["name"]: item for item in json.loads(out)}
    assert found["torch"]["works"]
    assert not found["coco5k prompts"]["works"]
    assert "bench fetch coco5k" in found["coco5k prompts"]["detail"]


@pytest.mark.parametrize("arguments", [["--help"], ["ls"], ["ls", "methods", "--json"], ["run", "--help"]])
def test_quick_answers_import_nothing_heavy(arguments: list[str]) -> None:
    code = (
        "import sys\nfrom t2ibench.bench.cli import status\n"
        f"assert status({arguments!r}) == 0\n"
        "slow = {'torch', 'diffusers', 'transformers', 'pandas', 'skimage', 'open_clip', 'lpips', 'scipy'}\n"
        "heavy = slow & set(sys.modules)\n"
        "assert not heavy, heavy"
    )
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)
