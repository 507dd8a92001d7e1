"""The suites of control in the mini world, with a ControlNet that does nothing yet."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from t2ibench.adapters import make_adapter
from t2ibench.adapters.control import Controlled
from t2ibench.bench.suites import find_suite

Bench = Callable[..., tuple[int, str, str]]

SUITES = {"mini-control": ("canny", "canny", "canny", "depth"), "mini-control-faces": ("landmarks",) * 3}
BASE = "sd15[checkpoint=zoo:mini-sd]"
SMALL = ["--set", "sampling.steps=2", "--set", "reference_n=4", "--batch-size", 4, "--offline"]


@pytest.fixture(scope="module")
def zoo_with_control(zoo_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The stand-ins, and ControlNets as training finds them: their outputs are zero."""
    from diffusers import ControlNetModel, UNet2DConditionModel

    folder = tmp_path_factory.mktemp("zoo")
    shutil.copytree(zoo_folder, folder, dirs_exist_ok=True)
    untrained = ControlNetModel.from_unet(UNet2DConditionModel.from_pretrained(folder / "mini-sd" / "unet"))
    for kind in ("canny", "landmarks"):
        untrained.save_pretrained(folder / f"mini-controlnet-{kind}")
    return folder


@pytest.fixture
def run(bench: Bench, zoo_with_control: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., dict]:
    monkeypatch.setattr("t2ibench.core.zoo.FOLDER", zoo_with_control)

    def call(*arguments: object) -> dict:
        status, _, err = bench("run", *arguments, *SMALL, "--out", tmp_path / "run")
        assert status == 0, err
        return json.loads((tmp_path / "run" / "run.json").read_text())

    return call


def control(kind: str) -> str:
    return f"controlnet[condition={kind},checkpoint=zoo:mini-controlnet-{kind},base={BASE}]"


@pytest.mark.parametrize("name", SUITES)
def test_rows_of_control_sit_on_the_base_beside_them(name: str) -> None:
    methods = [method.method for method in find_suite(name).methods]
    assert methods[:3] == ["scenes", "scenes[codec=vae:zoo:mini-sd]", BASE]
    made = [make_adapter(method) for method in methods[3:]]
    assert tuple(adapter.traits.conditions[0] for adapter in made) == SUITES[name]
    for method, adapter in zip(methods[3:], made, strict=True):
        assert isinstance(adapter, Controlled)
        (network,) = adapter.checkpoints
        assert network.endswith(f"-{adapter.conditions[0]}")
        assert adapter.checkpoint == f"zoo:mini-sd + {network}"
        assert f"base={BASE}" in method


def test_the_base_is_held_against_the_conditions_and_an_untrained_network_leaves_it_as_it_is(
    run: Callable[..., dict], tmp_path: Path
) -> None:
    results = run("--suite", "mini-control", "--limit", 4)["results"]
    found = {result["method"]: result["metrics"] for result in results}
    assert list(found) == ["scenes", "scenes[codec=vae:zoo:mini-sd]", BASE, control("canny")]
    for name in ("edge_f1", "depth_rmse", "caption_accuracy"):
        plain, steered = found[BASE][name], found[control("canny")][name]
        assert plain["n"] == steered["n"] == 4
        assert plain["value"] is not None
        assert plain["value"] == steered["value"]
    assert found["scenes"]["edge_f1"]["value"] == 1
    assert found["scenes"]["depth_rmse"]["value"] < 0.05 < found[BASE]["depth_rmse"]["value"]
    assert found[BASE]["mini_fd_excess"]["value"] == found[control("canny")]["mini_fd_excess"]["value"]
    pictures = {
        (record["method"], record["prompt_id"]): record["file"]
        for record in json.loads((tmp_path / "run" / "pictures.json").read_text())
    }
    assert all(pictures[BASE, f"{i:06d}"] == pictures[control("canny"), f"{i:06d}"] for i in range(4))


def test_networks_that_are_not_there_are_skipped_by_name(run: Callable[..., dict]) -> None:
    skipped = run("--suite", "mini-control", "--limit", 2, "--metrics", "edge_f1")["skipped"]
    lacking = ["mini-t2i-adapter-canny", "mini-plugin-canny", "mini-plugin-depth"]
    assert [item["reason"].split("'")[1] for item in skipped] == lacking
    assert all("the zoo has no checkpoint" in item["reason"] for item in skipped)


def test_faces_are_asked_of_every_row(run: Callable[..., dict]) -> None:
    results = run("--suite", "mini-control-faces", "--limit", 3)["results"]
    found = {result["method"]: result["metrics"] for result in results}
    assert list(found) == ["scenes", "scenes[codec=vae:zoo:mini-sd]", BASE, control("landmarks")]
    assert found["scenes"]["landmark_error"]["value"] < 0.05
    assert found["scenes"]["face_detection"]["value"] == 1
    assert {metrics["face_detection"]["n"] for metrics in found.values()} == {3}
    assert found[BASE]["mini_fd"]["value"] is not None


def test_landmarks_on_all_scenes_leave_out_those_without_a_face(run: Callable[..., dict]) -> None:
    found = run("--suite", "mini-control", "--limit", 9, "--methods", f"{BASE},{control('landmarks')}")
    plain, steered = found["results"]
    assert (plain["n"], steered["n"]) == (9, 2)
    note = f"{control('landmarks')}: 7 of 9 prompts skipped: without landmarks condition"
    assert note in found["suite"]["notes"]
    assert steered["metrics"]["edge_f1"]["n"] == 2
