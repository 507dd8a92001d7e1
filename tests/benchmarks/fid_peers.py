"""FID end to end beside its peers: each tool its own process, the same pictures, the same random Inception weights.

    python tests/benchmarks/fid_peers.py --images 512 --rounds 3 --python PEERS/bin/python

``PEERS`` is an environment with torch-fidelity, pytorch-fid, clean-fid and torchmetrics beside the same torch; the
interpreter that runs this file is ours. Pictures are made on the spot: 512×512 PNG with the 1/f spectrum of
photographs, two sets that differ in slope. Tools take turns within a round, so that a ratio holds on a noisy machine.
Cold seconds are of the whole process; warm ones leave out imports and, but for torch-fidelity, which has no way to do
so, the loading of weights. Core seconds are what its threads and workers used, which neighbours disturb least.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

SIDE = 512
ROOT = Path(__file__).resolve().parents[2]


# --- the tools, each in a process of its own; returns (FID, seconds after imports and loading) -----------------------


def ours(first: Path, second: Path, weights: Path) -> tuple[float, float]:
    return _ours(first, second, weights, ["fid"])


def ours_bf16(first: Path, second: Path, weights: Path) -> tuple[float, float]:
    return _ours(first, second, weights, ["fid"], dtype="bf16")


def ours_four(first: Path, second: Path, weights: Path) -> tuple[float, float]:
    names = ["fid", "kid", "inception_score", "precision", "recall", "density", "coverage"]
    return _ours(first, second, weights, names)


def ours_keeping(first: Path, second: Path, weights: Path) -> tuple[float, float]:
    """Fills the feature cache."""
    return _ours(first, second, weights, ["fid"], cache=weights.with_name("cache"))


def ours_again(first: Path, second: Path, weights: Path) -> tuple[float, float]:
    """Finds all features in the cache, after ``ours_keeping``."""
    return _ours(first, second, weights, ["fid"], cache=weights.with_name("cache"))


def ours_as_pytorch_fid(first: Path, second: Path, weights: Path) -> tuple[float, float]:
    return _ours(first, second, weights, ["fid"], inception_resize="pytorch-fid")


def ours_as_clean_fid(first: Path, second: Path, weights: Path) -> tuple[float, float]:
    return _ours(first, second, weights, ["fid"], inception_resize="clean-fid")


def _ours(first: Path, second: Path, weights: Path, names: list[str], **settings: Any) -> tuple[float, float]:
    from t2ibench.core.files import sha256_file
    from t2ibench.core.weights import WeightsFinder
    from t2ibench.datasets.images import load_rgb
    from t2ibench.metrics.engine import Engine, Setup
    from t2ibench.metrics.extractors.base import Extractor
    from t2ibench.metrics.sample import Sample

    def samples(folder: Path) -> list[Sample]:
        files = sorted(folder.glob("*.png"))
        return [Sample(file.name, sha256_file(file), lambda file=file: load_rgb(file)) for file in files]

    finder = WeightsFinder({"inception": weights}, offline=True)
    engine = Engine(Setup(weights=finder, **settings))
    network = engine.network("inception")
    assert isinstance(network, Extractor)
    if "cache" not in settings:
        network.features([network.prepare(np.zeros((8, 8, 3), np.uint8))])
    start = time.perf_counter()
    values = engine.measure(samples(first), names, samples(second))
    assert values["fid"].value is not None, values["fid"].reason
    return values["fid"].value, time.perf_counter() - start


def torch_fidelity(first: Path, second: Path, weights: Path) -> tuple[float, float]:
    from torch_fidelity import calculate_metrics
    from torch_fidelity.metric_fid import KEY_METRIC_FID

    start = time.perf_counter()
    found = calculate_metrics(
        input1=str(first), input2=str(second), fid=True, cuda=False, cache=False, verbose=False, batch_size=16,
        feature_extractor_weights_path=str(weights),
    )  # fmt: skip
    return float(found[KEY_METRIC_FID]), time.perf_counter() - start


def pytorch_fid(first: Path, second: Path, weights: Path) -> tuple[float, float]:
    import torch
    from pytorch_fid import fid_score, inception

    inception.load_state_dict_from_url = lambda *_, **__: torch.load(weights, weights_only=True)
    fid_score.tqdm = lambda batches: batches
    model = inception.InceptionV3([inception.InceptionV3.BLOCK_INDEX_BY_DIM[2048]])
    start = time.perf_counter()
    moments = [
        fid_score.compute_statistics_of_path(str(folder), model, 50, 2048, "cpu", num_workers=2)
        for folder in (first, second)
    ]
    return float(fid_score.calculate_frechet_distance(*moments[0], *moments[1])), time.perf_counter() - start


def clean_fid(first: Path, second: Path, weights: Path) -> tuple[float, float]:
    import torch
    from cleanfid import fid
    from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3

    network = FeatureExtractorInceptionV3("x", ["2048"], feature_extractor_weights_path=str(weights))
    stages = [each for name, each in network.named_children() if name != "fc"]
    # Scripted, as the file is that clean-fid downloads.
    layers = torch.jit.freeze(torch.jit.trace(torch.nn.Sequential(*stages).eval(), torch.zeros(2, 3, 299, 299)))

    def model(x: Any) -> Any:
        return layers((x - 128) / 128).flatten(1)

    start = time.perf_counter()
    found = fid.compute_fid(
        str(first), str(second), mode="clean", device=torch.device("cpu"), num_workers=2, batch_size=32,
        custom_feat_extractor=model, verbose=False,
    )  # fmt: skip
    return float(found), time.perf_counter() - start


def torchmetrics(first: Path, second: Path, weights: Path) -> tuple[float, float]:
    import torch
    from PIL import Image
    from torchmetrics.image.fid import FrechetInceptionDistance

    metric = FrechetInceptionDistance(feature=2048, antialias=False, feature_extractor_weights_path=str(weights))
    start = time.perf_counter()
    for folder, real in ((first, False), (second, True)):
        files = sorted(folder.glob("*.png"))
        for i in range(0, len(files), 16):
            pictures = [np.asarray(Image.open(file).convert("RGB")) for file in files[i : i + 16]]
            metric.update(torch.from_numpy(np.stack(pictures)).permute(0, 3, 1, 2), real=real)
    return float(metric.compute()), time.perf_counter() - start


OURS = (ours, ours_four, ours_bf16, ours_keeping, ours_again, ours_as_pytorch_fid, ours_as_clean_fid)
PEERS = (torch_fidelity, pytorch_fid, clean_fid, torchmetrics)
TOOLS: dict[str, Callable[[Path, Path, Path], tuple[float, float]]] = {tool.__name__: tool for tool in (*OURS, *PEERS)}


# --- what they are given ----------------------------------------------------------------------------------------------


def make_world(folder: Path, count: int) -> None:
    """Write two sets of pictures that differ in the slope of their spectrum, and random weights that all tools read."""
    sys.path.insert(0, str(ROOT / "tests" / "metrics"))
    from PIL import Image

    from made import coloured_picture, write_random_inception

    for seed, (name, slope) in enumerate({"first": 1.0, "second": 1.2}.items()):
        random = np.random.default_rng(seed)
        (folder / name).mkdir()
        for index in range(count):
            picture = Image.fromarray(coloured_picture(random, SIDE, SIDE, slope))
            picture.save(folder / name / f"{index:05}.png")
    write_random_inception(folder / "inception.pth")


# --- rounds and the table ---------------------------------------------------------------------------------------------


def run(name: str, python: str, folder: Path) -> dict[str, float]:
    """Run one tool in a process of its own; returns its FID, and seconds: cold, warm, of its cores."""
    environment = os.environ | {"PYTHONDONTWRITEBYTECODE": "0", "HF_HUB_OFFLINE": "1"}
    arguments = [python, str(Path(__file__).resolve()), "--tool", name, "--folder", str(folder)]
    start, busy = time.perf_counter(), _core_seconds()
    done = subprocess.run(arguments, capture_output=True, text=True, env=environment)
    seconds, busy = time.perf_counter() - start, _core_seconds() - busy
    if done.returncode:
        raise SystemExit(f"{name} failed:\n{done.stderr[-2000:]}")
    return {"seconds": seconds, "cores": busy, **json.loads(done.stdout.splitlines()[-1])}


def _core_seconds() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def table(rounds: list[dict[str, dict[str, float]]], images: int) -> str:
    """Return a Markdown table: medians over rounds, and ratios to the fastest peer within each round."""
    lines = [
        "| tool | cold s | warm s | core s | images/s warm | × fastest peer cold | warm | cores | FID |",
        "|---" * 9 + "|",
    ]
    for name in rounds[0]:
        times = [statistics.median(each[name][key] for each in rounds) for key in ("seconds", "warm", "cores")]
        gains = [statistics.median(_gain(each, name, key) for each in rounds) for key in ("seconds", "warm", "cores")]
        cells = [f"{value:.1f}" for value in (*times, 2 * images / times[1])] + [f"{gain:.2f}" for gain in gains]
        lines.append(f"| {name} | {' | '.join(cells)} | {rounds[0][name]['fid']:.7g} |")
    return "\n".join(lines)


def _gain(found: dict[str, dict[str, float]], name: str, key: str) -> float:
    peers = [found[peer.__name__][key] for peer in PEERS if peer.__name__ in found]
    return min(peers, default=found[name][key]) / found[name][key]


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=512, help="pictures on either side")
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--python", default=sys.executable, help="the interpreter of the peers")
    parser.add_argument("--tools", default=",".join(TOOLS))
    parser.add_argument("--tool", choices=TOOLS, help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    return parser.parse_args()


def main() -> None:
    asked = arguments()
    if asked.tool:
        folder = asked.folder
        fid, warm = TOOLS[asked.tool](folder / "first", folder / "second", folder / "inception.pth")
        print(json.dumps({"fid": fid, "warm": warm}))
        return
    mine = {tool.__name__ for tool in OURS}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        make_world(folder, asked.images)
        rounds = []
        for _ in range(asked.rounds):
            found = {}
            for tool in asked.tools.split(","):
                found[tool] = run(tool, sys.executable if tool in mine else asked.python, folder)
                print(f"{tool}: {found[tool]}", file=sys.stderr)
            rounds.append(found)
    print(table(rounds, asked.images))


if __name__ == "__main__":
    main()
