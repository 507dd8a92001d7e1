"""``bench run``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from .options import BenchmarkJson, DataRoot, Embed, ForceExport, Github, Json, Junit, Offline, Weights

EXAMPLES = """
[bold]Examples[/bold]

  bench run --methods 'scenes,sd15[checkpoint=zoo:mini-sd,steps=10]'

  bench run --suite decoders --images photos/

  bench run --suite coco5k --methods 'sd15[scheduler=dpm++,steps=8],folder:from_phone' --limit 100

  bench report runs/decoders --html decoders.html
"""


def run(
    suite: Annotated[str, typer.Option(help="A suite's name ('bench ls suites') or a TOML file.")] = "mini",
    methods: Annotated[str | None, typer.Option(help="Methods or codecs, comma between; else the suite's.")] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="At most so many prompts or photos.")] = None,
    out: Annotated[
        Path | None, typer.Option(help="The run's folder; else runs/SUITE. An unfinished run there goes on.")
    ] = None,
    seed: Annotated[int | None, typer.Option(help="Seed of all noise; else the suite's.")] = None,
    device: Annotated[
        str, typer.Option(help="Devices ('bench ls devices'), comma between: a row for each; auto is PyTorch's best.")
    ] = "auto",
    dtype: Annotated[str, typer.Option(help="fp32, bf16, fp16, int8, comma between: a row for each.")] = "fp32",
    batch_size: Annotated[int | None, typer.Option(min=1, help="Pictures per batch; else by size and device.")] = None,
    metrics: Annotated[
        str | None, typer.Option(help="Metrics, comma between; else the suite's. Each must be computable.")
    ] = None,
    images: Annotated[Path | None, typer.Option(help="A folder of photos, for suites that take photos.")] = None,
    prompts: Annotated[
        Path | None, typer.Option(help="A txt, csv, tsv, json or jsonl file, for suites that take prompts.")
    ] = None,
    reference: Annotated[
        Path | None, typer.Option(help="Photos or statistics file that FID is taken to; else the dataset's.")
    ] = None,
    data_root: DataRoot = None,
    weights: Weights = None,
    set_: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="Change a key of the suite, such as sampling.size=256."),
    ] = None,
    offline: Offline = False,
    fresh: Annotated[bool, typer.Option("--fresh", help="Throw away what the folder holds and start anew.")] = False,
    strict: Annotated[
        bool, typer.Option("--strict", help="A method or metric of the suite that cannot run is an error.")
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be made, and make nothing.")] = False,
    baseline: Annotated[
        Path | None, typer.Option(help="An earlier run or a baseline file to compare this one with.")
    ] = None,
    gate: Annotated[
        bool, typer.Option("--gate", help="Judge it against --baseline: exit status 1 for a regression.")
    ] = False,
    thresholds: Annotated[Path | None, typer.Option(help="For --gate: how much worse numbers may get (TOML).")] = None,
    junit: Junit = None,
    github: Github = None,
    force_export: ForceExport = False,
    embed: Embed = "thumbnails",
    pytest_benchmark_json: BenchmarkJson = None,
    json_: Json = False,
) -> int:
    """Make the pictures of a suite, measure them, and write the table and the reports.

    Killed or stopped, the same command goes on where it was: nothing is lost and nothing is made twice.
    """  # fmt: skip
    asked = dict(locals())
    from ..run_command import run_command

    return run_command(**asked)
