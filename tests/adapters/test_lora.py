"""LoRA files on a base: as diffusers loads them, at no cost, and refused where they do not fit."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from t2ibench.adapters import make_adapter
from t2ibench.adapters.counting import count_params
from t2ibench.core.errors import BenchError
from t2ibench.datasets.request import Request

Weights = dict[str, torch.Tensor]


@pytest.fixture(scope="session")
def lora(tmp_path_factory: pytest.TempPathFactory, tiny_sd: Path) -> Path:
    """A random LoRA of the tiny checkpoint's UNet and text encoder, in the names that files of the hub have."""
    from diffusers import StableDiffusionPipeline
    from peft import LoraConfig
    from peft.utils import get_peft_model_state_dict

    pipeline = StableDiffusionPipeline.from_pretrained(tiny_sd, safety_checker=None)
    torch.manual_seed(0)
    for network, layers in ((pipeline.unet, ["to_q", "to_v"]), (pipeline.text_encoder, ["q_proj"])):
        network.add_adapter(LoraConfig(r=2, lora_alpha=2, init_lora_weights=False, target_modules=layers))
    folder = tmp_path_factory.mktemp("lora")
    parts = (get_peft_model_state_dict(network) for network in (pipeline.unet, pipeline.text_encoder))
    unet, text = ({name: 3 * weight for name, weight in part.items()} for part in parts)
    text = {f"text_model.{name}": weight for name, weight in text.items()}
    StableDiffusionPipeline.save_lora_weights(folder, unet_lora_layers=unet, text_encoder_lora_layers=text)
    return folder / "pytorch_lora_weights.safetensors"


def text(base: Path, lora: Path | None, options: str = "steps=3,guidance=5") -> str:
    return f"sd15[checkpoint={base},scheduler=ddim,{options}" + (f",lora={lora}]" if lora else "]")


def test_equals_the_diffusers_pipeline_and_costs_nothing(
    tiny_sd: Path, lora: Path, controlled: Callable[..., Request], loaded: Any, pipeline_pictures: Any
) -> None:
    from diffusers import StableDiffusionPipeline

    requests = [controlled(0), controlled(1)]
    made, plain = loaded(text(tiny_sd, lora)), loaded(text(tiny_sd, None))
    pipeline = StableDiffusionPipeline.from_pretrained(tiny_sd, safety_checker=None)
    pipeline.load_lora_weights(lora)
    theirs = pipeline_pictures(pipeline, requests, 3, 5.0)
    ours = made.generate(requests)
    assert np.abs(ours.astype(int) - theirs).max() <= 1
    assert np.abs(ours.astype(int) - plain.generate(requests)).mean() > 2
    for network in ("unet", "text_encoder"):
        assert count_params(getattr(made, network)) == count_params(getattr(plain, network))


def test_the_fingerprint_covers_it(tiny_sd: Path, lora: Path, tmp_path: Path) -> None:
    changed = tmp_path / "changed.safetensors"
    save_file({name: 2 * weight for name, weight in load_file(lora).items()}, changed)
    prints = [make_adapter(text(tiny_sd, file)).fingerprint() for file in (None, lora, changed)]
    assert len(set(prints)) == 3


def test_a_control_method_hands_it_to_its_base(
    tiny_sd: Path, tiny_controlnet: Path, lora: Path, controlled: Callable[..., Request], loaded: Any
) -> None:
    requests = [controlled(0, "canny")]
    inside = f"controlnet[condition=canny,checkpoint={tiny_controlnet},base={text(tiny_sd, lora, 'steps=2')}]"
    beside = f"{inside[:-1]},lora={lora}]"
    with pytest.raises(BenchError, match="lora= stands both in"):
        make_adapter(beside)
    beside = beside.replace(f",lora={lora}]", "]", 1)
    one, other = loaded(inside), loaded(beside)
    assert one.fingerprint() == other.fingerprint()
    assert (one.generate(requests) == other.generate(requests)).all()
    without = loaded(inside.replace(f",lora={lora}", ""))
    assert (one.generate(requests) != without.generate(requests)).any()


def with_kohya_names(weights: Weights) -> Weights:
    renamed: Weights = {}
    for name, weight in weights.items():
        layer, _, part = name.removeprefix("unet.").partition(".lora_")
        prefix = "lora_unet_" + layer.replace(".", "_")
        renamed[f"{prefix}.lora_{'down' if part.startswith('A') else 'up'}.weight"] = weight
        renamed[f"{prefix}.alpha"] = torch.tensor(2.0)
    return renamed


def test_kohya_names_give_the_same_pictures(
    tiny_sd: Path, lora: Path, controlled: Callable[..., Request], loaded: Any, tmp_path: Path
) -> None:
    weights = {name: weight for name, weight in load_file(lora).items() if name.startswith("unet.")}
    save_file(weights, tmp_path / "diffusers.safetensors")
    save_file(with_kohya_names(weights), tmp_path / "kohya.safetensors")
    one, other = (
        loaded(text(tiny_sd, tmp_path / f"{name}.safetensors", "steps=2")).generate([controlled(0)])
        for name in ("diffusers", "kohya")
    )
    assert (one == other).all()


def widened(weights: Weights) -> Weights:
    return {name: torch.cat([w, w], 1) if "lora_A" in name else w for name, w in weights.items()}


def elsewhere(weights: Weights) -> Weights:
    return {name.replace("down_blocks.0", "down_blocks.7"): weight for name, weight in weights.items()}


def no_lora(weights: Weights) -> Weights:
    return {"conv_in.weight": torch.zeros(1)}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (widened, "does not fit this base: size mismatch for down_blocks.0"),
        (elsewhere, "is of another base: 8 of its 36 weights fit no layer"),
        (no_lora, "does not fit this base: Invalid LoRA checkpoint"),
    ],
)
def test_one_of_another_base_is_refused(
    tiny_sd: Path, lora: Path, loaded: Any, tmp_path: Path, change: Callable[[Weights], Weights], message: str,
    capfd: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    save_file({name: weight.clone() for name, weight in change(load_file(lora)).items()}, tmp_path / "a.safetensors")
    with pytest.raises(BenchError) as caught:
        loaded(text(tiny_sd, tmp_path / "a.safetensors"))
    assert f"LoRA '{tmp_path / 'a.safetensors'}' {message}" in str(caught.value)
    assert "\n" not in str(caught.value)
    assert "size mismatch" not in capfd.readouterr().err


def test_only_whole_safetensors_files_are_read(tiny_sd: Path, loaded: Any, tmp_path: Path) -> None:
    (tmp_path / "a.ckpt").write_bytes(b"x")
    (tmp_path / "a.safetensors").write_bytes(b"x")
    with pytest.raises(BenchError, match=r"a\.ckpt is no \.safetensors file"):
        make_adapter(f"sd15[lora={tmp_path / 'a.ckpt'}]")
    with pytest.raises(BenchError, match="there is no such file"):
        make_adapter(f"sd15[lora={tmp_path / 'b.safetensors'}]")
    with pytest.raises(BenchError, match="is truncated or no safetensors file"):
        loaded(text(tiny_sd, tmp_path / "a.safetensors"))


def test_a_lora_of_the_zoo_goes_by_its_name(lora: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("t2ibench.core.zoo.FOLDER", tmp_path)
    shipped = tmp_path / "warm" / lora.name
    shipped.parent.mkdir()
    shutil.copy(lora, shipped)
    assert make_adapter("sd15[lora=zoo:warm]").lora == shipped
    shipped.rename(shipped.with_name("model.safetensors"))
    with pytest.raises(BenchError, match="lora=zoo:warm: that checkpoint of the zoo is no LoRA"):
        make_adapter("sd15[lora=zoo:warm]")
