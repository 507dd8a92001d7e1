"""``bench score``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from .options import Device, Json, Offline, Weights

EXAMPLES = """
[bold]Examples[/bold]

  bench score samples/ --reference photos/ --metrics fid,kid

  bench score 'shards/*.tar' --reference coco.npz --skip-bad --json

  bench score decoded/ --targets originals/
"""


def score(
    images: Annotated[
        str,
        typer.Argument(
            metavar="IMAGES",
            help="A folder, a .zip, a .tar or a quoted pattern of tars, an .npz of pictures or statistics.",
        ),
    ],
    reference: Annotated[
        str | None, typer.Option(help="What FID and its like are taken to: pictures or statistics.", show_default=False)
    ] = None,
    metrics: Annotated[
        str | None, typer.Option(help="Metrics, comma between; else those that what is given allows for.")
    ] = None,
    prompts: Annotated[
        Path | None, typer.Option(help="A txt, csv, tsv, json or jsonl file; pictures are named by prompt id.")
    ] = None,
    targets: Annotated[
        str | None, typer.Option(help="Pictures of the same names that PSNR, SSIM and LPIPS compare with.")
    ] = None,
    weights: Weights = None,
    device: Device = "auto",
    dtype: Annotated[str, typer.Option(help="fp32, bf16 or fp16.")] = "fp32",
    batch_size: Annotated[int | None, typer.Option(min=1, help="Pictures per batch; else by device.")] = None,
    resize: Annotated[
        str, typer.Option(help="Before Inception: tf-bilinear, clean-fid, pytorch-fid or torchmetrics.")
    ] = "tf-bilinear",
    transform: Annotated[str, typer.Option(help="Before each extractor: as-is, squareN, or shortN-cropM.")] = "as-is",
    reference_transform: Annotated[
        str | None, typer.Option(help="The same for the reference; else as --transform.")
    ] = None,
    save_stats: Annotated[
        Path | None, typer.Option(help="Write mu, sigma and n of the pictures (.npz), for other tools, too.")
    ] = None,
    save_reference_stats: Annotated[Path | None, typer.Option(help="The same of the reference.")] = None,
    skip_bad: Annotated[
        bool,
        typer.Option("--skip-bad", help="Leave broken pictures out and count them; else the first one is an error."),
    ] = False,
    offline: Offline = False,
    json_: Json = False,
) -> None:
    """Measure pictures that are there: metrics alone, of folders, archives and statistics files."""
    asked = dict(locals())
    from ..score import score_command

    score_command(asked, save_stats, save_reference_stats, json_)
