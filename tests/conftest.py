"""What tests share: tiny checkpoints made on the spot, and the rule for tests that need real data."""

from __future__ import annotations

import gc
import gzip
import importlib
import json
import os
import shutil
from collections.abc import Callable
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

# Set before torch is imported: the suite runs beside others on few cores, and fixed threads keep pictures bit-equal.
if not os.environ.get("T2IBENCH_NETWORK_TESTS"):
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
if os.environ.get("PYTEST_XDIST_WORKER"):
    os.environ.setdefault("OMP_NUM_THREADS", "1")

NUMBERS = count()
HEAVY, MANY = ("diffusers.models.unets", "diffusers.models.autoencoders", "transformers.models.clip.modeling_clip"), 100
MERGES = 49152 - 256 - 2
FEW_MERGES = 3_000
"""CLIP's merges of byte pairs; and those that tiny checkpoints have: all of them take a fifth of a second to read."""
FEW_TOKENS = 512 + FEW_MERGES + 2
REAL_DATA = ("T2IBENCH_DATA", "T2IBENCH_WEIGHTS")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--require-data", action="store_true", help="a test that needs real data fails where it is missing"
    )
    parser.addoption("--slow", action="store_true", help="run the tests marked slow, too")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave the slow ones out unless asked for; begin with the files that take longest, lest one be left at the end."""
    if not config.getoption("--slow"):
        config.hook.pytest_deselected(items=[item for item in items if item.get_closest_marker("slow")])
        items[:] = [item for item in items if not item.get_closest_marker("slow")]
    items.sort(key=lambda item: "zoo" not in item.path.parts)


def pytest_collection_finish(session: pytest.Session) -> None:
    """Spare searches for garbage what is imported: rows are unloaded with one, hundreds of times in a whole suite."""
    if len(session.items) > MANY:
        for name in HEAVY:
            importlib.import_module(name)
        gc.collect()
        gc.freeze()


def pytest_runtest_setup(item: pytest.Item) -> None:
    if item.get_closest_marker("network") and not os.environ.get("T2IBENCH_NETWORK_TESTS"):
        pytest.skip("needs a hub: set T2IBENCH_NETWORK_TESTS=1")
    missing = [name for name in REAL_DATA if not os.environ.get(name)]
    if item.get_closest_marker("data") and missing:
        say = pytest.fail if item.config.getoption("--require-data") else pytest.skip
        say(f"needs real data: set {' and '.join(missing)}")


@pytest.fixture(autouse=True)
def own_cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """No test reads or fills the user's caches. The folder is for whoever writes to make: few tests do."""
    monkeypatch.setenv("T2IBENCH_CACHE", str(tmp_path_factory.getbasetemp() / f"cache{next(NUMBERS)}"))


@pytest.fixture(autouse=True)
def no_job(monkeypatch: pytest.MonkeyPatch) -> None:
    """No test annotates the GitHub job that it may run in."""
    monkeypatch.delenv("GITHUB_ACTIONS", raising=False)


@pytest.fixture(scope="session")
def tokenizer_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The CLIP tokenizer, from the start of the vocabulary that open_clip ships."""
    folder = tmp_path_factory.mktemp("tokenizer")
    write_tokenizer(folder, FEW_MERGES)
    return folder


def write_tokenizer(folder: Path, count: int = MERGES) -> None:
    """Write CLIP's byte-pair encoder, of 49,408 tokens unless it has fewer merges, in transformers' layout."""
    import open_clip
    from open_clip.tokenizer import SimpleTokenizer

    vocabulary = Path(open_clip.__file__).parent / "bpe_simple_vocab_16e6.txt.gz"
    merges = gzip.decompress(vocabulary.read_bytes()).decode().split("\n")[1 : count + 1]
    folder.mkdir(parents=True, exist_ok=True)
    names = [*list(SimpleTokenizer().encoder)[: 512 + count], "<|startoftext|>", "<|endoftext|>"]
    (folder / "vocab.json").write_text(json.dumps({name: index for index, name in enumerate(names)}))
    (folder / "merges.txt").write_text("#version: 0.2\n" + "\n".join(merges))
    settings = {
        "model_max_length": 77,
        "bos_token": "<|startoftext|>",
        "eos_token": "<|endoftext|>",
        "unk_token": "<|endoftext|>",
        "pad_token": "<|endoftext|>",
        "tokenizer_class": "CLIPTokenizer",
    }
    (folder / "tokenizer_config.json").write_text(json.dumps(settings))


def save_stable_diffusion(folder: Path, tokenizer: Path, unet: dict[str, Any] | None = None) -> Path:
    """Save a small random SD1.5-shaped checkpoint: 8 pixels per latent, as the real one."""
    import torch
    from diffusers import AutoencoderKL, PNDMScheduler, StableDiffusionPipeline, UNet2DConditionModel
    from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer

    torch.manual_seed(0)
    text = CLIPTextConfig(
        vocab_size=FEW_TOKENS, hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=4,
        projection_dim=32, bos_token_id=FEW_TOKENS - 2, eos_token_id=FEW_TOKENS - 1, pad_token_id=FEW_TOKENS - 1,
    )  # fmt: skip
    unet_config = {
        "sample_size": 8, "block_out_channels": (16, 32), "layers_per_block": 1, "cross_attention_dim": 32,
        "attention_head_dim": 4, "norm_num_groups": 8,
        "down_block_types": ("CrossAttnDownBlock2D", "DownBlock2D"),
        "up_block_types": ("UpBlock2D", "CrossAttnUpBlock2D"),
    }  # fmt: skip
    vae = AutoencoderKL(
        block_out_channels=(8, 8, 8, 8), layers_per_block=1, norm_num_groups=4, latent_channels=4,
        down_block_types=("DownEncoderBlock2D",) * 4, up_block_types=("UpDecoderBlock2D",) * 4,
    )  # fmt: skip
    schedule = {"beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear"}
    pipeline = StableDiffusionPipeline(
        vae=vae,
        text_encoder=CLIPTextModel(text),
        tokenizer=CLIPTokenizer.from_pretrained(tokenizer),
        unet=UNet2DConditionModel(**{**unet_config, **(unet or {})}),
        scheduler=PNDMScheduler(skip_prk_steps=True, set_alpha_to_one=False, steps_offset=1, **schedule),
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )
    pipeline.save_pretrained(folder, safe_serialization=True)
    return folder


@pytest.fixture(scope="session")
def tiny_sd(tmp_path_factory: pytest.TempPathFactory, tokenizer_folder: Path) -> Path:
    """A random SD1.5-shaped checkpoint that takes milliseconds per picture."""
    return save_stable_diffusion(tmp_path_factory.mktemp("tiny") / "sd", tokenizer_folder)


@pytest.fixture(scope="session")
def sd_factory(tokenizer_folder: Path) -> Callable[..., Path]:
    """Save further random checkpoints: ``sd_factory(folder, unet={...})``."""
    return lambda folder, unet=None: save_stable_diffusion(folder, tokenizer_folder, unet)


def save_measuring_models(folder: Path, tokenizer: Path) -> None:
    """Save small random models of the kinds that measure scenes."""
    import torch
    from transformers import CLIPConfig, CLIPModel, ResNetConfig, ResNetForImageClassification

    torch.manual_seed(1)
    small = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 1, "num_attention_heads": 2}
    tokens = {"bos_token_id": FEW_TOKENS - 2, "eos_token_id": FEW_TOKENS - 1, "pad_token_id": FEW_TOKENS - 1}
    clip = CLIPConfig(
        text_config={**small, **tokens, "vocab_size": FEW_TOKENS, "max_position_embeddings": 32},
        vision_config={**small, "image_size": 64, "patch_size": 16},
        projection_dim=16,
    )
    CLIPModel(clip).half().save_pretrained(folder / "mini-clip")
    for file in tokenizer.iterdir():
        shutil.copy(file, folder / "mini-clip")
    resnet = ResNetConfig(embedding_size=16, hidden_sizes=[16, 64], depths=[1, 1], layer_type="basic", num_labels=4)
    ResNetForImageClassification(resnet).half().save_pretrained(folder / "mini-features")


@pytest.fixture(scope="session")
def zoo_folder(tmp_path_factory: pytest.TempPathFactory, tiny_sd: Path, tokenizer_folder: Path) -> Path:
    """Random stand-ins of the checkpoints that ship with the package."""
    folder = tmp_path_factory.mktemp("zoo")
    shutil.copytree(tiny_sd, folder / "mini-sd")
    save_measuring_models(folder, tokenizer_folder)
    return folder


@pytest.fixture
def zoo(zoo_folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The stand-ins in place of the zoo."""
    monkeypatch.setattr("t2ibench.core.zoo.FOLDER", zoo_folder)
    return zoo_folder


@pytest.fixture
def photo_folder(tmp_path: Path) -> Path:
    """Three small smooth pictures with some noise, as PNG."""
    folder = tmp_path / "photos"
    folder.mkdir()
    rng = np.random.default_rng(0)
    y, x = np.mgrid[0:96, 0:96] / 96
    for index in range(3):
        base = np.stack([x, y, (x + y) / 2 + index / 10], -1) * 200 + rng.normal(0, 8, (96, 96, 3))
        Image.fromarray(base.clip(0, 255).astype(np.uint8)).save(folder / f"photo{index}.png")
    return folder


@pytest.fixture
def bench(capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str, str]]:
    """Run the command line in this process: ``status, out, err = bench("run", "--limit", 1)``."""
    from t2ibench.bench.cli import status

    def call(*arguments: object) -> tuple[int, str, str]:
        capsys.readouterr()
        code = status([str(argument) for argument in arguments])
        return (code, *capsys.readouterr())

    return call
