"""``bench latency``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from .options import BenchmarkJson, ForceExport, Json, Offline

EXAMPLES = """
[bold]Examples[/bold]

  bench latency 'sd15[checkpoint=zoo:mini-sd,steps=10]'

  bench latency 'sd15,controlnet[condition=canny]' --device cuda,cuda+compile --dtype bf16

  bench latency sd15,snapfusion[checkpoint=DIR] --no-end-to-end --pytest-benchmark-json latency-benchmark.json

  bench latency --suite latency-mini

  bench latency 'sd15[checkpoint=zoo:mini-sd]' --device adb:SERIAL+gpu --tflite-dir exported/ --benchmark-model FILE
"""


def latency(
    methods: Annotated[
        str | None,
        typer.Argument(
            metavar="[METHOD[,METHOD...]]",
            help="Methods; the first is what the others are compared with. With --suite names of its rows.",
        ),
    ] = None,
    suite: Annotated[
        str | None, typer.Option(help="latency (full size, random weights) or latency-mini.", show_default=False)
    ] = None,
    device: Annotated[
        str, typer.Option(help="Devices ('bench ls devices'), comma between; +compile behind one compiles.")
    ] = "auto",
    dtype: Annotated[
        str | None,
        typer.Option(help="fp32, bf16, fp16, int8, comma between; else fp32, or the suite's.", show_default=False),
    ] = None,
    size: Annotated[
        str | None,
        typer.Option(
            metavar="N|WxH", help="Pixels of the pictures; else 512, or 64 for the mini world.", show_default=False
        ),
    ] = None,
    min_seconds: Annotated[
        float | None,
        typer.Option(
            min=0, help="Each stage is timed so long in all rounds; else 10 s, or the suite's.", show_default=False
        ),
    ] = None,
    iterations: Annotated[
        int | None,
        typer.Option(min=1, help="And called so often at least; else 10, or as the suite.", show_default=False),
    ] = None,
    rounds: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="8 to rank pictures composed of stages; else 10, or the suite's.",
            show_default=False,
        ),
    ] = None,
    end_to_end: Annotated[
        bool | None,
        typer.Option(
            "--end-to-end/--no-end-to-end",
            help="Make whole pictures, too; else the stages are summed. Else yes, or as the suite says.",
            show_default=False,
        ),
    ] = None,
    sustained: Annotated[
        bool, typer.Option("--sustained", help="One method after the other, minute by minute, until it is steady.")
    ] = False,
    minutes: Annotated[int, typer.Option(min=3, help="For --sustained: at most so many.")] = 30,
    threads: Annotated[
        int | None,
        typer.Option(min=1, help="Threads of the processor; else the libraries' choice.", show_default=False),
    ] = None,
    seed: Annotated[int, typer.Option(help="Of the order in the rounds, and of the pictures.")] = 0,
    tflite_dir: Annotated[
        Path | None,
        typer.Option(
            help="For adb: a folder of .tflite stages, or of such folders by method.", envvar="T2IBENCH_TFLITE"
        ),
    ] = None,
    benchmark_model: Annotated[
        Path | None,
        typer.Option(help="For adb: LiteRT's benchmark_model for the phone.", envvar="T2IBENCH_BENCHMARK_MODEL"),
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="For latency.json and latency.md; else runs/latency, or runs/SUITE.")
    ] = None,
    pytest_benchmark_json: BenchmarkJson = None,
    force_export: ForceExport = False,
    offline: Offline = False,
    json_: Json = False,
) -> int:
    """Time methods, stage by stage and end to end, each in a fresh process, all in turns.

    What is too noisy to rank is not ranked. Exit status 2 where something asked for could not be measured.
    """
    asked = dict(locals())
    from ..latency.command import latency_command

    return latency_command(methods, asked)
