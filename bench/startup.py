"""What commands do before their work: names of devices and weights understood, libraries quiet, arithmetic exact."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

from ..core.errors import BenchError, printable
from ..core.registry import suggest
from ..core.weights import WeightsFinder

INTERRUPTED = 130
"""The exit status of what Ctrl-C ends."""


def finder(named: Sequence[str] | None, offline: bool) -> WeightsFinder:
    """Return what finds weights, with the files of ``--weights NAME=FILE`` first.

    Raises BenchError for a name that nothing asks for, or a file that is not there.
    """
    from .progress import lines

    return WeightsFinder(
        dict(weights_file(text) for text in named or []), offline, lines("fetch weights (MB)", 1_000_000)
    )


def weights_file(text: str) -> tuple[str, Path]:
    """Understand ``NAME=FILE``; BenchError for a name that nothing asks for, or a file that is not there."""
    name, equals, file = (part.strip() for part in text.partition("="))
    if not equals or not name or not file:
        raise BenchError(f"--weights '{text}': write NAME=FILE, for example inception=weights.pth")
    known = weights_names()
    if name not in known:
        raise BenchError(f"--weights {name}: unknown name{suggest(name, known)} (known: {', '.join(known)})")
    path = Path(file).expanduser()
    if not path.is_file():
        raise BenchError(f"--weights {name}: no file '{file}'")
    return name, path


def weights_names() -> list[str]:
    """The names that ``--weights`` takes."""
    from ..adapters.codecs import taef2, vaelight
    from ..datasets.conditions import WEIGHTS
    from ..metrics.extractors import NETWORKS
    from ..metrics.setup import Setup

    # Offline: some networks look for a second file to say what they need, not to be fetched for a list of names.
    setups = [Setup(lpips_net=net, weights=WeightsFinder(offline=True)) for net in ("squeeze", "alex", "vgg")]
    found = [NETWORKS.get(name).weights(setup) for name in NETWORKS.names() for setup in setups]
    found += [taef2.ENCODER, taef2.DECODER, vaelight.ENCODER, vaelight.DECODER, *WEIGHTS]
    return list(dict.fromkeys(known.name for known in found if known))


def device_of(name: str) -> str:
    """Return PyTorch's name of a device, ``auto`` resolved; BenchError for one that is not here."""
    import torch

    from ..adapters.checkpoints import torch_device

    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"
    return str(torch_device(name))


def dtype_of(name: str) -> str:
    """Return a precision as it is; BenchError for an unknown one."""
    from ..adapters.checkpoints import torch_dtype

    torch_dtype(name)
    return name


def quiet_libraries() -> None:
    """Silence warnings and bars of libraries, which would bury ours; what matters comes back as errors and notes."""
    import logging
    import warnings

    warnings.filterwarnings("ignore")
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
    # torchao comes with litert-torch, and diffusers tells whoever imports it what it thinks of its version.
    torchao = ("torch.utils._pytree", "diffusers.quantizers.torchao.torchao_quantizer")
    for name in ("diffusers", "transformers", "huggingface_hub", "PIL", "torch", *torchao):
        logging.getLogger(name).setLevel(logging.ERROR)


def exact_arithmetic() -> None:
    """Make fp32 mean fp32: on NVIDIA cards convolutions are TF32 by default, and may differ between calls."""
    import torch

    torch.backends.cudnn.allow_tf32 = False
    torch.backends.cuda.matmul.allow_tf32 = False
    torch.backends.cudnn.benchmark = False
    torch.backends.cudnn.deterministic = True


def ends_as_ctrl_c() -> None:
    """Let SIGTERM, by which CI runners end a job, do what Ctrl-C does: clean up, and leave a run to go on with."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)


def say(text: str) -> None:
    """Tell it on standard error: standard output is for results."""
    print(printable(text), file=sys.stderr, flush=True)
