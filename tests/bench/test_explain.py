"""``bench explain``: each factor changed alone gives what it is to blame for."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from t2ibench.bench.explain import differences, identity_parts

Bench = Callable[..., tuple[int, str, str]]

N = 12


def picture(index: int) -> np.ndarray:
    random = np.random.default_rng(index)
    waves = np.sin(np.mgrid[:48, :48].sum(0) / random.uniform(3, 9))[..., None] * random.uniform(20, 60, 3)
    return (128 + waves + random.normal(0, 10, (48, 48, 3))).clip(0, 255).astype(np.uint8)


def folder(path: Path, count: int = N, suffix: str = "png", first: int = 0, change: int = 0, **options) -> Path:
    path.mkdir()
    for index in range(first, first + count):
        pixels = (picture(index).astype(int) + change).clip(0, 255).astype(np.uint8)
        Image.fromarray(pixels).save(path / f"{index}.{suffix}", **options)
    return path


@pytest.fixture
def scores(bench: Bench, tmp_path: Path) -> Callable[..., Path]:
    """Keep what ``bench score --json`` prints."""

    def run(name: str, *arguments: object) -> Path:
        status, out, err = bench("score", *arguments, "--json", "--offline")
        assert status == 0, err
        (tmp_path / f"{name}.json").write_text(out)
        return tmp_path / f"{name}.json"

    return run


def explain(bench: Bench, *arguments: object) -> dict:
    status, out, err = bench("explain", *arguments, "--json")
    assert status == 0, err
    return json.loads(out)


def effects(found: dict) -> dict[str, dict]:
    return {effect["factor"]: effect for effect in found["effects"]}


def test_jpeg_files_are_to_blame_whichever_side_they_are_on(bench: Bench, tmp_path: Path, stub: None) -> None:
    """A folder of JPEGs written from the PNGs of the other: changing the encoding alone closes the whole gap."""
    plain, lossy = folder(tmp_path / "png"), folder(tmp_path / "jpeg", suffix="jpg", quality=30)
    targets = folder(tmp_path / "targets", change=2)
    for sides, start in (((plain, lossy), "base"), ((lossy, plain), "head")):
        found = explain(bench, *sides, "--targets", targets, "--metric", "ssim")
        (effect,) = found["effects"]
        assert effect["factor"] == "file encoding"
        assert effect["start"] == start
        assert effect["share"] == pytest.approx(1)
        assert found["rest"] == pytest.approx(0, abs=1e-9)
        assert {effect["base"][:3], effect["head"][:3]} == {"PNG", "JPE"}


@pytest.mark.parametrize(
    ("factor", "base", "head"),
    [
        ("resize", [], ["--transform", "square16"]),
        ("reference", [], ["--reference", "others"]),
        ("dtype", [], ["--dtype", "bf16"]),
    ],
)
def test_one_factor_is_the_whole_gap(
    bench: Bench,
    tmp_path: Path,
    scores: Callable,
    stub: None,
    monkeypatch: pytest.MonkeyPatch,
    factor: str,
    base: list[str],
    head: list[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    pictures, common = (
        folder(tmp_path / "pictures"),
        ["--metrics", "fid", "--reference", folder(tmp_path / "photos", first=40)],
    )
    folder(tmp_path / "others", first=80, change=9)
    found = explain(bench, scores("a", pictures, *common, *base), scores("b", pictures, *common, *head))
    (effect,) = found["effects"]
    assert effect["factor"] == factor
    assert effect["base"] != effect["head"]
    assert effect["value"] == pytest.approx(found["head"]["value"])
    assert found["base"]["identity"] != found["head"]["identity"]
    if factor != "dtype":  # which the stand-in for the network does not heed
        assert effect["share"] == pytest.approx(1)
        assert found["rest"] == pytest.approx(0, abs=1e-9)
    else:
        assert effect["share"] is None and found["rest"] is None
    assert found["notes"] == []


def test_sample_count_and_pictures(bench: Bench, tmp_path: Path, scores: Callable, stub: None) -> None:
    """The pictures that both have are the same: the count is the whole gap. Then other pictures: it is the rest."""
    many, few = folder(tmp_path / "many"), folder(tmp_path / "few", count=5)
    other = folder(tmp_path / "other", count=5, change=30)
    photos = folder(tmp_path / "photos", first=40)
    a, b, c = (scores(path.name, path, "--reference", photos, "--metrics", "fid") for path in (many, few, other))
    found = effects(explain(bench, a, b))
    assert list(found) == ["sample count"]
    assert (found["sample count"]["base"], found["sample count"]["head"]) == ("12", "5")
    assert found["sample count"]["share"] == pytest.approx(1)
    assert effects(explain(bench, b, a))["sample count"]["start"] == "head"
    rest = explain(bench, b, c)
    assert rest["effects"] == []
    assert rest["rest"] == 1


def test_two_factors_and_the_table(bench: Bench, tmp_path: Path, scores: Callable, stub: None) -> None:
    many, few = folder(tmp_path / "many"), folder(tmp_path / "few", count=5, suffix="jpg", quality=20)
    photos = folder(tmp_path / "photos", first=40)
    a = scores("a", many, "--reference", photos, "--transform", "square16")
    b = scores("b", few, "--reference", photos)
    found = explain(bench, a, b)
    assert list(effects(found)) == ["resize", "sample count", "file encoding"]
    assert all(effect["share"] is not None for effect in found["effects"])
    status, out, _ = bench("explain", a, b, "--metric", "fid")
    assert status == 0
    for text in ("fid: ", "of the gap", "square16", "JPEG 4:2:0", "is left for the pictures themselves"):
        assert text in out


def test_what_cannot_be_recomputed_is_said(bench: Bench, tmp_path: Path, scores: Callable, stub: None) -> None:
    pictures, webp = folder(tmp_path / "png"), folder(tmp_path / "webp", suffix="webp", quality=20)
    photos = folder(tmp_path / "photos", first=40)
    a = scores("a", pictures, "--reference", photos, "--save-stats", tmp_path / "ours.npz")
    b = scores("b", webp, "--reference", photos)
    assert "does not say with which settings" in effects(explain(bench, a, b))["file encoding"]["reason"]
    c = scores("c", tmp_path / "ours.npz", "--reference", folder(tmp_path / "more", first=60, count=20))
    found = effects(explain(bench, a, c))
    assert found["reference"]["share"] == pytest.approx(1)
    assert "a statistics file holds no pictures" in found["file encoding"]["reason"]
    assert "cannot be recomputed" in bench("explain", a, c)[1]


def test_statistics_are_not_compared_with_what_they_do_not_fit(
    bench: Bench, tmp_path: Path, scores: Callable, stub: None
) -> None:
    pictures, photos = folder(tmp_path / "pictures"), folder(tmp_path / "photos", first=40)
    a = scores("a", pictures, "--reference", photos, "--save-reference-stats", tmp_path / "photos.npz")
    b = scores("b", pictures, "--reference", tmp_path / "photos.npz")
    c = scores("c", pictures, "--reference", photos, "--transform", "square16")
    assert effects(explain(bench, a, b))["reference"]["share"] is None
    found = effects(explain(bench, b, c))
    assert found["resize"]["start"] == "head"  # those of base are of pictures as they are
    assert found["resize"]["share"] == pytest.approx(1)
    assert found["reference"]["share"] == pytest.approx(0, abs=1e-9)


def test_files_that_changed_since_are_noticed(bench: Bench, tmp_path: Path, scores: Callable, stub: None) -> None:
    pictures, photos = folder(tmp_path / "pictures"), folder(tmp_path / "photos", first=40)
    a = scores("a", pictures, "--reference", photos)
    (pictures / "0.png").unlink()
    (note,) = explain(bench, a, pictures, "--reference", photos)["notes"]
    assert "files or weights have changed since" in note


def test_identity_parts() -> None:
    base = "fid:inception@1:gen=as-is,ref=as-is:tf-bilinear:fp32:n100:ref-12345678:v1"
    head = "fid:inception@2:gen=as-is,ref=as-is:clean-fid:bf16:n100:ref-12345678:v1"
    assert identity_parts(base)["sample count"] == "n100"
    found = {part.part: (part.base, part.head) for part in differences(base, head)}
    assert found == {
        "weights": ("inception@1", "inception@2"),
        "protocol and resize": ("tf-bilinear", "clean-fid"),
        "dtype": ("fp32", "bf16"),
    }


def write_run(path: Path, method: str, identity: str) -> Path:
    value = {"value": 1.0, "n": 2, "identity": identity, "higher_is_better": False}
    info = {
        "name": "s",
        "version": 1,
        "kind": "generate",
        "summary": "",
        "seed": 0,
        "dataset": "d",
        "items": 2,
        "total": 2,
    }
    result = {"method": method, "checkpoint": None, "n": 2, "settings": {}, "metrics": {"fid": value}}
    run = {"schema": 1, "suite": info, "created": "2026-01-01", "environment": {}, "results": [result]}
    path.mkdir()
    (path / "run.json").write_text(json.dumps(run))
    return path


def test_runs_are_compared_by_their_identities(bench: Bench, tmp_path: Path) -> None:
    a = write_run(tmp_path / "a", "sd15", "fid:inception@1:fp32:n2:v1")
    b = write_run(tmp_path / "b", "sd15[steps=8]", "fid:inception@1:bf16:n2:v1")
    status, out, _ = bench("explain", a, b)
    assert status == 0
    assert "sd15 fid" in out
    assert "dtype: fp32 -> bf16" in out
    assert explain(bench, a, b)["sd15 fid"] == [{"part": "dtype", "base": "fp32", "head": "bf16"}]
    assert "the pictures differ" in bench("explain", a, a)[1]


@pytest.mark.parametrize(
    ("base", "head", "options", "says"),
    [
        ("run", "pictures", [], "a run can be explained against another run alone"),
        ("pictures", "nowhere", ["--reference", "pictures"], "nowhere: no such file or folder"),
        ("pictures", "pictures", [], "no metric that both sides have"),
        ("pictures", "pictures", ["--metric", "fdi"], "did you mean 'fid'?"),
        ("pictures", "pictures", ["--metric", "fid"], "fid: needs reference pictures"),
        ("text.json", "pictures", [], "text.json: not the output of 'bench score --json'"),
        ("run", "run", ["--metric", "kid"], "no method and metric in common"),
    ],
)
def test_one_line_and_status_2(
    bench: Bench,
    tmp_path: Path,
    stub: None,
    monkeypatch: pytest.MonkeyPatch,
    base: str,
    head: str,
    options: list[str],
    says: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    folder(tmp_path / "pictures", count=2)
    write_run(tmp_path / "run", "sd15", "fid:n2:v1")
    (tmp_path / "text.json").write_text("{}")
    status, out, err = bench("explain", base, head, *options)
    assert status == 2
    assert says in err.splitlines()[-1]
    assert out == ""
