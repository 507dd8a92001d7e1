"""t2i-adapter against diffusers' own pipeline, and what is computed once."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from t2ibench.adapters import make_adapter
from t2ibench.adapters.t2i_adapter import T2IAdapter
from t2ibench.core.errors import BenchError
from t2ibench.datasets.request import Request

Controlled = Callable[..., Request]

FULL = {"channels": [16, 32], "num_res_blocks": 1}
LIGHT = {"channels": [16], "num_res_blocks": 1, "adapter_type": "light_adapter"}


def save(folder: Path, **options: Any) -> Path:
    import torch
    from diffusers import T2IAdapter as Network

    torch.manual_seed(0)
    network = Network(**{**FULL, **options})
    for parameter in network.parameters():
        parameter.data *= 4  # random weights as they start hardly steer
    network.save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def tiny_adapter(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save(tmp_path_factory.mktemp("adapter") / "full")


def text(base: Path, network: Path, options: str = "condition=depth,steps=3,guidance=5") -> str:
    return f"t2i-adapter[checkpoint={network},base=sd15[checkpoint={base}],scheduler=ddim,{options}]"


@pytest.mark.parametrize(("kind", "channels"), [("full", 3), ("full", 1), ("light", 3)])
def test_equals_the_diffusers_pipeline(
    tiny_sd: Path, sd_factory: Any, controlled: Controlled, loaded: Any, pipeline_pictures: Any, tmp_path: Path,
    kind: str, channels: int,
) -> None:  # fmt: skip
    from diffusers import StableDiffusionAdapterPipeline
    from diffusers import T2IAdapter as Network

    # A light adapter repeats its last width: it fits a UNet of one width.
    base = tiny_sd if kind == "full" else sd_factory(tmp_path / "sd", unet={"block_out_channels": (16, 16)})
    folder = save(tmp_path / "adapter", in_channels=channels, **(FULL if kind == "full" else LIGHT))
    requests = [controlled(0, "depth"), controlled(1, "depth", negative_prompt="blurry")]
    ours = loaded(text(base, folder, "condition=depth,scale=0.9,steps=3,guidance=5")).generate(requests)
    pipeline = StableDiffusionAdapterPipeline.from_pretrained(
        base, adapter=Network.from_pretrained(folder), safety_checker=None
    )
    maps = [Image.fromarray(r.condition("depth")).convert("RGB" if channels == 3 else "L") for r in requests]
    theirs = pipeline_pictures(pipeline, requests, 3, 5.0, image=maps, adapter_conditioning_scale=0.9)
    assert np.abs(ours.astype(int) - theirs).max() <= 1
    plain = loaded(f"sd15[checkpoint={base},scheduler=ddim,steps=3,guidance=5]").generate(requests)
    assert np.abs(ours.astype(int) - plain).mean() > 1


def test_features_are_computed_once_for_a_batch_and_not_twice_for_guidance(
    tiny_sd: Path, tiny_adapter: Path, controlled: Controlled, loaded: Any, count_calls: Any
) -> None:
    made = loaded(text(tiny_sd, tiny_adapter, "condition=depth,steps=4,guidance=5"))
    calls, unet = count_calls(made.networks[0]), count_calls(made.base.unet)
    made.generate([controlled(0, "depth"), controlled(1, "depth")])
    assert [len(pictures) for pictures, _ in calls] == [2]
    assert calls[0][0].min() >= 0 and calls[0][0].max() <= 1
    features = [named["down_intrablock_additional_residuals"] for *_, named in unet]
    assert len(features) == 4
    stages = made.stages()
    assert list(stages) == ["text_encoder", "control", "unet", "decoder"]
    assert (stages["control"].per_image, stages["unet"].per_image) == (1, 8)


def test_it_ends_where_it_is_told(
    tiny_sd: Path, tiny_adapter: Path, controlled: Controlled, loaded: Any, count_calls: Any
) -> None:
    made = loaded(text(tiny_sd, tiny_adapter, "condition=depth,steps=4,end=0.5"))
    unet = count_calls(made.base.unet)
    made.generate([controlled(0, "depth")])
    steered = ["down_intrablock_additional_residuals" in named for *_, named in unet]
    assert steered == [True, True, False, False]


def test_at_scale_0_it_is_the_base_bit_for_bit(
    tiny_sd: Path, tiny_adapter: Path, controlled: Controlled, loaded: Any
) -> None:
    requests = [controlled(0, "depth")]
    base = loaded(f"sd15[checkpoint={tiny_sd},scheduler=ddim,steps=2]").generate(requests)
    none = loaded(text(tiny_sd, tiny_adapter, "condition=depth,scale=0,steps=2")).generate(requests)
    assert (none == base).all()


def test_mixed_requests_are_bit_equal_in_any_order(
    tiny_sd: Path, tiny_adapter: Path, controlled: Controlled, loaded: Any
) -> None:
    made = loaded(text(tiny_sd, tiny_adapter, "condition=canny,steps=2"))
    requests = [controlled(index, "canny") for index in range(4)]
    forwards = made.generate(requests)
    assert (forwards == made.generate(requests[::-1])[::-1]).all()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"channels": [16, 48]}, "it gives 16@64, 48@32 for a picture of 512, the UNet takes 16@64, 32@32"),
        ({"downscale_factor": 4}, "it gives 16@128, 32@64 for a picture of 512"),
        ({"channels": [16, 32, 32]}, "it gives 16@64, 32@32, 32@16 for a picture of 512"),
        ({"in_channels": 4}, "it reads 4 channels, expected 1 or 3"),
    ],
)
def test_an_adapter_that_does_not_fit_is_refused(
    tiny_sd: Path, loaded: Any, tmp_path: Path, options: dict[str, Any], message: str
) -> None:
    folder = save(tmp_path / "adapter", **options)
    with pytest.raises(BenchError) as caught:
        loaded(text(tiny_sd, folder))
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ("condition=landmarks", "there is no published T2I-Adapter for landmarks: pass checkpoint=ID_OR_DIR"),
        ("condition=canny+depth,checkpoint=A+B", "condition=canny+depth: a T2I-Adapter reads one condition"),
        ("condition=canny,end=0", "start=0 must be below end=0"),
    ],
)
def test_bad_options_are_one_line(options: str, message: str) -> None:
    with pytest.raises(BenchError) as caught:
        make_adapter(f"t2i-adapter[{options}]")
    assert message in str(caught.value)


def test_conditions_with_a_public_adapter_need_no_checkpoint() -> None:
    for kind, hub_id in T2IAdapter.published.items():
        assert make_adapter(f"t2i-adapter[condition={kind}]").checkpoints == [hub_id]


@pytest.mark.parametrize(
    ("options", "params", "macs"),
    [
        ({}, 77_369_280, 29.9e9),
        ({"in_channels": 1}, 77_000_640, 28.4e9),
        ({"adapter_type": "light_adapter", "channels": (320, 640, 1280), "num_res_blocks": 4}, 18.69e6, 6.7e9),
    ],
)
def test_the_full_sizes_are_the_papers(options: dict[str, Any], params: float, macs: float) -> None:
    import torch
    from diffusers import T2IAdapter as Network

    from t2ibench.adapters.counting import count_macs, count_params

    with torch.device("meta"):
        network = Network(**options)
        picture = torch.zeros(1, options.get("in_channels", 3), 512, 512)
        assert count_params(network) == pytest.approx(params, rel=1e-3)
        assert count_macs(lambda: network(picture)) == pytest.approx(macs, rel=1e-2)
        levels = [tuple(level.shape[1:]) for level in network(picture)]
    assert levels == [(320, 64, 64), (640, 32, 32), (1280, 16, 16), (1280, 8, 8)]
