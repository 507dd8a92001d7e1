"""controlnet against diffusers' own pipeline: what goes in, when it runs, and what is refused."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from t2ibench.adapters import checkpoints, make_adapter
from t2ibench.adapters.control import Window, network_folder
from t2ibench.adapters.controlnet import ControlNet
from t2ibench.core.errors import BenchError
from t2ibench.datasets.request import Request

Controlled = Callable[..., Request]


def text(base: Path, net: Path | str, options: str = "condition=canny,steps=4,guidance=5") -> str:
    return f"controlnet[checkpoint={net},base=sd15[checkpoint={base}],scheduler=ddim,{options}]"


@pytest.fixture(scope="session")
def second_controlnet(tmp_path_factory: pytest.TempPathFactory, save_controlnet: Callable[..., Path]) -> Path:
    return save_controlnet(tmp_path_factory.mktemp("control") / "second", seed=1)


def maps_of(requests: list[Request], kind: str) -> list[Image.Image]:
    return [Image.fromarray(request.condition(kind)) for request in requests]


@pytest.mark.parametrize("guidance", [5.0, 1.0])
def test_equals_the_diffusers_pipeline(
    tiny_sd: Path, tiny_controlnet: Path, controlled: Controlled, loaded: Any, pipeline_pictures: Any, guidance: float
) -> None:
    from diffusers import ControlNetModel, StableDiffusionControlNetPipeline

    requests = [controlled(0, "depth"), controlled(1, "depth", negative_prompt="blurry")]
    options = f"condition=depth,scale=0.8,start=0.2,end=0.8,steps=5,guidance={guidance}"
    ours = loaded(text(tiny_sd, tiny_controlnet, options)).generate(requests)
    network = ControlNetModel.from_pretrained(tiny_controlnet)
    pipeline = StableDiffusionControlNetPipeline.from_pretrained(tiny_sd, controlnet=network, safety_checker=None)
    theirs = pipeline_pictures(
        pipeline, requests, 5, guidance, image=maps_of(requests, "depth"), controlnet_conditioning_scale=0.8,
        control_guidance_start=0.2, control_guidance_end=0.8,
    )  # fmt: skip
    assert np.abs(ours.astype(int) - theirs).max() <= 1
    base = loaded(f"sd15[checkpoint={tiny_sd},scheduler=ddim,steps=5,guidance={guidance}]").generate(requests)
    assert np.abs(ours.astype(int) - base).mean() > 2


def test_several_at_once_equal_the_diffusers_pipeline(
    tiny_sd: Path, tiny_controlnet: Path, second_controlnet: Path, controlled: Controlled, loaded: Any,
    pipeline_pictures: Any,
) -> None:  # fmt: skip
    from diffusers import ControlNetModel, StableDiffusionControlNetPipeline

    requests = [controlled(0, "canny", "depth"), controlled(1, "depth", "canny")]
    options = "condition=canny+depth,scale=0.7+0.3,steps=3,guidance=4"
    made = loaded(text(tiny_sd, f"{tiny_controlnet}+{second_controlnet}", options))
    assert made.traits.conditions == ("canny", "depth")
    networks = [ControlNetModel.from_pretrained(folder) for folder in (tiny_controlnet, second_controlnet)]
    pipeline = StableDiffusionControlNetPipeline.from_pretrained(tiny_sd, controlnet=networks, safety_checker=None)
    maps = [maps_of([request], "canny") + maps_of([request], "depth") for request in requests]
    theirs = pipeline_pictures(
        pipeline, requests, 3, 4.0, image=maps,
        controlnet_conditioning_scale=[0.7, 0.3],
    )  # fmt: skip
    assert np.abs(made.generate(requests).astype(int) - theirs).max() <= 1


def test_at_scale_0_it_is_the_base_bit_for_bit(
    tiny_sd: Path, tiny_controlnet: Path, controlled: Controlled, loaded: Any
) -> None:
    requests = [controlled(0, "canny"), controlled(1, "canny")]
    base = loaded(f"sd15[checkpoint={tiny_sd},scheduler=ddim,steps=3]").generate(requests)
    none = loaded(text(tiny_sd, tiny_controlnet, "condition=canny,scale=0,steps=3")).generate(requests)
    assert (none == base).all()


@pytest.mark.parametrize(
    ("options", "forwards"), [("guidance=5", 8), ("guidance=1", 4), ("guidance=5,start=0.25,end=0.75", 4)]
)
def test_it_runs_in_one_call_for_each_step_of_its_window(
    tiny_sd: Path, tiny_controlnet: Path, controlled: Controlled, loaded: Any, count_calls: Any, options: str,
    forwards: int,
) -> None:  # fmt: skip
    made = loaded(text(tiny_sd, tiny_controlnet, f"condition=canny,steps=4,{options}"))
    calls, unet = count_calls(made.network), count_calls(made.base.unet)
    requests = [controlled(0, "canny"), controlled(1, "canny")]
    made.generate(requests)
    assert len(unet) == 4
    assert sum(len(latents) for latents, *_ in calls) == forwards * len(requests)
    stages = made.stages()
    assert list(stages) == ["text_encoder", "control", "unet", "decoder"]
    assert stages["control"].per_image == forwards


def test_the_condition_goes_in_as_rgb_from_0_to_1(
    tiny_sd: Path, tiny_controlnet: Path, controlled: Controlled, loaded: Any, count_calls: Any
) -> None:
    made = loaded(text(tiny_sd, tiny_controlnet, "condition=depth,steps=1,guidance=5"))
    calls = count_calls(made.networks[0])
    requests = [controlled(0, "depth"), controlled(1, "depth")]
    made.generate(requests)
    given = calls[0][-1]["controlnet_cond"].permute(0, 2, 3, 1).numpy()
    expected = np.stack([request.condition("depth") for request in requests]) / 255
    assert np.allclose(given, np.concatenate([expected, expected]), atol=1e-6)


def test_mixed_requests_are_bit_equal_in_any_order(
    tiny_sd: Path, tiny_controlnet: Path, controlled: Controlled, loaded: Any
) -> None:
    made = loaded(text(tiny_sd, tiny_controlnet))
    requests = [controlled(index, "canny", negative_prompt="blurry" * (index % 2)) for index in range(4)]
    forwards = made.generate(requests)
    assert (forwards == made.generate(requests[::-1])[::-1]).all()
    assert (forwards[0] != forwards[1]).any()


def test_start_and_end_are_counted_as_diffusers_counts_them() -> None:
    assert [Window(0.25, 0.75).holds(step, 4) for step in range(4)] == [False, True, True, False]
    assert [Window(0.0, 0.3).held(steps, steps) for steps in (1, 3, 10)] == [0, 0, 3]
    assert Window().held(50, 50) == 50


def test_the_fingerprint_covers_base_and_network(tiny_sd: Path, tiny_controlnet: Path, second_controlnet: Path) -> None:
    one, other = (make_adapter(text(tiny_sd, net)) for net in (tiny_controlnet, second_controlnet))
    assert one.fingerprint() != other.fingerprint()
    assert one.fingerprint().startswith(one.base.fingerprint())
    assert one.checkpoint == f"{tiny_sd} + {tiny_controlnet}"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"cross_attention_dim": 48}, "the width of its text is 48, expected 32"),
        (
            {"block_out_channels": (16, 48)},
            "the channels of its encoder is [16, 16, 16, 48], expected [16, 16, 16, 32]",
        ),
        ({"layers_per_block": 2}, "the channels of its encoder is"),
        ({"in_channels": 8}, "latent channels is 8, expected 4"),
        ({"conditioning_embedding_out_channels": (8, 8, 8)}, "pixels per latent is 4, expected 8"),
        ({"global_pool_conditions": True}, "its pooling of conditions is True"),
    ],
)
def test_a_network_that_does_not_fit_is_refused(
    tiny_sd: Path, save_controlnet: Callable[..., Path], loaded: Any, tmp_path: Path, options: dict[str, Any],
    message: str,
) -> None:  # fmt: skip
    folder = save_controlnet(tmp_path / "net", **options)
    with pytest.raises(BenchError) as caught:
        loaded(text(tiny_sd, folder))
    assert message in str(caught.value)
    assert f"ControlNet '{folder}' does not fit '{tiny_sd}'" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_network_of_another_kind_is_refused(tiny_sd: Path, loaded: Any) -> None:
    with pytest.raises(BenchError, match="describes a UNet2DConditionModel; expected ControlNetModel"):
        loaded(text(tiny_sd, tiny_sd / "unet"))


def test_a_condition_that_is_missing_or_of_another_size_is_refused(
    tiny_sd: Path, tiny_controlnet: Path, controlled: Controlled, loaded: Any
) -> None:
    made = loaded(text(tiny_sd, tiny_controlnet))
    with pytest.raises(BenchError, match=r"prompt 'p0' has no canny condition \(conditions: depth\)"):
        made.generate([controlled(0, "depth")])
    with pytest.raises(BenchError, match="the canny condition of prompt 'p0' is 32×32, the picture 64×64"):
        made.generate([controlled(0, "canny", size=32)])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ("condition=cany", "unknown condition 'cany'; did you mean 'canny'?"),
        ("checkpoint=A", "condition= must say what 'A' reads"),
        ("condition=canny+depth,checkpoint=A", "checkpoint=A has 1 parts for 2 conditions"),
        ("condition=canny,scale=0.5+0.5", "scale=0.5+0.5 has 2 parts for 1 conditions"),
        ("condition=canny,scale=much", "scale=much must be a number of at least 0"),
        ("condition=canny,scale=-1", "scale=-1 must be a number of at least 0"),
        ("condition=canny,end=1.5", "end=1.5 must be a number from 0 to 1"),
        ("condition=canny,start=0.5,end=0.5", "start=0.5 must be below end=0.5"),
        ("condition=canny,strength=1", "has no option 'strength'"),
        ("condition=canny,base=scenes", "no latent diffusion model that other methods can sit on"),
    ],
)
def test_bad_options_are_one_line(options: str, message: str) -> None:
    with pytest.raises(BenchError) as caught:
        make_adapter(f"controlnet[{options}]")
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_every_condition_has_the_authors_checkpoint() -> None:
    for kind in ControlNet.traits.conditions:
        made = make_adapter(f"controlnet[condition={kind}]")
        assert made.traits.conditions == (kind,)
        assert made.checkpoints == [ControlNet.published[kind]]


def test_a_subfolder_of_a_hub_id_is_a_network(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[str, list[str]]] = []

    def resolve(hub_id: str, *, patterns: list[str]) -> Path:
        asked.append((hub_id, patterns))
        return tmp_path

    monkeypatch.setattr(checkpoints, "resolve", resolve)
    assert network_folder("owner/name/sub") == tmp_path / "sub"
    assert network_folder("owner/name") == network_folder("/no/such/folder") == tmp_path
    assert [hub_id for hub_id, _ in asked] == ["owner/name", "owner/name", "/no/such/folder"]
    assert "sub/diffusion_pytorch_model.safetensors" in asked[0][1]


def test_the_full_size_is_the_papers() -> None:
    import torch
    from diffusers import ControlNetModel

    from t2ibench.adapters.counting import count_macs, count_params

    with torch.device("meta"):
        network = ControlNetModel(cross_attention_dim=768)
        inputs = torch.zeros(1, 4, 64, 64), 1, torch.zeros(1, 77, 768), torch.zeros(1, 3, 512, 512)
        assert count_params(network) == 361_279_120
        assert count_macs(lambda: network(*inputs)) == pytest.approx(141.6e9, rel=1e-3)


SUITE = """
name = "own"
version = 1
summary = "s"
dataset = "scenes"
n = 3
methods = ["sd15[checkpoint=zoo:mini-sd]", "{control}"]
metrics = ["mini_clip_score"]
"""


def test_a_suite_supplies_the_conditions(
    bench: Callable[..., tuple[int, str, str]], zoo: Path, tiny_controlnet: Path, tmp_path: Path
) -> None:
    control = f"controlnet[condition=canny,checkpoint={tiny_controlnet},base=sd15[checkpoint=zoo:mini-sd]]"
    (tmp_path / "own.toml").write_text(SUITE.format(control=control))
    settings = ["--set", "sampling.size=64", "--set", "sampling.steps=2", "--set", "sampling.guidance=5"]
    run = ["--suite", tmp_path / "own.toml", *settings, "--batch-size", 2, "--offline", "--out", tmp_path / "run"]
    status, _, err = bench("run", *run)
    assert status == 0, err
    plain, steered = json.loads((tmp_path / "run" / "run.json").read_text())["results"]
    assert (plain["n"], steered["n"]) == (3, 3)
    assert steered["checkpoint"] == f"zoo:mini-sd + {tiny_controlnet}"
    # Once per step beside the UNet, whose forwards are the ones that are counted as the method's.
    assert steered["cost"]["forwards_per_image"] == plain["cost"]["forwards_per_image"]
    assert steered["cost"]["macs_per_forward"] == plain["cost"]["macs_per_forward"]
    assert steered["cost"]["macs_per_image"] > plain["cost"]["macs_per_image"]
    assert steered["metrics"]["mini_clip_score"]["value"] != plain["metrics"]["mini_clip_score"]["value"]
