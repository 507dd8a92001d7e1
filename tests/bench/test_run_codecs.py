"""`bench run --suite decoders`: photos through autoencoders to the decoder table."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

Bench = Callable[..., tuple[int, str, str]]


def read(out: Path) -> dict:
    return json.loads((out / "run.json").read_text())


def decoders(images: Path, methods: str, out: Path, *more: object, size: int = 64) -> list:
    return ["run", "--suite", "decoders", "--images", images, "--methods", methods, "--out", out,
            "--set", f"sampling.size={size}", "--metrics", "psnr,ssim", "--offline", *more]  # fmt: skip


@pytest.fixture(scope="session")
def tiny_vae(tmp_path_factory: pytest.TempPathFactory) -> Path:
    import torch
    from diffusers import AutoencoderKL

    torch.manual_seed(0)
    folder = tmp_path_factory.mktemp("vae")
    AutoencoderKL(
        block_out_channels=(8, 8, 8, 8), layers_per_block=1, norm_num_groups=4, latent_channels=4,
        down_block_types=("DownEncoderBlock2D",) * 4, up_block_types=("UpDecoderBlock2D",) * 4,
    ).save_pretrained(folder)  # fmt: skip
    return folder


def test_the_table_of_codecs(bench: Bench, photo_folder: Path, tiny_vae: Path, tmp_path: Path) -> None:
    out, dashboard = tmp_path / "run", tmp_path / "seconds.json"
    asked = decoders(photo_folder, f"jpeg[quality=90],jpeg[quality=5],bicubic,vae:{tiny_vae}", out)
    status, text, err = bench(*asked, "--pytest-benchmark-json", dashboard)
    assert status == 0, err
    fine, coarse, bicubic, vae = read(out)["results"]
    assert fine["metrics"]["psnr"]["value"] > coarse["metrics"]["psnr"]["value"]
    assert fine["metrics"]["psnr"]["identity"].startswith("psnr:")
    low, high = fine["metrics"]["ssim"]["interval"]
    assert low < fine["metrics"]["ssim"]["value"] < high
    assert vae["codec"]["latent_channels"] == 4
    assert vae["codec"]["decoder_params"] > 0
    assert vae["codec"]["decoder_macs"] > 0
    assert vae["codec"]["file_bytes"] > 4 * vae["codec"]["decoder_params"]
    assert set(vae["latency"]) == {"encode", "decode"}
    timed = {found["name"]: found["stats"] for found in json.loads(dashboard.read_text())["benchmarks"]}
    assert timed[f"decode[{vae['method']}-cpu-fp32]"]["median"] == vae["latency"]["decode"]["median_s"]
    status, shown, _ = bench("compare", dashboard, dashboard)
    assert status == 0 and "median seconds" in shown
    assert bicubic["codec"]["decoder_params"] is None
    assert "MobileDiffusion" in text
    scores = pd.read_parquet(out / "scores.parquet")
    assert len(scores) == 4 * 3 * 2
    mean = scores[(scores.method == "jpeg[quality=90]") & (scores.metric == "psnr")].value.mean()
    assert mean == pytest.approx(fine["metrics"]["psnr"]["value"])
    assert len(json.loads((out / "pictures.json").read_text())) == 12


def test_psnr_is_that_of_the_stored_pictures(bench: Bench, photo_folder: Path, tmp_path: Path) -> None:
    """The number in the table can be had again from the files alone."""
    from skimage.metrics import peak_signal_noise_ratio

    out = tmp_path / "run"
    assert bench(*decoders(photo_folder, "jpeg[quality=50]", out))[0] == 0
    pictures = json.loads((out / "pictures.json").read_text())
    values = [
        peak_signal_noise_ratio(np.asarray(Image.open(out / p["reference"])), np.asarray(Image.open(out / p["file"])))
        for p in pictures
    ]
    assert read(out)["results"][0]["metrics"]["psnr"]["value"] == pytest.approx(np.mean(values), abs=1e-9)


def test_small_photos_are_skipped_and_counted(bench: Bench, photo_folder: Path, tmp_path: Path) -> None:
    Image.new("RGB", (100, 40)).save(photo_folder / "small.png")
    status, _, err = bench(*decoders(photo_folder, "jpeg", tmp_path / "run"))
    assert status == 0
    assert "1 of 4 photos" in err
    run = read(tmp_path / "run")
    assert (run["suite"]["items"], run["suite"]["total"]) == (3, 4)
    status, _, err = bench(*decoders(photo_folder, "jpeg", tmp_path / "run", size=512))
    assert status == 2
    assert "all 4 photos are smaller than 512" in err


def test_a_codec_of_the_suite_that_cannot_be_had_is_skipped_with_the_reason(
    bench: Bench, photo_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("T2IBENCH_WEIGHTS", raising=False)
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hub"))
    arguments = decoders(photo_folder, "", tmp_path / "run")
    del arguments[arguments.index("--methods") : arguments.index("--methods") + 2]
    status, _, err = bench(*arguments)
    assert status == 0, err
    skipped = {item["method"]: item["reason"] for item in read(tmp_path / "run")["skipped"]}
    assert set(skipped) == {"sd-vae", "taesd", "taef2", "vaelight"}
    assert "stabilityai/sd-vae-ft-mse" in skipped["sd-vae"]
    assert "taef2" in skipped["taef2"]
    status, _, err = bench(*arguments, "--strict")
    assert status == 2
    assert "sd-vae-ft-mse" in err


def test_frozen_latents_against_the_teacher(bench: Bench, photo_folder: Path, tiny_vae: Path, tmp_path: Path) -> None:
    """A copy of the teacher reproduces its pictures, a student with noise on its weights does not."""
    import shutil

    import torch
    from safetensors.torch import load_file, save_file

    student = shutil.copytree(tiny_vae, tmp_path / "student")
    weights = student / "diffusion_pytorch_model.safetensors"
    tensors = load_file(weights)
    torch.manual_seed(1)
    noisy = {k: v + 0.02 * torch.randn_like(v) if k.startswith("decoder") else v for k, v in tensors.items()}
    save_file(noisy, weights)
    copy = shutil.copytree(tiny_vae, tmp_path / "copy")
    out = tmp_path / "run"
    suite = ["run", "--suite", "decoders-latents", "--images", photo_folder, "--out", out, "--metrics", "psnr",
             "--set", "sampling.size=64", "--set", f"codec.teacher='vae:{tiny_vae}[space=x]'",
             "--methods", f"vae:{student}[space=x],vae:{copy}[space=x]"]  # fmt: skip
    status, _, err = bench(*suite)
    assert status == 0, err
    rows = {row["method"]: row["metrics"]["psnr"] for row in read(out)["results"]}
    assert 5 < rows[f"vae:{student}[space=x]"]["value"] < 60
    assert "no difference" in (rows[f"vae:{copy}[space=x]"]["reason"] or "").lower() or "identical" in (
        rows[f"vae:{copy}[space=x]"]["reason"] or ""
    )
    frozen = ["--set", f"codec.latents='{out / 'latents.safetensors'}'"]
    status, _, err = bench(*suite[:-2], "--methods", f"vae:{student}[space=x]", *frozen)
    assert status == 0, err
    again = read(out)["results"][-1]["metrics"]["psnr"]["value"]
    assert again == pytest.approx(rows[f"vae:{student}[space=x]"]["value"])
    status, _, err = bench(*suite[:-2], "--methods", "jpeg")
    assert status == 2
    assert "cannot decode them" in err


@pytest.mark.slow
@pytest.mark.data
def test_kodak_with_real_tiny_autoencoders(bench: Bench, tmp_path: Path) -> None:
    """TAEF2 and VAElight on a Kodak photo: the PSNR that their weights give, and LPIPS with real weights."""
    import os

    kodak = Path(os.environ["T2IBENCH_DATA"]) / "kodak"
    out = tmp_path / "run"
    status, _, err = bench("run", "--suite", "decoders", "--images", kodak, "--limit", 1, "--out", out,
                           "--methods", "taef2,vaelight,bicubic", "--metrics", "psnr,ssim,lpips")  # fmt: skip
    assert status == 0, err
    taef2, vaelight, bicubic = read(out)["results"]
    assert taef2["codec"]["latent_channels"] == 32
    assert taef2["metrics"]["psnr"]["value"] > 26
    assert 20 < vaelight["metrics"]["psnr"]["value"] < 28
    assert (
        taef2["metrics"]["lpips"]["value"]
        < vaelight["metrics"]["lpips"]["value"]
        < bicubic["metrics"]["lpips"]["value"]
    )
    assert taef2["metrics"]["lpips"]["note"] is None
    assert "lpips:squeeze" in taef2["metrics"]["lpips"]["identity"]
