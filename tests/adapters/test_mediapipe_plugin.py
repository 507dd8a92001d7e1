"""mediapipe-plugin: its network's size, layout and training, where its features go, and on which bases."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from t2ibench.adapters import checkpoints, make_adapter
from t2ibench.adapters.counting import count_macs, count_params
from t2ibench.adapters.mediapipe_plugin import MediaPipePlugin
from t2ibench.adapters.networks.diffusion_plugin import DiffusionPlugin, FeatureDownBlock, full_size
from t2ibench.core.errors import BenchError
from t2ibench.datasets.request import Request

Controlled = Callable[..., Request]

TINY: dict[str, Any] = {
    "stem_channels": 8,
    "stem_stride": 2,
    "width": 1.5,
    "rows": [[1, 8, 1, 1], [6, 8, 2, 2], [6, 16, 1, 2], [6, 16, 2, 2]],
    "taps": [2, 3],
    "out_channels": [16, 32],
}


@pytest.fixture(scope="session")
def untrained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A plugin as training starts with it, for 64×64 pictures with 8×8 latents and a UNet of widths 16 and 32."""
    torch.manual_seed(0)
    folder = tmp_path_factory.mktemp("plugin") / "untrained"
    DiffusionPlugin(**TINY).save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def trained(untrained: Path, randomised: Callable[..., Any]) -> Path:
    """A plugin that steers."""
    network = randomised(DiffusionPlugin.from_pretrained(untrained))
    network.save_pretrained(untrained.parent / "trained")
    return untrained.parent / "trained"


@pytest.fixture(scope="session")
def tiny_snapfusion(tmp_path_factory: pytest.TempPathFactory, tiny_sd: Path) -> Path:
    """A checkpoint with SnapFusion's own UNet, without attention at its highest resolution."""
    from diffusers import AutoencoderKL, DDIMScheduler
    from transformers import CLIPTextModel, CLIPTokenizer

    from t2ibench.adapters.networks.decoder import LatentDecoder
    from t2ibench.adapters.networks.efficient_unet import EfficientUNet

    torch.manual_seed(0)
    unet = EfficientUNet(
        block_out_channels=(16, 32), down_resnets=(2, 1), down_attentions=(0, 2), up_resnets=(2, 3),
        up_attentions=(3, 0), num_attention_heads=4, cross_attention_dim=32, norm_num_groups=8,
    )  # fmt: skip
    vae = AutoencoderKL.from_pretrained(tiny_sd / "vae")
    parts = {
        "tokenizer": CLIPTokenizer.from_pretrained(tiny_sd / "tokenizer"),
        "text_encoder": CLIPTextModel.from_pretrained(tiny_sd / "text_encoder"),
        "unet": unet,
        "vae": vae,
        "decoder": LatentDecoder(block_out_channels=(4, 4, 4, 4), layers_per_block=1, norm_num_groups=4),
        "scheduler": DDIMScheduler.from_pretrained(tiny_sd / "scheduler", clip_sample=False),
    }
    folder = tmp_path_factory.mktemp("snap") / "snapfusion"
    checkpoints.save(folder, "SnapFusion", parts)
    return folder


def text(base: str, network: Path, options: str = "condition=depth,steps=3,guidance=5") -> str:
    return f"mediapipe-plugin[checkpoint={network},base={base},scheduler=ddim,{options}]"


def sd(folder: Path) -> str:
    return f"sd15[checkpoint={folder}]"


def test_the_full_size_is_the_article_s() -> None:
    with torch.device("meta"):
        network, picture = DiffusionPlugin(**full_size()), torch.zeros(1, 3, 512, 512)
        assert count_params(network) == 5_949_720
        assert count_params(network) == pytest.approx(6e6, rel=0.03)
        assert count_macs(lambda: network(picture)) == pytest.approx(2.42e9, rel=0.02)
        levels = [tuple(level.shape[1:]) for level in network(picture)]
    assert levels == [(320, 64, 64), (640, 32, 32), (1280, 16, 16), (1280, 8, 8)]


def test_the_layout_is_configuration() -> None:
    """As for the zoo's UNet: 64×64 pictures, 8×8 latents, widths 80, 96 and 96."""
    rows = [[1, 16, 1, 1], [6, 24, 2, 2], [6, 32, 2, 2], [6, 64, 2, 2], [6, 96, 2, 2]]
    network = DiffusionPlugin(
        stem_channels=16, stem_stride=2, width=0.5, rows=rows, taps=[2, 3, 4], out_channels=[80, 96, 96]
    )
    levels = [tuple(level.shape[1:]) for level in network(torch.zeros(2, 3, 64, 64))]
    assert levels == [(80, 8, 8), (96, 4, 4), (96, 2, 2)]
    strided = DiffusionPlugin(
        stem_channels=16, stem_stride=1, width=0.5, rows=rows, taps=[2], out_channels=[80], in_channels=1
    )
    assert strided(torch.zeros(1, 1, 64, 64))[0].shape == (1, 80, 16, 16)


def test_saved_and_loaded_it_is_the_same(trained: Path) -> None:
    assert checkpoints.component_kind(trained) == "DiffusionPlugin"
    network = checkpoints.load_component(["DiffusionPlugin"], trained, dtype=torch.float32)
    picture = torch.rand(1, 3, 64, 64)
    for one, other in zip(network(picture), DiffusionPlugin.from_pretrained(trained)(picture), strict=True):
        assert torch.equal(one, other)


def test_it_trains_and_other_pictures_of_the_batch_play_no_part() -> None:
    torch.manual_seed(0)
    network = DiffusionPlugin(**TINY).train()
    pictures = torch.rand(3, 3, 64, 64) * 2 - 1
    assert all((level == 0).all() for level in network(pictures))
    wanted = [torch.randn(3, 16, 8, 8), torch.randn(3, 32, 4, 4)]
    optimizer = torch.optim.Adam(network.parameters(), 1e-2)
    losses = []
    for _ in range(20):
        loss = sum((given - want).square().mean() for given, want in zip(network(pictures), wanted, strict=True))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.8 * losses[0]
    assert all(parameter.grad is not None and parameter.grad.abs().max() > 0 for parameter in network.parameters())
    with torch.no_grad():
        alone, together, used = network(pictures[:1]), network(pictures), network.eval()(pictures[:1])
    for one, many, evaluated in zip(alone, together, used, strict=True):
        assert torch.allclose(one, many[:1], atol=1e-5)
        assert torch.equal(one, evaluated)


def test_a_plain_block_takes_features_before_it_downsamples() -> None:
    from diffusers.models.unets.unet_2d_blocks import DownBlock2D

    torch.manual_seed(0)
    block = DownBlock2D(8, 8, 16, num_layers=2, resnet_groups=4).eval()
    hidden, time, feature = torch.randn(1, 8, 8, 8), torch.randn(1, 16), torch.randn(1, 8, 8, 8)
    with torch.no_grad():
        plain, states = block(hidden, time)
        same, kept = FeatureDownBlock(block)(hidden, time, encoder_hidden_states=None)
        steered, moved = FeatureDownBlock(block)(hidden, time, additional_residuals=feature)
        below = block.downsamplers[0](states[1] + feature)
    assert torch.equal(plain, same) and all(map(torch.equal, states, kept))
    assert torch.equal(moved[0], states[0])
    assert torch.equal(moved[1], states[1] + feature)
    assert torch.equal(moved[2], below) and torch.equal(steered, below)


@pytest.mark.parametrize("base", ["tiny_sd", "plain_top_sd", "tiny_snapfusion"])
def test_it_steers_any_base_whose_levels_fit_and_at_strength_0_none(
    request: pytest.FixtureRequest, controlled: Controlled, loaded: Any, trained: Path, base: str
) -> None:
    name = "snapfusion" if base == "tiny_snapfusion" else "sd15"
    below = f"{name}[checkpoint={request.getfixturevalue(base)}]"
    requests = [controlled(0, "depth"), controlled(1, "depth")]
    plain = loaded(f"{below[:-1]},scheduler=ddim,steps=2,guidance=5]").generate(requests)
    made = loaded(text(below, trained, "condition=depth,strength=0,steps=2,guidance=5"))
    assert (made.generate(requests) == plain).all()
    made.strength = 1.0
    steered = made.generate(requests)
    assert np.abs(steered.astype(int) - plain).mean() > 1
    assert (steered == made.generate(requests[::-1])[::-1]).all()


def test_a_lora_is_merged_into_snapfusion_below_it(
    tiny_snapfusion: Path, controlled: Controlled, loaded: Any, trained: Path, tmp_path: Path
) -> None:
    from diffusers import StableDiffusionPipeline
    from peft import LoraConfig
    from peft.utils import get_peft_model_state_dict

    from t2ibench.adapters.networks.efficient_unet import EfficientUNet

    unet = EfficientUNet.from_pretrained(tiny_snapfusion / "unet")
    torch.manual_seed(0)
    unet.add_adapter(LoraConfig(r=2, lora_alpha=2, init_lora_weights=False, target_modules=["to_q"]))
    weights = get_peft_model_state_dict(unet)
    StableDiffusionPipeline.save_lora_weights(tmp_path, unet_lora_layers=weights)
    below = text(f"snapfusion[checkpoint={tiny_snapfusion}]", trained, "condition=depth,steps=2,guidance=5")
    plain, made = loaded(below), loaded(f"{below[:-1]},lora={tmp_path / 'pytorch_lora_weights.safetensors'}]")
    layer = "down_blocks.1.attentions.0.transformer_blocks.0.attn1.to_q"
    change = weights[f"{layer}.lora_B.weight"] @ weights[f"{layer}.lora_A.weight"]
    before, after = (each.base.unet.get_submodule(layer).weight for each in (plain, made))
    assert torch.allclose(after, before + change, atol=1e-6)
    assert (made.generate([controlled(0, "depth")]) != plain.generate([controlled(0, "depth")])).any()


def test_an_untrained_one_is_the_base_bit_for_bit(
    tiny_sd: Path, controlled: Controlled, loaded: Any, untrained: Path
) -> None:
    requests = [controlled(0, "depth")]
    plain = loaded(f"sd15[checkpoint={tiny_sd},scheduler=ddim,steps=2]").generate(requests)
    assert (loaded(text(sd(tiny_sd), untrained, "condition=depth,steps=2")).generate(requests) == plain).all()


def test_features_are_computed_once_from_minus_1_to_1_and_added_in_every_step(
    tiny_sd: Path, controlled: Controlled, loaded: Any, trained: Path, count_calls: Any
) -> None:
    made = loaded(text(sd(tiny_sd), trained, "condition=depth,strength=0.5,steps=3,guidance=5"))
    network = made.networks[0]
    calls, blocks = count_calls(network), [count_calls(block) for block in made.base.unet.down_blocks]
    requests = [controlled(0, "depth"), controlled(1, "depth")]
    made.generate(requests)
    ((pictures, _),) = calls
    maps = np.stack([request.condition("depth") for request in requests])
    assert np.allclose(pictures.permute(0, 2, 3, 1).numpy(), maps / 127.5 - 1, atol=1e-6)
    assert [len(block) for block in blocks] == [3, 3]
    with torch.no_grad():
        half = network(pictures)[0] * 0.5
    for *_, named in blocks[0]:
        assert torch.equal(named["additional_residuals"], torch.cat([half, half]))
    stages = made.stages()
    assert list(stages) == ["text_encoder", "control", "unet", "decoder"]
    assert (stages["control"].per_image, stages["unet"].per_image) == (1, 6)
    assert stages["control"].inputs(requests[0], "meta")[0].shape == (1, 3, 64, 64)


def test_without_a_checkpoint_it_is_not_to_be_had() -> None:
    assert not MediaPipePlugin.public
    for method in ("mediapipe-plugin", "mediapipe-plugin[condition=canny]"):
        with pytest.raises(BenchError, match="no public weights in a format that is read here: pass checkpoint=ID"):
            make_adapter(method)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ("condition=depth,strength=1.5", "strength=1.5 must be a number from 0 to 1"),
        ("condition=pose", "unknown condition 'pose' (known: landmarks, canny, depth)"),
        ("strength=1", "condition= must say what 'A' reads (landmarks, canny, depth)"),
    ],
)
def test_bad_options_are_one_line(options: str, message: str) -> None:
    with pytest.raises(BenchError) as caught:
        make_adapter(f"mediapipe-plugin[checkpoint=A,{options}]")
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("change", "given"),
    [
        ({"out_channels": [16, 48]}, "16@64, 48@32"),
        ({"stem_stride": 1}, "16@128, 32@64"),
        ({"taps": [3], "out_channels": [32]}, "32@32"),
    ],
)
def test_a_plugin_of_other_levels_is_refused(
    tiny_sd: Path, loaded: Any, tmp_path: Path, change: dict[str, Any], given: str
) -> None:
    DiffusionPlugin(**{**TINY, **change}).save_pretrained(tmp_path / "plugin")
    with pytest.raises(BenchError) as caught:
        loaded(text(sd(tiny_sd), tmp_path / "plugin"))
    expected = f"it gives {given} for a picture of 512, the UNet takes 16@64, 32@32"
    assert str(caught.value) == f"plugin '{tmp_path / 'plugin'}' does not fit '{tiny_sd}': {expected}"


def test_fingerprint_and_checkpoint_cover_base_and_plugin(tiny_sd: Path, trained: Path, untrained: Path) -> None:
    one, other = (make_adapter(text(sd(tiny_sd), network)) for network in (trained, untrained))
    assert one.fingerprint() != other.fingerprint()
    assert one.checkpoint == f"{tiny_sd} + {trained}"
    assert one.traits.conditions == ("depth",)
