"""``bench score``: one number whatever the pictures lie in, and statistics in place of either side."""

from __future__ import annotations

import io
import json
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

Bench = Callable[..., tuple[int, str, str]]

N = 24


def picture(index: int, shift: int = 0) -> np.ndarray:
    random = np.random.default_rng(1000 * shift + index)
    y, x = np.mgrid[:32, :32] / 32
    waves = np.stack([x * random.uniform(), y * random.uniform(), (x + y) * random.uniform()], -1)
    return (waves * 120 + shift + random.integers(0, 40, (32, 32, 3))).clip(0, 255).astype(np.uint8)


def png(pixels: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    return buffer.getvalue()


def write_folder(path: Path, shift: int) -> Path:
    path.mkdir()
    for index in range(N):
        (path / f"{index:03d}.png").write_bytes(png(picture(index, shift)))
    return path


@pytest.fixture
def generated(tmp_path: Path) -> Path:
    return write_folder(tmp_path / "generated", 9)


@pytest.fixture
def reference(tmp_path: Path) -> Path:
    return write_folder(tmp_path / "reference", 0)


def score(bench: Bench, *arguments: object) -> dict:
    status, out, err = bench("score", *arguments, "--json", "--offline")
    assert status == 0, err
    return json.loads(out)


def fid(bench: Bench, *arguments: object) -> dict:
    return score(bench, *arguments, "--metrics", "fid")["metrics"]["fid"]


def as_zip(folder: Path) -> Path:
    path = folder.with_suffix(".zip")
    with zipfile.ZipFile(path, "w") as archive:
        for file in folder.iterdir():
            archive.write(file, f"inside/{file.name}")
        archive.writestr("__MACOSX/._000.png", b"")
    return path


def as_tar(folder: Path) -> Path:
    path = folder.with_suffix(".tar")
    with tarfile.open(path, "w") as archive:
        archive.add(folder, arcname=".")
    return path


def as_shards(folder: Path) -> Path:
    shards = folder.with_name(f"{folder.name}-shards")
    shards.mkdir()
    for index, file in enumerate(sorted(folder.iterdir())):
        with tarfile.open(shards / f"{index % 3}.tar", "a") as archive:
            archive.add(file, arcname=f"{index // 3}.png")  # the same names in each shard
    return shards / "*.tar"


def as_arrays(folder: Path) -> Path:
    path = folder.with_suffix(".npz")
    np.savez(path, np.stack([np.asarray(Image.open(file)) for file in sorted(folder.iterdir())]))
    return path


def as_small_arrays(folder: Path) -> Path:
    path = folder.with_suffix(".npz")
    np.savez_compressed(path, arr_0=np.stack([np.asarray(Image.open(file)) for file in sorted(folder.iterdir())]))
    return path


@pytest.mark.parametrize("pack", [as_zip, as_tar, as_shards, as_arrays, as_small_arrays])
def test_the_number_is_the_same_whatever_the_pictures_lie_in(
    bench: Bench, generated: Path, reference: Path, stub: None, pack: Callable
) -> None:
    expected = fid(bench, generated, "--reference", reference)
    assert expected["n"] == N
    assert expected["value"] > 1
    for arguments in ((pack(generated), "--reference", reference), (generated, "--reference", pack(reference))):
        found = fid(bench, *arguments)
        assert found["value"] == pytest.approx(expected["value"], rel=1e-9)
        if pack not in (as_arrays, as_small_arrays):  # whose pictures have no files to take a digest of
            assert found["identity"] == expected["identity"]


def test_statistics_may_stand_for_either_side_or_both(
    bench: Bench, tmp_path: Path, generated: Path, reference: Path, stub: None
) -> None:
    ours, theirs = tmp_path / "ours.npz", tmp_path / "theirs.npz"
    options = ("--save-stats", ours, "--save-reference-stats", theirs)
    expected = fid(bench, generated, "--reference", reference, *options)
    for sides in ((generated, theirs), (ours, reference), (ours, theirs)):
        found = fid(bench, sides[0], "--reference", sides[1])
        assert found["value"] == pytest.approx(expected["value"], rel=1e-9)
        assert found["n"] == N
        assert found["note"] is None or "does not say" not in found["note"]
        assert found["identity"].startswith("fid:stub@1:gen=as-is,ref=")


def test_saved_statistics_are_those_of_other_tools(
    bench: Bench, tmp_path: Path, generated: Path, reference: Path, stub: None
) -> None:
    found = score(bench, generated, "--save-stats", tmp_path / "ours.npz")
    assert found["metrics"] == {}
    with np.load(tmp_path / "ours.npz") as file:  # as pytorch-fid and clean-fid read it
        mu, sigma = file["mu"][:], file["sigma"][:]
        assert int(file["n"]) == N
        assert json.loads(str(file["identity"]))["extractor"] == "stub@1:quarters:fp32"
    features = np.stack([[q.mean() for q in np.array_split(picture(i, 9), 4)] for i in range(N)]).astype(np.float32)
    np.testing.assert_allclose(mu, features.mean(0), rtol=1e-6)
    np.testing.assert_allclose(sigma, np.cov(features.astype(np.float64), rowvar=False), rtol=1e-6)
    np.savez(tmp_path / "plain.npz", mu=mu, sigma=sigma)
    plain = fid(bench, tmp_path / "plain.npz", "--reference", reference)
    assert plain["value"] == pytest.approx(fid(bench, generated, "--reference", reference)["value"], rel=1e-9)
    assert "does not say which extractor" in plain["note"]
    assert plain["n"] == 0
    assert "fid:unknown:" in plain["identity"]
    noted = fid(bench, generated, "--reference", tmp_path / "plain.npz")["note"]
    assert "does not say which extractor" in noted


def test_what_statistics_cannot_give(bench: Bench, tmp_path: Path, generated: Path, stub: None) -> None:
    score(bench, generated, "--save-stats", tmp_path / "ours.npz")
    status, out, err = bench("score", tmp_path / "ours.npz", "--reference", generated, "--metrics", "fid,kid", "--json")
    assert status == 0, err
    assert "holds only their mean and covariance" in json.loads(out)["metrics"]["kid"]["reason"]
    for arguments, says in {
        (generated, "--reference", tmp_path / "ours.npz", "--metrics", "kid"): "needs reference pictures",
        (tmp_path / "ours.npz", "--prompts", "p.txt"): "statistics have no prompts",
        (tmp_path / "ours.npz", "--metrics", "fid"): "needs reference pictures",
        (tmp_path / "ours.npz", "--save-stats", "x.npz"): "no generated pictures",
        (generated, "--save-stats", "x.pt"): "a statistics file is an .npz",
        (tmp_path / "ours.npz", "--reference", generated, "--transform", "square8"): "give --transform as-is",
    }.items():
        status, _, err = bench("score", *arguments)
        assert status == 2
        assert says in err.splitlines()[-1]


def test_transform_and_resize_are_part_of_the_identity(
    bench: Bench, generated: Path, reference: Path, stub: None
) -> None:
    found = fid(bench, generated, "--reference", reference, "--transform", "square16")
    assert "gen=square16,ref=square16" in found["identity"]
    other = fid(bench, generated, "--reference", reference, "--reference-transform", "short24-crop16")
    assert "gen=as-is,ref=short24-crop16" in other["identity"]
    assert found["value"] != other["value"]


def test_metrics_follow_from_what_is_given(
    bench: Bench, tmp_path: Path, generated: Path, reference: Path, stub: None
) -> None:
    (tmp_path / "prompts.txt").write_text("".join(f"prompt {'x' * i}\n" for i in range(N - 4)))
    found = score(bench, generated, "--reference", reference, "--prompts", tmp_path / "prompts.txt")
    assert list(found["metrics"]) == ["fid", "clip_score"]
    assert found["metrics"]["fid"]["n"] == N
    assert found["metrics"]["clip_score"]["n"] == N - 4
    assert found["metrics"]["clip_score"]["interval"] is not None
    assert found["counts"]["images_without_prompt"] == 4
    found = score(bench, generated, "--targets", reference, "--metrics", "psnr,ssim")
    assert list(found["metrics"]) == ["psnr", "ssim"]


def test_broken_reference_pictures_are_skipped_too(bench: Bench, generated: Path, reference: Path, stub: None) -> None:
    (reference / "cut.png").write_bytes(png(picture(0))[:200])
    found = score(bench, generated, "--reference", reference, "--skip-bad")
    assert found["counts"]["images"] == found["counts"]["reference"] == N
    assert len(found["counts"]["skipped"]) == 1


def test_table_for_people(bench: Bench, generated: Path, reference: Path, stub: None) -> None:
    (generated / "notes.txt").write_text("x")
    (generated / "cut.png").write_bytes(b"")
    status, out, _ = bench("score", generated, "--reference", reference, "--skip-bad")
    assert status == 0
    assert "fid" in out and "±" in out
    assert "fid:stub@1:" in out
    assert "24 pictures, 24 of the reference" in out
    assert "broken and left out: 1" in out
    assert "cut.png: the file is empty" in out
    assert "other files passed over: 1" in out


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ([], "nothing to measure: give --reference, --prompts or --targets"),
        (["--metrics", "fdi"], "unknown metric 'fdi'; did you mean 'fid'?"),
        (["--metrics", "fid"], "fid: needs reference pictures or a statistics file; give --reference"),
        (["--metrics", "psnr"], "psnr: needs a target for every picture; give --targets"),
        (["--metrics", "clip_score"], "clip_score: needs a prompt for every picture; give --prompts"),
        (["--reference", ".", "--metrics", "fid", "--offline"], "weights 'inception' are missing"),
        (["--reference", "nowhere"], "nowhere: no such file or folder"),
        (["--weights", "inception"], "write NAME=FILE"),
        (["--reference", ".", "--weights", "inception=/no/such/file"], "/no/such/file"),
        (["--reference", ".", "--transform", "bigger"], "unknown transform 'bigger'"),
        (["--reference", ".", "--resize", "bigger"], "unknown resize 'bigger'"),
        (["--reference", ".", "--dtype", "fp12"], "unknown dtype 'fp12'"),
        (["--device", "gpu"], "device 'gpu'"),
    ],
)
def test_one_line_and_status_2(
    bench: Bench, generated: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], says: str
) -> None:
    monkeypatch.chdir(generated)
    monkeypatch.delenv("T2IBENCH_WEIGHTS", raising=False)
    monkeypatch.setenv("TORCH_HOME", str(generated))
    status, out, err = bench("score", ".", *arguments)
    assert status == 2
    assert says in err.splitlines()[-1]
    assert out == ""


@pytest.mark.slow
def test_inception_end_to_end(
    bench: Bench, tmp_path: Path, generated: Path, reference: Path, random_inception: Path
) -> None:
    """The real architecture: its statistics are written, and refused for another resize."""
    weights = ("--weights", f"inception={random_inception}")
    found = fid(bench, generated, "--reference", reference, *weights, "--save-stats", tmp_path / "ours.npz")
    assert found["n"] == N
    assert "Inception weights random.pth are not the official ones" in found["note"]
    with np.load(tmp_path / "ours.npz") as file:
        assert file["sigma"].shape == (2048, 2048)
    status, _, err = bench("score", tmp_path / "ours.npz", "--reference", reference, *weights, "--resize", "clean-fid")
    assert status == 2
    assert "tf-bilinear:fp32, not inception-unofficial" in err.splitlines()[-1]


@pytest.mark.slow
def test_statistics_and_pictures_of_one_set_have_one_identity(
    bench: Bench, tmp_path: Path, random_inception: Path
) -> None:
    """But for what the reference is called: else a gate would take the same number for two quantities."""
    for folder, offset in (("a", 0), ("b", 60)):
        (tmp_path / folder).mkdir()
        for index in range(3):
            noise = np.random.default_rng(index + offset).integers(0, 255, (48, 48, 3), np.uint8)
            Image.fromarray(noise).save(tmp_path / folder / f"{index}.png")
    weights = ["--weights", f"inception={random_inception}", "--metrics", "fid", "--json", "--offline"]
    saved = ["--save-stats", tmp_path / "a.npz", "--save-reference-stats", tmp_path / "b.npz"]
    found = []
    for arguments in (
        [tmp_path / "a", "--reference", tmp_path / "b", *saved],
        [tmp_path / "a", "--reference", tmp_path / "b.npz"],
        [tmp_path / "a.npz", "--reference", tmp_path / "b.npz"],
    ):
        status, out, err = bench("score", *arguments, *weights)
        assert status == 0, err
        found.append(json.loads(out)["metrics"]["fid"])
    pictures, reference, both = found
    assert both["identity"] == reference["identity"]
    kept = [value["identity"].split(":ref-")[0] for value in found]
    assert kept[0].replace("ref=as-is", "ref=statistics") == kept[1] == kept[2]
    assert both["value"] == pytest.approx(pictures["value"], rel=1e-3)
    assert "not the official" in both["note"]
