"""Loading checkpoints: whole, safe, and with an error of one line that names the file."""

from __future__ import annotations

import json
import pickle
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from diffusers import AutoencoderTiny
from safetensors.torch import load_file, save_file

from t2ibench.adapters import checkpoints, make_adapter
from t2ibench.core.errors import BenchError
from t2ibench.datasets.request import Request

KIND = "AutoencoderTiny"
WEIGHTS = "diffusion_pytorch_model.safetensors"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    model = AutoencoderTiny(
        encoder_block_out_channels=(8, 8),
        decoder_block_out_channels=(8, 8),
        num_encoder_blocks=(1, 1),
        num_decoder_blocks=(1, 1),
    )
    model.save_pretrained(tmp_path / "model")
    return tmp_path / "model"


def load(folder: Path) -> torch.nn.Module:
    return checkpoints.load_component([KIND], folder, dtype=torch.float32)


def only_pickle(folder: Path) -> None:
    (folder / WEIGHTS).rename(folder / "diffusion_pytorch_model.bin")


def truncate(folder: Path) -> None:
    data = (folder / WEIGHTS).read_bytes()
    (folder / WEIGHTS).write_bytes(data[: len(data) // 2])


def drop_key(folder: Path) -> None:
    state = load_file(folder / WEIGHTS)
    del state["decoder.layers.0.weight"]
    save_file(state, folder / WEIGHTS, metadata={"format": "pt"})


def reshape_key(folder: Path) -> None:
    state = load_file(folder / WEIGHTS) | {"decoder.layers.0.weight": torch.zeros(3)}
    save_file(state, folder / WEIGHTS, metadata={"format": "pt"})


def rename_class(folder: Path) -> None:
    config = json.loads((folder / "config.json").read_text()) | {"_class_name": "UNet2DModel"}
    (folder / "config.json").write_text(json.dumps(config))


def test_loads_whole_checkpoint(folder: Path) -> None:
    model = load(folder)
    assert type(model).__name__ == KIND
    assert not model.training
    assert not any(parameter.requires_grad for parameter in model.parameters())


def test_dtype(folder: Path) -> None:
    model = checkpoints.load_component([KIND], folder.parent, folder.name, dtype=torch.bfloat16)
    assert {parameter.dtype for parameter in model.parameters()} == {torch.bfloat16}


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (only_pickle, r"diffusion_pytorch_model\.bin' is a pickle.*safe_serialization"),
        (truncate, r"diffusion_pytorch_model\.safetensors' is truncated"),
        (drop_key, r"model' lacks 1 weights of AutoencoderTiny.*decoder\.layers\.0\.weight"),
        (reshape_key, r"model' cannot be loaded.*decoder\.layers\.0\.weight expected shape"),
        (rename_class, r"config\.json' describes a UNet2DModel; expected AutoencoderTiny"),
        (lambda folder: (folder / "config.json").unlink(), r"config\.json' is missing"),
        (lambda folder: (folder / "config.json").write_text("{"), r"config\.json' is not valid JSON"),
        (lambda folder: (folder / "config.json").write_text("[]"), r"config\.json' is not a JSON object"),
        (lambda folder: (folder / "config.json").write_text("{}"), r"config\.json' names no class"),
        (lambda folder: (folder / WEIGHTS).unlink(), r"model' holds neither diffusion_pytorch_model\.safetensors"),
    ],
)
def test_damage_is_one_line(
    folder: Path, damage: Callable[[Path], object], message: str, capfd: pytest.CaptureFixture[str]
) -> None:
    damage(folder)
    with pytest.raises(BenchError, match=message) as caught:
        load(folder)
    assert "\n" not in str(caught.value)
    assert capfd.readouterr().err == ""


def test_missing_weights_of_transformers(tmp_path: Path) -> None:
    from transformers import CLIPTextConfig, CLIPTextModel

    sizes = {"vocab_size": 64, "hidden_size": 16, "intermediate_size": 16, "projection_dim": 16}
    config = CLIPTextConfig(**sizes, num_hidden_layers=1, num_attention_heads=2, bos_token_id=1, eos_token_id=2)
    CLIPTextModel(config).save_pretrained(tmp_path)
    model = checkpoints.load_component(["CLIPTextModel"], tmp_path, dtype=torch.float16)
    assert model.dtype == torch.float16
    state = load_file(tmp_path / "model.safetensors")
    del state[next(key for key in state if "token_embedding" in key)]
    save_file(state, tmp_path / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(BenchError, match=r"lacks 1 weights of CLIPTextModel.*token_embedding"):
        checkpoints.load_component(["CLIPTextModel"], tmp_path, dtype=torch.float32)


def test_shards(folder: Path) -> None:
    model: Any = load(folder)
    (folder / WEIGHTS).unlink()
    model.save_pretrained(folder, max_shard_size="5KB")
    assert len(checkpoints.weight_files(folder)) > 1
    assert load(folder).state_dict().keys() == model.state_dict().keys()
    checkpoints.weight_files(folder)[0].unlink()
    with pytest.raises(BenchError, match="is missing, though"):
        load(folder)


def test_fingerprint_follows_bytes(folder: Path) -> None:
    before = checkpoints.fingerprint(folder)
    (folder / "notes.md").write_text("of no account")
    assert checkpoints.fingerprint(folder) == before
    assert len(before) == 16
    save_file(load_file(folder / WEIGHTS) | {"decoder.layers.0.bias": torch.ones(8)}, folder / WEIGHTS)
    assert checkpoints.fingerprint(folder) != before


def test_resolve(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert checkpoints.resolve(str(folder)) == folder
    with pytest.raises(BenchError, match="is a file"):
        checkpoints.resolve(str(folder / WEIGHTS))
    with pytest.raises(BenchError, match="is neither a folder nor a hub id"):
        checkpoints.resolve(str(folder / "nowhere"))
    with pytest.raises(BenchError, match="neither a folder nor reachable on the hub: offline"):
        checkpoints.resolve("nobody/nothing-at-all", offline=True)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(BenchError, match="neither a folder nor reachable on the hub: offline"):
        checkpoints.resolve("nobody/nothing-at-all")


def test_resolve_fails_fast_without_network(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    start = time.monotonic()
    with pytest.raises(
        BenchError, match="'nobody/nothing-at-all' is neither a folder nor reachable on the hub"
    ) as caught:
        checkpoints.resolve("nobody/nothing-at-all")
    assert time.monotonic() - start < 10
    assert "\n" not in str(caught.value)


def test_component_patterns_leave_variants_out() -> None:
    from huggingface_hub.utils import filter_repo_objects

    files = [
        "model_index.json",
        "v1-5-pruned.safetensors",
        "unet/config.json",
        "unet/diffusion_pytorch_model.bin",
        "unet/diffusion_pytorch_model.fp16.safetensors",
        "unet/diffusion_pytorch_model.safetensors",
        "text_encoder/model-00001-of-00002.safetensors",
    ]
    kept = list(filter_repo_objects(files, allow_patterns=checkpoints.component_patterns("", "unet", "text_encoder")))
    assert kept == [files[0], files[2], files[5], files[6]]


class Bomb:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return exec, ("raise SystemExit('code was run')",)


def test_load_pth(tmp_path: Path) -> None:
    source, target, file = torch.nn.Linear(2, 2), torch.nn.Linear(2, 2), tmp_path / "x.pth"
    torch.save(source.state_dict(), file)
    checkpoints.load_pth(target, file)
    assert torch.equal(source.weight, target.weight)
    with pytest.raises(BenchError, match=r"x\.pth' is truncated or of another network"):
        checkpoints.load_pth(torch.nn.Linear(3, 2), file)
    file.write_bytes(file.read_bytes()[:500])
    with pytest.raises(BenchError, match=r"x\.pth'"):
        checkpoints.load_pth(target, file)


def test_load_pth_runs_no_code(tmp_path: Path) -> None:
    file = tmp_path / "x.pth"
    torch.save({"weight": Bomb()}, file)
    with pytest.raises(BenchError, match="holds more than tensors"):
        checkpoints.load_pth(torch.nn.Linear(2, 2), file)
    file.write_bytes(pickle.dumps(Bomb()))
    with pytest.raises(BenchError, match=r"x\.pth'"):
        checkpoints.load_pth(torch.nn.Linear(2, 2), file)


def test_names() -> None:
    assert checkpoints.torch_dtype("bf16") is torch.bfloat16
    assert checkpoints.torch_device("cpu") == torch.device("cpu")
    with pytest.raises(BenchError, match="unknown dtype 'int8'"):
        checkpoints.torch_dtype("int8")
    for name in ("toaster", "cuda:99"):
        with pytest.raises(BenchError, match=f"device '{name}' cannot be used here"):
            checkpoints.torch_device(name)


def test_zoo_names_a_checkpoint_of_the_package(zoo: Path) -> None:
    assert checkpoints.resolve("zoo:mini-sd", offline=True) == zoo / "mini-sd"
    with pytest.raises(BenchError, match="did you mean 'mini-sd'"):
        checkpoints.resolve("zoo:mini-ds")


def test_a_zoo_checkpoint_is_taken_wherever_one_is(zoo: Path) -> None:
    from t2ibench.adapters.codecs import make_codec

    for method in ("sd15[checkpoint=zoo:mini-sd]", "diffusers:zoo:mini-sd"):
        adapter = make_adapter(method)
        assert adapter.checkpoint == "zoo:mini-sd"
        assert adapter.fingerprint()
    codec = make_codec("vae:zoo:mini-sd[space=mini]")
    codec.load("cpu", "fp32")
    assert (codec.checkpoint, codec.latent_space, codec.downsampling) == ("zoo:mini-sd", "mini", 8)


def test_a_checkpoint_borrows_parts_from_one_beside_it(tiny_sd: Path, tmp_path: Path) -> None:
    shutil.copytree(tiny_sd, tmp_path / "base")
    shutil.copytree(tiny_sd, tmp_path / "student")
    whole = checkpoints.fingerprint(tmp_path / "student", "vae", "unet")
    shutil.rmtree(tmp_path / "student" / "vae")
    shared = tmp_path / "student" / "shared.json"
    shared.write_text('{"vae": "../elsewhere/nobody"}')
    with pytest.raises(BenchError, match=r"borrows the vae of '../elsewhere/nobody', which is not beside"):
        checkpoints.part(tmp_path / "student", "vae")
    shared.write_text('{"vae": "base"}')
    assert checkpoints.part(tmp_path / "student", "vae") == tmp_path / "base" / "vae"
    assert checkpoints.part(tmp_path / "student", "unet") == tmp_path / "student" / "unet"
    assert checkpoints.fingerprint(tmp_path / "student", "vae", "unet") == whole
    adapter = make_adapter(f"sd15[checkpoint={tmp_path / 'student'}]")
    adapter.load("cpu", "fp32")
    assert adapter.latent_shape(Request("", "", height=64, width=64)) == (4, 8, 8)
