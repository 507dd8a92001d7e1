"""SnapFusion: its UNet against diffusers' own, its layout, its narrow decoder, and what it refuses."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from t2ibench.adapters import checkpoints, make_adapter
from t2ibench.adapters.base import Settings
from t2ibench.adapters.networks.decoder import LatentDecoder
from t2ibench.adapters.networks.efficient_unet import EfficientUNet
from t2ibench.core.errors import BenchError
from t2ibench.datasets.request import Request

SIZE = 64
TINY = {"block_out_channels": (16, 32, 32, 32), "num_attention_heads": 4, "cross_attention_dim": 32}
GROUPS = {"norm_num_groups": 8}


def request(index: int, **more: object) -> Request:
    return Request(f"p{index}", f"a red bus {index}", seed=3, height=SIZE, width=SIZE, **more)


def tiny_unet(**more: Any) -> EfficientUNet:
    torch.manual_seed(0)
    return EfficientUNet(**{**TINY, **GROUPS, **more}).eval()


def random_inputs(height: int = 8, width: int = 8) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(1)
    latents = torch.randn(2, 4, height, width, generator=generator)
    return latents, torch.tensor([7, 800]), torch.randn(2, 5, 32, generator=generator)


@pytest.fixture(scope="session")
def twins() -> tuple[Any, EfficientUNet]:
    """diffusers' UNet with SD1.5's numbers of blocks at three resolutions, and ours with its weights."""
    from diffusers import UNet2DConditionModel

    torch.manual_seed(0)
    theirs = UNet2DConditionModel(
        block_out_channels=(16, 32, 32), layers_per_block=2, cross_attention_dim=32, attention_head_dim=4,
        norm_num_groups=8, down_block_types=("CrossAttnDownBlock2D", "CrossAttnDownBlock2D", "DownBlock2D"),
        up_block_types=("UpBlock2D", "CrossAttnUpBlock2D", "CrossAttnUpBlock2D"),
    ).eval()  # fmt: skip
    ours = EfficientUNet(
        block_out_channels=(16, 32, 32), down_resnets=(2, 2, 2), down_attentions=(2, 2, 0), mid_resnets=2,
        up_resnets=(3, 3, 3), up_attentions=(0, 3, 3), num_attention_heads=4, cross_attention_dim=32, norm_num_groups=8,
    ).eval()  # fmt: skip
    ours.load_state_dict(theirs.state_dict())
    return theirs, ours


@pytest.mark.parametrize("size", [(8, 8), (10, 6)])
def test_with_sd_s_numbers_of_blocks_it_is_diffusers_unet(
    twins: tuple[Any, EfficientUNet], size: tuple[int, int]
) -> None:
    """Names of weights included, and sizes that do not halve evenly."""
    theirs, ours = twins
    latents, steps, text = random_inputs(*size)
    with torch.no_grad():
        assert torch.equal(ours(latents, steps, text).sample, theirs(latents, steps, text).sample)


def test_control_residuals_go_where_diffusers_puts_them(twins: tuple[Any, EfficientUNet]) -> None:
    theirs, ours = twins
    latents, steps, text = random_inputs()
    shapes: list[torch.Size] = []
    hooks = [
        each.register_forward_hook(lambda module, inputs, output: shapes.append(output.shape))
        for each in (ours.conv_in, *(m for stage in ours.down_blocks for m in (*stage.resnets, *stage.downsamplers)))
    ]
    with torch.no_grad():
        plain = ours(latents, steps, text).sample
        for hook in hooks:
            hook.remove()
        residuals = [torch.randn(shape) for shape in shapes]
        control = {
            "down_block_additional_residuals": residuals,
            "mid_block_additional_residual": torch.randn(2, 32, 2, 2),
        }
        features = [torch.randn(2, 16, 8, 8), torch.randn(2, 32, 4, 4), torch.randn(2, 32, 2, 2)]
        for more in (control, {"down_intrablock_additional_residuals": features}):
            found = ours(latents, steps, text, return_dict=False, **more)[0]
            given = {name: list(each) if isinstance(each, list) else each for name, each in more.items()}
            assert torch.allclose(found, theirs(latents, steps, text, **given).sample, atol=1e-6)
            assert not torch.allclose(found, plain, atol=1e-2)
    assert len(features) == 3, "the caller's list is left as it is: the features serve every step"
    with pytest.raises(ValueError, match="4 feature maps for the 3 resolutions"):
        ours(latents, steps, text, down_intrablock_additional_residuals=[*features, features[0]])
    with pytest.raises(ValueError, match="8 control residuals for the 9 skip connections"):
        ours(latents, steps, text, down_block_additional_residuals=residuals[:8])


def test_default_numbers_of_blocks_are_table_3() -> None:
    with torch.device("meta"):
        unet = EfficientUNet()
    ways = [*unet.down_blocks, unet.mid_block, *unet.up_blocks]
    assert [len(stage.attentions) for stage in ways] == [0, 2, 2, 0, 1, 0, 6, 3, 0]
    counts = [len(stage.resnets) for stage in ways]
    assert counts == [2, 2, 1, 1, 1, 2, 2, 3, 3]
    assert sum(counts[3:6]) == 4
    assert unet.up_blocks[1].followers == [3, 3]
    assert {resnet.out_channels for stage in ways[5:] for resnet in stage.resnets} == {1280, 640, 320}


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"up_resnets": (2, 3)}, "up_resnets has 2 entries for 4 resolutions"),
        ({"down_resnets": (2, 0, 1, 1)}, "every stage needs a ResNet block"),
        ({"mid_resnets": 0}, "every stage needs a ResNet block"),
    ],
)
def test_impossible_layouts_are_refused(more: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        tiny_unet(**more)


def test_a_skipped_block_is_the_identity() -> None:
    unet = tiny_unet()
    inputs = random_inputs()
    names = ["up_blocks.1.attentions.4", "down_blocks.3.resnets.0"]
    with torch.no_grad():
        whole = unet(*inputs).sample
        unet.skip(names)
        skipped = unet(*inputs).sample
        unet.skip([])
        assert torch.equal(unet(*inputs).sample, whole)
        for weight in (unet.up_blocks[1].attentions[4].proj_out, unet.down_blocks[3].resnets[0].conv2):
            weight.weight.zero_()
            weight.bias.zero_()
        silenced = unet(*inputs).sample
    assert not torch.allclose(skipped, whole, atol=1e-4)
    assert torch.allclose(skipped, silenced, atol=1e-5)


def test_all_blocks_that_keep_the_width_can_be_skipped_at_once_and_no_others() -> None:
    unet = tiny_unet()
    names = unet.skippable()
    assert "down_blocks.1.resnets.0" not in names, "16 to 32 channels"
    assert len([name for name in names if "attentions" in name]) == 14
    unet.skip(names)
    assert unet(*random_inputs()).sample.shape == (2, 4, 8, 8)
    with pytest.raises(ValueError, match=r"cannot leave out down_blocks\.1\.resnets\.0, nothing"):
        unet.skip(["nothing", "down_blocks.1.resnets.0"])


def test_more_blocks_up_than_skip_connections_and_fewer() -> None:
    for up_resnets in ((3, 2, 3, 4), (1, 2, 2, 1)):
        assert tiny_unet(up_resnets=up_resnets)(*random_inputs()).sample.shape == (2, 4, 8, 8)


def test_every_weight_of_unet_and_decoder_learns() -> None:
    unet, decoder = tiny_unet().train(), LatentDecoder(4, 3, (8, 8, 8, 8), 1, 4)
    (decoder(unet(*random_inputs(16, 16)).sample) ** 2).mean().backward()
    weights = [*unet.named_parameters(), *decoder.named_parameters()]
    assert not [name for name, weight in weights if weight.grad is None or not weight.grad.any()]


def snapfusion_parts(sd: Path) -> dict[str, Any]:
    """The parts of a random checkpoint that decodes with half the channels of ``sd``'s decoder."""
    from diffusers import AutoencoderKL, DDIMScheduler
    from transformers import CLIPTextModel, CLIPTokenizer

    torch.manual_seed(2)
    schedule = {"beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear"}
    return {
        "text_encoder": CLIPTextModel.from_pretrained(sd / "text_encoder"),
        "tokenizer": CLIPTokenizer.from_pretrained(sd / "tokenizer"),
        "unet": tiny_unet(),
        "vae": AutoencoderKL.from_pretrained(sd / "vae"),
        "decoder": LatentDecoder(4, 3, (4, 4, 4, 4), 1, 4),
        "scheduler": DDIMScheduler(prediction_type="v_prediction", steps_offset=1, **schedule),
    }


@pytest.fixture(scope="session")
def tiny_snapfusion(tmp_path_factory: pytest.TempPathFactory, tiny_sd: Path) -> Path:
    folder = tmp_path_factory.mktemp("tiny") / "snapfusion"
    checkpoints.save(folder, "SnapFusion", snapfusion_parts(tiny_sd))
    return folder


def adapter(checkpoint: Path, options: str = "steps=2", name: str = "snapfusion") -> Any:
    made = make_adapter(f"{name}[checkpoint={checkpoint},{options}]")
    made.load("cpu", "fp32")
    return made


def test_saved_and_loaded_it_is_the_same(tiny_snapfusion: Path, tiny_sd: Path) -> None:
    index = json.loads((tiny_snapfusion / "model_index.json").read_text())
    assert index["unet"] == ["t2ibench.adapters.networks.efficient_unet", "EfficientUNet"]
    assert index["vae"] == ["diffusers", "AutoencoderKL"]
    assert not [*tiny_snapfusion.rglob("*.bin")]
    made, parts = adapter(tiny_snapfusion), snapfusion_parts(tiny_sd)
    assert dict(made.unet.config)["up_attentions"] == [0, 6, 3, 0]
    for loaded, saved in ((made.unet, parts["unet"]), (made.vae.decoder, parts["decoder"].decoder)):
        assert all(torch.equal(loaded.state_dict()[name], weight) for name, weight in saved.state_dict().items())


def test_with_sd_s_layout_and_decoder_it_makes_the_pictures_of_sd15(tmp_path: Path, tiny_sd: Path) -> None:
    parts = snapfusion_parts(tiny_sd)
    sd = tmp_path / "sd"
    shutil.copytree(tiny_sd, sd)
    parts["scheduler"].save_pretrained(sd / "scheduler")
    parts["unet"] = EfficientUNet(
        block_out_channels=(16, 32), down_resnets=(1, 1), down_attentions=(1, 0), mid_resnets=2, up_resnets=(2, 2),
        up_attentions=(0, 2), num_attention_heads=4, cross_attention_dim=32, norm_num_groups=8,
    )  # fmt: skip
    plain = adapter(sd, "scheduler=ddim,steps=3", "sd15")
    parts["unet"].load_state_dict(plain.unet.state_dict())
    parts["decoder"] = LatentDecoder(4, 3, (8, 8, 8, 8), 1, 4)
    parts["decoder"].load_state_dict(
        {k: v for k, v in plain.vae.state_dict().items() if k.startswith(("decoder", "post_quant"))}
    )
    checkpoints.save(tmp_path / "snap", "SnapFusion", parts)
    requests = [request(0), request(1, negative_prompt="blurry")]
    assert (adapter(tmp_path / "snap", "steps=3").generate(requests) == plain.generate(requests)).all()


def test_samples_eight_guided_ddim_steps_of_velocity(tiny_snapfusion: Path) -> None:
    assert make_adapter(f"snapfusion[checkpoint={tiny_snapfusion}]").settings == Settings("ddim", 8, 7.5)
    made = adapter(tiny_snapfusion, "guidance=2")
    assert made.stages()["unet"].per_image == 16
    assert made.scheduler.config.prediction_type == "v_prediction"
    assert type(made.scheduler).__name__ == "DDIMScheduler"


def test_decodes_by_the_narrow_decoder_and_encodes_by_the_standard_encoder(
    tiny_snapfusion: Path, tiny_sd: Path
) -> None:
    made, plain = adapter(tiny_snapfusion), adapter(tiny_sd, "steps=2", "sd15")
    latents = torch.randn(1, 4, 8, 8)
    decoder = checkpoints.load_component(["LatentDecoder"], tiny_snapfusion, "decoder", dtype=torch.float32)
    with torch.no_grad():
        pixels = (decoder(latents / made.vae.config.scaling_factor) / 2 + 0.5).clamp(0, 1).mul(255).round()
        assert (made.decode(latents) == pixels.permute(0, 2, 3, 1).byte().numpy()).all()
        assert (made.decode(latents) != plain.decode(latents)).any()
        assert made.stages()["decoder"].module is made.vae.decoder
        pictures = np.random.default_rng(0).integers(0, 256, (1, SIZE, SIZE, 3), dtype=np.uint8)
        assert torch.equal(made.encode(pictures), plain.encode(pictures))


def test_pictures_depend_on_seed_not_on_order_or_batch(tiny_snapfusion: Path) -> None:
    made = adapter(tiny_snapfusion)
    requests = [request(index) for index in range(4)]
    forwards = made.generate(requests)
    assert (made.generate(requests[::-1])[::-1] == forwards).all()
    assert np.abs(made.generate(requests[1:2])[0].astype(int) - forwards[1]).max() <= 1
    assert (made.generate([Request("p0", "a red bus 0", seed=4, height=SIZE, width=SIZE)])[0] != forwards[0]).any()


def test_needs_a_checkpoint() -> None:
    with pytest.raises(BenchError) as caught:
        make_adapter("snapfusion")
    assert str(caught.value) == "snapfusion has no public weights: pass checkpoint=ID_OR_DIR"


def test_refuses_other_families_in_one_line(tiny_sd: Path, tiny_snapfusion: Path) -> None:
    for text, message in (
        (
            f"snapfusion[checkpoint={tiny_sd}]",
            "is no SnapFusion: its unet is UNet2DConditionModel, expected EfficientUNet",
        ),
        (f"sd15[checkpoint={tiny_snapfusion}]", "is no SD1.x or SD2.x: its unet is EfficientUNet"),
    ):
        with pytest.raises(BenchError) as caught:
            make_adapter(text).load("cpu", "fp32")
        assert message in str(caught.value)
        assert "\n" not in str(caught.value)


def test_refuses_a_decoder_of_other_latents(tmp_path: Path, tiny_snapfusion: Path) -> None:
    folder = tmp_path / "wrong"
    shutil.copytree(tiny_snapfusion, folder)
    LatentDecoder(8, 3, (4, 4, 4, 4), 1, 4).save_pretrained(folder / "decoder")
    with pytest.raises(BenchError, match="reads latents of 8 channels and 8 pixels, its vae makes 4 and 8"):
        adapter(folder)


def test_refuses_a_layout_that_does_not_work(tmp_path: Path, tiny_snapfusion: Path) -> None:
    folder = tmp_path / "wrong"
    shutil.copytree(tiny_snapfusion, folder)
    file = folder / "unet" / "config.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), "down_resnets": [0, 2, 1, 1]}))
    with pytest.raises(BenchError, match="cannot be loaded as EfficientUNet: every stage needs a ResNet block"):
        adapter(folder)
