"""MobileDiffusion: what its UNet is made of, its samplers and decoders, and what it refuses."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from t2ibench.adapters import checkpoints, make_adapter, noise
from t2ibench.adapters.base import Settings
from t2ibench.adapters.networks import mobile_unet
from t2ibench.adapters.networks.decoder import LatentDecoder
from t2ibench.adapters.networks.mobile_unet import Attention, MobileUNet, Transformer
from t2ibench.core.errors import BenchError
from t2ibench.datasets.request import Request

SIZE = 64
TINY = {"block_out_channels": (16, 16, 32), "attention_head_dim": 8, "cross_attention_dim": 32, "norm_num_groups": 8}


def request(index: int, **more: object) -> Request:
    return Request(f"p{index}", f"a red bus {index}", seed=3, height=SIZE, width=SIZE, **more)


def tiny_unet(**more: Any) -> MobileUNet:
    torch.manual_seed(0)
    return MobileUNet(**{**TINY, **more}).eval()


def random_inputs() -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(1)
    return (
        torch.randn(2, 8, 8, 8, generator=generator),
        torch.tensor([7, 800]),
        torch.randn(2, 5, 32, generator=generator),
    )


@pytest.mark.parametrize(("make", "selves", "crosses"), [(MobileUNet, 15, 18), (mobile_unet.lite, 12, 15)])
def test_the_layout_is_the_paper_s(make: Any, selves: int, crosses: int) -> None:
    with torch.device("meta"):
        unet = make()
    down, up = unet.down_blocks, unet.up_blocks
    stages = [*down, *up]
    assert unet.mid_block is None
    assert sum(len(stage.resnets) for stage in stages) == 11
    transformers = [block for stage in stages for block in stage.attentions]
    assert sum(block.attn1 is not None for block in transformers) == selves
    assert len(transformers) == crosses
    assert not [*down[0].attentions, *up[2].attentions], "no attention at 64×64"
    assert [block.attn1 for stage in (down[1], up[1]) for block in stage.attentions] == [None] * 3, (
        "cross alone at 32×32"
    )
    assert [hasattr(resnet.conv1, "weight") for resnet in up[0].resnets] == [False] * 3, "separable at 16×16"
    assert all(hasattr(resnet.conv1, "weight") for stage in (*down[:2], *up[1:]) for resnet in stage.resnets)
    assert unet.config.in_channels == unet.config.out_channels == 8


def test_a_separable_resnet_has_a_depthwise_and_a_pointwise_convolution() -> None:
    depthwise, pointwise = tiny_unet().down_blocks[2].resnets[0].conv1
    assert depthwise.groups == depthwise.in_channels == 16
    assert depthwise.kernel_size == (3, 3)
    assert (pointwise.kernel_size, pointwise.out_channels) == ((1, 1), 32)


def test_self_attention_uses_its_keys_as_values() -> None:
    block = tiny_unet().down_blocks[2].attentions[0]
    attention = block.attn1
    assert attention.to_v is None
    assert block.attn2.to_v is not None
    tokens = torch.randn(1, 6, 32)
    q, k = (layer(tokens).view(6, 4, 8).transpose(0, 1) for layer in (attention.to_q, attention.to_k))
    mixed = torch.softmax(q @ k.transpose(1, 2) / 8**0.5, dim=-1) @ k
    expected = attention.to_out(mixed.transpose(0, 1).reshape(1, 6, 32))
    assert torch.allclose(attention(tokens, tokens), expected, atol=1e-6)


def test_feed_forward_gates_by_swish_at_three_times_the_width() -> None:
    ff = tiny_unet().down_blocks[2].attentions[0].ff
    tokens = torch.randn(1, 4, 32)
    value, gate = ff.net[0].proj(tokens).chunk(2, dim=-1)
    assert value.shape[-1] == 96
    assert torch.allclose(ff(tokens), ff.net[2](value * gate * torch.sigmoid(gate)), atol=1e-6)


def test_relu_attention_is_a_choice_of_the_configuration() -> None:
    torch.manual_seed(0)
    attention = Attention(8, 8, 2, "relu")
    tokens, context = torch.randn(1, 3, 8), torch.randn(1, 5, 8)
    q, k, v = (
        layer(each).view(-1, 2, 4).transpose(0, 1)
        for layer, each in ((attention.to_q, tokens), (attention.to_k, context), (attention.to_v, context))
    )
    mixed = torch.relu(q @ k.transpose(1, 2) / 2) @ v / 5
    expected = attention.to_out(mixed.transpose(0, 1).reshape(1, 3, 8))
    assert torch.allclose(attention(tokens, context), expected, atol=1e-6)
    softmax, relu = tiny_unet(), tiny_unet(attention="relu")
    relu.load_state_dict(softmax.state_dict())
    assert not torch.allclose(softmax(*random_inputs()).sample, relu(*random_inputs()).sample, atol=1e-4)
    with pytest.raises(ValueError, match="unknown attention 'tanh'"):
        tiny_unet(attention="tanh")


def test_a_transformer_keeps_its_tokens_in_place() -> None:
    """With all mixing silenced it is the identity, and a change at one place stays there without self-attention."""
    torch.manual_seed(0)
    block = Transformer(32, tiny_unet().config, with_self=False).eval()
    hidden, text = torch.randn(1, 32, 3, 4), torch.randn(1, 5, 32)
    changed = hidden.clone()
    changed[0, :, 1, 2] += 1
    with torch.no_grad():
        block.norm = torch.nn.Identity()  # a group norm reads all places
        difference = (block(changed, text)[0] - block(hidden, text)[0]).abs().sum(1)[0]
    assert (difference > 1e-4).nonzero().tolist() == [[1, 2]]


def test_takes_control_residuals() -> None:
    unet, inputs = tiny_unet(), random_inputs()
    shapes = [(16, 8), (16, 8), (16, 4), (16, 4), (16, 2), (32, 2), (32, 2)]
    zeros = [torch.zeros(2, channels, side, side) for channels, side in shapes]
    middle = torch.zeros(2, 32, 2, 2)
    levels = [torch.zeros(2, channels, side, side) for channels, side in ((16, 8), (16, 4), (32, 2))]
    with torch.no_grad():
        plain = unet(*inputs).sample

        def differs(**more: Any) -> bool:
            return not torch.equal(unet(*inputs, **more).sample, plain)

        assert not differs(down_block_additional_residuals=zeros, mid_block_additional_residual=middle)
        assert not differs(down_intrablock_additional_residuals=levels)
        for each in range(len(zeros)):
            one = [zero + (index == each) for index, zero in enumerate(zeros)]
            assert differs(down_block_additional_residuals=one, mid_block_additional_residual=middle)
        assert differs(down_block_additional_residuals=zeros, mid_block_additional_residual=middle + 1)
        for each in range(len(levels)):
            assert differs(down_intrablock_additional_residuals=[x + (i == each) for i, x in enumerate(levels)])


@pytest.mark.parametrize("kind", ["softmax", "relu"])
def test_every_weight_learns(kind: str) -> None:
    unet = tiny_unet(attention=kind).train()
    (unet(*random_inputs()).sample ** 2).mean().backward()
    silent = [name for name, weight in unet.named_parameters() if weight.grad is None or not weight.grad.any()]
    assert not silent


@pytest.fixture(scope="session")
def tiny_mobile(tmp_path_factory: pytest.TempPathFactory, tiny_sd: Path) -> Path:
    """A random checkpoint on 8-channel latents, 8 pixels each, with both decoders."""
    from diffusers import AutoencoderKL, DDIMScheduler
    from transformers import CLIPTextModel, CLIPTokenizer

    torch.manual_seed(2)
    vae = AutoencoderKL(
        block_out_channels=(8, 8, 8, 8), layers_per_block=1, norm_num_groups=4, latent_channels=8,
        down_block_types=("DownEncoderBlock2D",) * 4, up_block_types=("UpDecoderBlock2D",) * 4,
    )  # fmt: skip
    schedule = {"beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear"}
    parts = {
        "text_encoder": CLIPTextModel.from_pretrained(tiny_sd / "text_encoder"),
        "tokenizer": CLIPTokenizer.from_pretrained(tiny_sd / "tokenizer"),
        "unet": tiny_unet(),
        "vae": vae,
        "decoder": LatentDecoder(8, 3, (4, 4, 4, 4), 1, 4),
        "scheduler": DDIMScheduler(steps_offset=1, set_alpha_to_one=False, **schedule),
    }
    folder = tmp_path_factory.mktemp("tiny") / "mobile"
    checkpoints.save(folder, "MobileDiffusion", parts)
    return folder


def adapter(checkpoint: Path, options: str = "steps=1") -> Any:
    made = make_adapter(f"mobilediffusion[checkpoint={checkpoint},{options}]")
    made.load("cpu", "fp32")
    return made


@pytest.mark.parametrize("separable", [False, True])
def test_folded_it_predicts_the_same_at_its_timestep_with_fewer_parameters(separable: bool) -> None:
    unet = tiny_unet(separable=(separable,) * 3)
    made = mobile_unet.folded(unet, 999)
    latents, _, text = random_inputs()
    with torch.inference_mode():
        expected, found, other = (
            network(latents, timestep, text).sample for network, timestep in ((unet, 999), (made, 999), (unet, 500))
        )
    assert torch.allclose(found, expected, atol=1e-5)
    assert not torch.allclose(other, expected, atol=1e-3)
    assert sum(map(torch.numel, made.parameters())) < sum(map(torch.numel, unet.parameters()))
    assert made.config.timestep == 999
    with pytest.raises(ValueError, match="folded"):
        mobile_unet.folded(made, 999)


def test_a_folded_unet_takes_one_step_and_no_more(tiny_mobile: Path, tmp_path: Path) -> None:
    folder = tmp_path / "one"
    shutil.copytree(tiny_mobile, folder)
    whole = adapter(folder)
    whole.scheduler.set_timesteps(1)
    (timestep,) = map(int, whole.scheduler.timesteps)
    shutil.rmtree(folder / "unet")
    mobile_unet.folded(whole.unet, timestep).save_pretrained(folder / "unet")
    difference = adapter(folder).generate([request(0)]).astype(int) - whole.generate([request(0)])
    assert abs(difference).max() <= 1
    with pytest.raises(BenchError, match=rf"one' knows timestep {timestep} alone, not \d+: say steps=1"):
        adapter(folder, "steps=3")


def test_saved_and_loaded_it_is_the_same(tiny_mobile: Path) -> None:
    loaded, saved = adapter(tiny_mobile).unet, tiny_unet()
    assert all(torch.equal(loaded.state_dict()[name], weight) for name, weight in saved.state_dict().items())


@pytest.mark.parametrize(
    ("options", "suite", "expected"),
    [
        ("", Settings(), Settings("ufogen", 1, 1.0)),
        ("steps=1", Settings("pndm", 50, 4.0), Settings("ufogen", 1, 1.0)),
        ("steps=8", Settings(), Settings("ddim", 8, 7.5)),
        ("steps=50", Settings(guidance=3.0), Settings("ddim", 50, 7.5)),
        ("", Settings("dpm++", 20, 4.0), Settings("dpm++", 20, 4.0)),
        ("", Settings(steps=50), Settings("ddim", 50, 7.5)),
        ("steps=2,guidance=3", Settings(), Settings("ufogen", 2, 3.0)),
        ("scheduler=ufogen,steps=8", Settings(), Settings("ufogen", 8, 1.0)),
    ],
)
def test_the_steps_decide_sampler_and_guidance(options: str, suite: Settings, expected: Settings) -> None:
    assert make_adapter(f"mobilediffusion[checkpoint=x,{options}]".replace(",]", "]"), suite).settings == expected
    base = f"mobilediffusion[checkpoint=x,{options}]".replace(",]", "]")
    assert make_adapter(f"t2i-adapter[base={base}]", suite).settings == expected


def test_one_step_is_one_prediction_of_the_picture_from_pure_noise(tiny_mobile: Path) -> None:
    made = adapter(tiny_mobile, "steps=1")
    calls: list[tuple[int, int]] = []
    made.unet.register_forward_hook(lambda module, inputs, output: calls.append((len(inputs[0]), int(inputs[1]))))
    with torch.no_grad():
        found = made.denoise([request(0), request(1)], made.embed([request(0), request(1)]))
        assert calls == [(2, 999)]
        start = noise.batch([request(0), request(1)], (8, 8, 8))
        predicted = made.unet(start, 999, made.embed([request(0), request(1)])).sample
    alpha = made.scheduler.alphas_cumprod[999]
    assert torch.allclose(found, (start - (1 - alpha) ** 0.5 * predicted) / alpha**0.5, atol=1e-4)
    assert made.stages()["unet"].per_image == 1


def test_more_jumps_put_keyed_noise_on_each_prediction(tiny_mobile: Path) -> None:
    made = adapter(tiny_mobile, "steps=4")
    assert made.scheduler.timesteps.tolist() == [999, 749, 499, 249]
    latents, predicted = torch.randn(1, 8, 8, 8), torch.randn(1, 8, 8, 8)
    clean = made.scheduler.step(predicted, made.scheduler.timesteps[1], latents)[1]
    drawn = torch.randn(1, 8, 8, 8, generator=noise.generators([request(0)], "scheduler", 1)[0])
    alpha = made.scheduler.alphas_cumprod[499]
    expected = alpha**0.5 * clean + (1 - alpha) ** 0.5 * drawn
    assert torch.allclose(made.step([request(0)], predicted, 1, latents), expected, atol=1e-5)
    last = made.scheduler.step(predicted, made.scheduler.timesteps[3], latents)
    assert torch.equal(last[0], last[1])


@pytest.mark.parametrize("options", ["steps=1", "steps=3", "steps=5"])
def test_pictures_depend_on_seed_not_on_order_or_batch(tiny_mobile: Path, options: str) -> None:
    made = adapter(tiny_mobile, options)
    requests = [request(index) for index in range(4)]
    forwards = made.generate(requests)
    assert forwards.shape == (4, SIZE, SIZE, 3)
    assert (made.generate(requests[::-1])[::-1] == forwards).all()
    assert np.abs(made.generate(requests[1:2])[0].astype(int) - forwards[1]).max() <= 1
    assert (made.generate([Request("p0", "a red bus 0", seed=4, height=SIZE, width=SIZE)])[0] != forwards[0]).any()


def test_decodes_by_the_lite_or_the_full_decoder(tiny_mobile: Path) -> None:
    lite, full = adapter(tiny_mobile), adapter(tiny_mobile, "decoder=full,steps=1")
    assert lite.vae.decoder.conv_in.out_channels == 4
    assert full.vae.decoder.conv_in.out_channels == 8
    latents = lite.noise([request(0)])
    with torch.no_grad():
        assert (lite.decode(latents) != full.decode(latents)).any()
    assert lite.fingerprint() != full.fingerprint()


def test_a_checkpoint_without_a_lite_decoder_serves_the_full_one(tiny_mobile: Path, tmp_path: Path) -> None:
    import json
    import shutil

    folder = tmp_path / "full"
    shutil.copytree(tiny_mobile, folder)
    shutil.rmtree(folder / "decoder")
    index = json.loads((folder / "model_index.json").read_text())
    del index["decoder"]
    (folder / "model_index.json").write_text(json.dumps(index))
    adapter(folder, "decoder=full")
    with pytest.raises(
        BenchError, match=r"no MobileDiffusion with a Lite decoder \(decoder=full takes that of its vae\)"
    ):
        adapter(folder)


def test_ufogen_serves_other_methods_too(tiny_sd: Path) -> None:
    made = make_adapter(f"sd15[checkpoint={tiny_sd},scheduler=ufogen,steps=1,guidance=1]")
    made.load("cpu", "fp32")
    assert made.scheduler.timesteps.tolist() == [999]
    assert made.generate([request(0)]).shape == (1, SIZE, SIZE, 3)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("mobilediffusion", "mobilediffusion has no public weights: pass checkpoint=ID_OR_DIR"),
        ("mobilediffusion[checkpoint=x,decoder=light]", "unknown decoder 'light'"),
        ("mobilediffusion[checkpoint=x,steps=0]", "steps=0"),
        ("mobilediffusion[checkpoint=SD]", "its unet is UNet2DConditionModel, expected MobileUNet"),
    ],
)
def test_bad_method_strings_are_one_line(text: str, message: str, tiny_sd: Path) -> None:
    with pytest.raises(BenchError) as caught:
        make_adapter(text.replace("SD", str(tiny_sd))).load("cpu", "fp32")
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)
