"""Checkpoints and weights that ship with the package."""

from __future__ import annotations

from pathlib import Path

import pytest

from t2ibench.core.errors import BenchError
from t2ibench.core.weights import KnownWeights, MissingWeights, WeightsFinder
from t2ibench.core.zoo import FOLDER, zoo_checkpoint, zoo_names

KNOWN = KnownWeights("mini-eye", "mini-eye/model.safetensors", shipped=True)


@pytest.fixture
def shipped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A zoo of two checkpoints, beside recipes and what training left."""
    folder = tmp_path / "zoo"
    for file in ("mini-sd/unet/a.safetensors", "mini-eye/model.safetensors", ".work/x.safetensors", "recipes/vae.py"):
        (folder / file).parent.mkdir(parents=True, exist_ok=True)
        (folder / file).write_text(file)
    monkeypatch.setattr("t2ibench.core.zoo.FOLDER", folder)
    return folder


def test_the_zoo_is_a_folder_of_the_package() -> None:
    assert Path(__file__).parents[2].samefile(FOLDER.parent)
    assert "recipes" not in zoo_names()


def test_checkpoints_are_the_folders_that_hold_weights(shipped: Path) -> None:
    assert zoo_names() == ["mini-eye", "mini-sd"]
    assert zoo_checkpoint("mini-sd") == shipped / "mini-sd"


@pytest.mark.parametrize("name", ["mini-ds", "", "..", "mini-sd/unet", "recipes"])
def test_an_unknown_name_gets_one_line_with_the_list(shipped: Path, name: str) -> None:
    with pytest.raises(BenchError, match=r"has no checkpoint .*\(known: mini-eye, mini-sd\)"):
        zoo_checkpoint(name)


def test_a_near_miss_is_suggested_and_an_empty_zoo_says_so(shipped: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(BenchError, match="did you mean 'mini-sd'"):
        zoo_checkpoint("mini-ds")
    monkeypatch.setattr("t2ibench.core.zoo.FOLDER", shipped / "nowhere")
    with pytest.raises(BenchError, match="this installation lacks them"):
        zoo_checkpoint("mini-sd")


def test_shipped_weights_go_before_all_but_an_option(
    shipped: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = tmp_path / "weights" / "mini-eye" / "model.safetensors"
    other.parent.mkdir(parents=True)
    other.touch()
    monkeypatch.setenv("T2IBENCH_WEIGHTS", str(tmp_path / "weights"))
    assert WeightsFinder().find(KNOWN) == (shipped / "mini-eye" / "model.safetensors", True)
    assert WeightsFinder({"mini-eye": other}).find(KNOWN) == (other, None)


def test_weights_that_should_have_shipped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("t2ibench.core.zoo.FOLDER", tmp_path)
    monkeypatch.delenv("T2IBENCH_WEIGHTS", raising=False)
    with pytest.raises(MissingWeights, match=r"ships with t2ibench, which lacks it here"):
        WeightsFinder(offline=True).find(KNOWN)
