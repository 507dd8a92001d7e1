"""Every comparison with another tool as a row, and the page of them: ``python tests/metrics/parity_page.py > PAGE``."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import NamedTuple

import parity_features as same
import parity_inception as inception
import parity_pictures as pictures
from made import TINY_CLIP, Files

RESTATED = {"pytorch-fid": "0.3.0, restated", "clean-fid": "0.1.35, restated"}
"""Versions of tools that need not be installed, since the row restates their resize."""


class Row(NamedTuple):
    """One quantity of ours against one of another tool's."""

    tool: str
    name: str
    compared: str
    unit: str
    """``relative``, ``absolute``, or what is counted."""
    tolerance: float
    measure: Callable[[Files], float]
    """Return the error, given weights of the real architectures."""

    @property
    def key(self) -> str:
        """As pytest shows it: ``test_parity.py::test_parity[KEY]``."""
        return f"{self.tool}-{self.name}"

    @property
    def version(self) -> str:
        return RESTATED.get(self.tool) or version(self.tool)


def _of_features() -> list[Row]:
    few = "`fid` of 64 pictures of 256 features, against the exact n×n value"
    return [
        Row("torch-fidelity", "fid", "`fid`, same features, n > d", "relative", 1e-5, lambda _: same.fid()),
        Row("torch-fidelity", "fid-few", few, "relative", 1e-10, lambda _: same.fid_errors_of_few()[0]),
        Row("torch-fidelity", "kid", "`kid`, same features, its seed", "absolute", 1e-5, lambda _: same.kid()),
        Row(
            "torch-fidelity", "kid-few", "the same, 60 to 90 pictures, its subset size set to 60", "absolute", 1e-5,
            lambda _: same.kid_of_few(),
        ),
        Row(
            "torch-fidelity", "isc", "`inception_score`, same logits, its shuffle", "relative", 1e-10,
            lambda _: same.inception_scores()[0],
        ),
        Row(
            "torch-fidelity", "isc-deviation", "its deviation over splits, from the width of our interval", "relative",
            1e-6, lambda _: same.inception_scores()[1],
        ),
        Row(
            "torch-fidelity", "prc", "`precision` and `recall`, same features, k = 3", "pictures", 0,
            lambda _: same.prc(),
        ),
        Row(
            "torch-fidelity", "logits", "class logits from pool3 features", "relative", 1e-5,
            lambda files: inception.logits_error(files.inception),
        ),
    ]  # fmt: skip


def _of_inception(tool: str) -> list[Row]:
    resize, _, n = inception.TOOLS[tool]
    return [
        Row(
            tool, "features", f"pool3 features of {2 * n} pictures, `{resize}`", "relative", 1e-4,
            lambda files: inception.features_error(files.inception, tool),
        ),
        Row(
            tool, "fid-end-to-end", f"`fid` of {n} pictures a side, `{resize}`, against the exact value", "relative",
            1e-4, lambda files: inception.fid_error(files.inception, tool),
        ),
    ]  # fmt: skip


def _end_to_end() -> list[Row]:
    n = inception.TOOLS["torch-fidelity"].pictures
    return [
        Row(
            "torch-fidelity", "kid-end-to-end", f"`kid` of {n} pictures a side", "absolute", 1e-5,
            lambda files: inception.kid_error(files.inception),
        ),
        Row(
            "torch-fidelity", "prc-end-to-end", f"`precision` and `recall` of {n} pictures a side, k = 3", "absolute",
            2 / n, lambda files: inception.prc_error(files.inception),
        ),
    ]  # fmt: skip


def _of_lpips(package: str, net: str) -> Row:
    def measure(files: Files) -> float:
        return pictures.lpips_error(files.backbone(net), net, package)

    return Row(package, f"lpips-{net}", f"`lpips_{net}` over random layers", "absolute", 1e-6, measure)


def _of_clip(name: str, compared: str, error: Callable[..., float]) -> Row:
    def measure(files: Files) -> float:
        return error(pictures.tiny(files.tiny_clip), TINY_CLIP, str(files.tiny_clip))

    return Row("open_clip_torch", name, compared, "absolute", 1e-6, measure)


ROWS = [
    *_of_features(),
    *_of_inception("torch-fidelity"),
    *_end_to_end(),
    *_of_inception("pytorch-fid"),
    *_of_inception("clean-fid"),
    *_of_inception("torchmetrics"),
    Row(
        "torchmetrics", "ssim", "`ssim` with a reflected border", "absolute", 1e-5,
        lambda _: pictures.torchmetrics_ssim_error(),
    ),
    Row("torchmetrics", "ms-ssim", "`ms_ssim`", "absolute", 1e-5, lambda _: pictures.ms_ssim_error()),
    *map(partial(_of_lpips, "torchmetrics"), ("alex", "vgg", "squeeze")),
    Row(
        "torchmetrics", "clip-score", "`clip_score_x100_clamped`, given embeddings", "absolute", 1e-4,
        lambda _: pictures.torchmetrics_clip_score_error(),
    ),
    Row("scikit-image", "psnr", "`psnr`", "absolute", 0, lambda _: pictures.psnr_error()),
    Row("scikit-image", "ssim", "`ssim`", "absolute", 1e-12, lambda _: pictures.ssim_errors()),
    *map(partial(_of_lpips, "lpips"), ("alex", "vgg", "squeeze")),
    _of_clip("embeddings", "embeddings of pictures and of prompts", pictures.clip_error),
    _of_clip("clip-score", "`clip_score`", pictures.cosine_error),
]  # fmt: skip

_PAGE = """\
# Parity with other tools

What other tools compute, and how far ours is from it. The page is made by `python tests/metrics/parity_page.py`; each
row is a test of that name in `tests/metrics/test_parity.py`, which fails where the error is above the one asked for.
Errors were measured when the page was made, and differ in their last digits from machine to machine.

{table}

- Networks have seeded random weights of the real architecture, in one file that both sides read: the path through the
  code is that of the real ones. Only open_clip's model is a tiny one of the same classes.
- End to end, pictures have 64×64 to 384×512 pixels. Features are compared by their norm.
- Two Inception numbers are the same quantity only under the same resize: choose it with `--resize`, and find it in
  the identity of every number (`fid:…:tf-bilinear:fp32:…`). The features of any two resizes lie more than 1e-3 apart.
- torch-fidelity and torchmetrics run their own extractors. pytorch-fid and clean-fid are no dependency: a row
  restates the resize and scaling of the version it names before torch-fidelity's network. The tools themselves run in
  `tests/benchmarks/fid_peers.py`: at 512 pictures a side of 512×512 pixels, random weights, our FID was 2e-8 (relative)
  from that of torch-fidelity, 4e-7 from pytorch-fid, 2e-7 from clean-fid, 7e-7 from torchmetrics without antialiasing.
- torchmetrics' `CLIPScore` runs on given embeddings, since the transformers model that it fetches has another file
  than open_clip's. It clamps the mean at 0, ours each pair as the paper does: the row compares pair by pair.
- `density` and `coverage` are exact against their definition written out (`tests/metrics/test_manifold.py`): no tool
  here has them.

## With the official weights

`T2IBENCH_NETWORK_TESTS=1 make test TEST=tests/metrics/test_parity_network.py` fetches the real files (or finds them
in `T2IBENCH_WEIGHTS`), checks their published digests, and repeats the rows of Inception (torch-fidelity's features
and FID) and of CLIP (ViT-B/32 of OpenAI, embeddings within 1e-5). Without that variable the tests are skipped;
without a network they fail in the one line that names the missing file. They have not been run for this page: it was
made without a network.

## The resizes

They are compared pixel by pixel in `tests/metrics/test_resizers.py`, over sizes from 1×1 to 300×1000 of pure noise:
the largest error, in levels of 0 to 255, is 0.0001 for `tf-bilinear`, none for `clean-fid` (both are Pillow's), and
at most 0.01 for `pytorch-fid` and `torchmetrics`, where PyTorch places a pixel by another rounding.

## Where the distance itself differs

- With n pictures a side and n ≤ d features the covariances are singular. Ours is exact there (the n×n nuclear norm).
  torch-fidelity takes roots of eigenvalues that rounding has moved off 0, and is off by {few} (relative) in the row
  of 64 pictures of 256 features; pytorch-fid and clean-fid add 1e-6 to the diagonal where `sqrtm` fails; torchmetrics
  keeps its sums in fp32. End to end on 32 to 256 pictures a side, torch-fidelity was 2e-6 to 3e-6 off and
  torchmetrics 1e-6 to 5e-6.
- `bf16` is another quantity, and its identity says so. On the pictures of [speed](speed.md) it moves FID by 0.4 to
  0.9 %.
- On a GPU, fp32 runs without TF32, whose error of 1e-3 in features would pass for another resize. Features of a CPU
  and of a GPU are cached apart. This path has not been measured on a GPU yet.
"""


def page(files: Files) -> str:
    """Measure every row and return the page as Markdown."""
    return _PAGE.format(table=_table(files), few=_short(same.fid_errors_of_few()[1]))


def _table(files: Files) -> str:
    lines = ["| tool | version | what is compared | error | asked for | measured | test |", "|---" * 7 + "|"]
    for row in ROWS:
        errors = _short(row.tolerance), _short(row.measure(files))
        cells = (row.tool, row.version, row.compared, row.unit, *errors, f"`test_parity[{row.key}]`")
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def _short(error: float) -> str:
    return f"{error:.2g}" if error else "0"


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as name:
        sys.stdout.write(page(Files(Path(name))))
