"""The command line."""

from __future__ import annotations

import io
import os
import sys
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from ..core.errors import BenchError

EXAMPLES = """
[bold]Examples[/bold]

  bench run --methods 'scenes,sd15[checkpoint=zoo:mini-sd,steps=10]'

  bench run --suite decoders --images photos/

  bench run --suite coco5k --methods 'sd15[scheduler=dpm++,steps=8],folder:from_phone' --limit 100

  bench report runs/decoders --html decoders.html
"""

SCORE_EXAMPLES = """
[bold]Examples[/bold]

  bench score samples/ --reference photos/ --metrics fid,kid

  bench score 'shards/*.tar' --reference coco.npz --skip-bad --json

  bench score decoded/ --targets originals/
"""

EXPLAIN_EXAMPLES = """
[bold]Examples[/bold]

  bench explain old.json new.json --metric fid

  bench explain png/ jpeg/ --metric fid --reference photos/
"""

GATE_EXAMPLES = """
[bold]Examples[/bold]

  bench gate runs/main runs/change

  bench gate runs/main runs/change --thresholds gate.toml --markdown

  bench run --suite mini --out runs/change --baseline runs/main --gate
"""

PR_EXAMPLES = """
[bold]Examples[/bold]

  bench pr main

  bench pr origin/main --methods my_method:Clouds --limit 64 --thresholds gate.toml

  bench comment runs/pr/gate.md
"""

COMPARE_EXAMPLES = """
[bold]Examples[/bold]

  bench compare runs/main runs/change

  bench compare runs/main runs/change runs/other --html compare.html --markdown compare.md
"""

AB_EXAMPLES = """
[bold]Examples[/bold]

  bench ab --base ../main --head .

  bench ab --base venv-torch-2.9 --head venv-torch-2.10 --methods 'sd15[checkpoint=zoo:mini-sd]'

  bench ab --base ../main --head . --out runs/ab && bench gate runs/main runs/change --ab runs/ab
"""

HISTORY_EXAMPLES = """
[bold]Examples[/bold]

  bench history runs/ --metric mini_fd

  bench history baselines/ --html history.html
"""

PLAN_EXAMPLES = """
[bold]Examples[/bold]

  bench plan --detect mini_clip_score:1% --from runs/main --from runs/change

  bench plan --detect fid --n 1000 --from baseline.zip

  bench plan --detect seconds_unet:7% --from runs/ab
"""

LATENCY_EXAMPLES = """
[bold]Examples[/bold]

  bench latency 'sd15[checkpoint=zoo:mini-sd,steps=10]'

  bench latency 'sd15,controlnet[condition=canny]' --device cuda,cuda+compile --dtype bf16

  bench latency sd15,snapfusion[checkpoint=DIR] --no-end-to-end --pytest-benchmark-json latency-benchmark.json

  bench latency --suite latency-mini

  bench latency 'sd15[checkpoint=zoo:mini-sd]' --device adb:SERIAL+gpu --tflite-dir exported/ --benchmark-model FILE
"""

EXPORT_EXAMPLES = """
[bold]Examples[/bold]

  bench export runs/mini --wide > mini.csv

  bench export runs/main runs/change --format parquet --out numbers.parquet

  bench export runs/mine --format model-index --method 'sd15[checkpoint=me/model]' --name my-model
"""

TABLE_EXAMPLES = """
[bold]Examples[/bold]

  bench table mediapipe-plugin runs/mini-control

  bench table mediapipe-plugin runs/mini-control --latex > table.tex

  bench table architecture
"""

INTERRUPTED = 130

app = typer.Typer(
    name="bench",
    help="Quality, control, decoder fidelity and latency of text-to-image diffusion methods, in one honest table.",
    epilog="--debug with any command shows the traceback of an error. Exit status: 0 done, 1 a regression, 2 an error.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
)

Json = Annotated[bool, typer.Option("--json", help="Print JSON on standard output.")]
DataRoot = Annotated[
    Path | None, typer.Option(help="Where named datasets live.", envvar="T2IBENCH_DATA", show_default=False)
]
Device = Annotated[str, typer.Option(help="cpu, cuda, cuda:1, mps; auto takes the best there is.")]
Weights = Annotated[list[str] | None, typer.Option(metavar="NAME=FILE", help="A weights file, such as inception=FILE.")]
Junit = Annotated[Path | None, typer.Option(metavar="FILE", help="Write the verdict as JUnit XML, a case per row.")]
Github = Annotated[
    bool | None,
    typer.Option(
        "--github/--no-github",
        help="Annotate GitHub's job with the rows that failed; else where it is one.",
        show_default=False,
    ),
]
AsMarkdown = Annotated[bool, typer.Option("--markdown", help="Print GitHub's Markdown.")]
Link = Annotated[
    str | None,
    typer.Option(
        metavar="URL", help="Where Markdown finds the HTML; else the file written with it.", show_default=False
    ),
]
Embed = Annotated[
    Literal["thumbnails", "all", "none"],
    typer.Option(
        help="Pictures inside report.html: small copies of those it opens with, of all, or none. The others, and all "
        "in full size, it finds beside itself."
    ),
]
ForceExport = Annotated[
    bool, typer.Option("--force-export", help="Export stages (onnx, openvino, litert) though room seems to lack.")
]
Offline = Annotated[bool, typer.Option("--offline", help="Open no socket: use only what is on this machine.")]


@app.command(epilog=EXAMPLES)
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
    weights: Annotated[
        list[str] | None, typer.Option(metavar="NAME=FILE", help="A weights file, such as inception=FILE.")
    ] = None,
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
    json_: Json = False,
) -> int:
    """Make the pictures of a suite, measure them, and write the table and the reports.

    Killed or stopped, the same command goes on where it was: nothing is lost and nothing is made twice.
    """  # fmt: skip
    asked = dict(locals())
    from .commands import run_command

    return run_command(**asked)


@app.command()
def report(
    runs: Annotated[list[Path], typer.Argument(metavar="RUN...", help="Folders of runs.")],
    html: Annotated[Path | None, typer.Option(help="Write the HTML report here.")] = None,
    markdown: Annotated[Path | None, typer.Option(help="Write the Markdown report here.")] = None,
    embed: Embed = "thumbnails",
    link: Link = None,
    offline: Offline = False,
    json_: Json = False,
) -> None:
    """Print a run's table and write its reports anew.

    Of several runs --html and --markdown are what 'bench compare' writes: the others against the first.
    """
    from .commands import report_command

    report_command(runs, html, markdown, embed, link, offline, json_)


@app.command(epilog=EXPORT_EXAMPLES)
def export(
    runs: Annotated[list[Path], typer.Argument(metavar="RUN...", help="Folders of runs; several for csv and parquet.")],
    shape: Annotated[
        Literal["csv", "parquet", "latex", "markdown", "html", "model-index"],
        typer.Option(
            "--format",
            help="csv, parquet: a row per method and metric. latex, markdown, html: the table. model-index: YAML for a "
            "model card.",
        ),
    ] = "csv",
    out: Annotated[Path | None, typer.Option("--out", "-o", metavar="FILE", help="Write it here.")] = None,
    wide: Annotated[bool, typer.Option("--wide", help="A row per method.")] = False,
    scores: Annotated[bool, typer.Option("--scores", help="The values of single pictures.")] = False,
    method: Annotated[str | None, typer.Option(help="For model-index: this method alone.")] = None,
    name: Annotated[str | None, typer.Option(help="For model-index: what the card's model is called.")] = None,
) -> None:
    """Write the numbers of runs for other tools; in Python, t2ibench.load_run(RUN) has them as frames of pandas."""
    asked = dict(locals())
    from .export import export_command

    export_command(asked)


@app.command(epilog=TABLE_EXAMPLES)
def table(
    name: Annotated[str, typer.Argument(metavar="NAME", help="A table ('bench ls tables').")],
    runs: Annotated[
        list[Path] | None, typer.Argument(metavar="[RUN...]", help="Folders of runs whose rows stand beside.")
    ] = None,
    markdown: Annotated[bool, typer.Option("--markdown", help="Print GitHub's Markdown.")] = False,
    csv: Annotated[bool, typer.Option("--csv", help="Print plain numbers, comma between.")] = False,
    latex: Annotated[bool, typer.Option("--latex", help="Print LaTeX (booktabs, threeparttable).")] = False,
    html: Annotated[bool, typer.Option("--html", help="Print a page that needs nothing else.")] = False,
    json_: Json = False,
) -> None:
    """Print a paper's table, with rows of runs in its shape; 'architecture' also counts every network and method.

    Each number is published, measured, reproduced (≈) or not comparable (≠), for the reason in its footnote; those that
    are recalled and not confirmed have a question mark.
    """
    from .commands import table_command

    forms = {"markdown": markdown, "csv": csv, "latex": latex, "html": html, "json": json_}
    table_command(name, runs or [], [form for form, asked in forms.items() if asked])


@app.command(epilog=LATENCY_EXAMPLES)
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
            min=1, help="Turns that the methods take, 8 to rank them; else 10, or the suite's.", show_default=False
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
    pytest_benchmark_json: Annotated[
        Path | None, typer.Option("--pytest-benchmark-json", help="Also write pytest-benchmark's JSON here.")
    ] = None,
    force_export: ForceExport = False,
    offline: Offline = False,
    json_: Json = False,
) -> int:
    """Time methods, stage by stage and end to end, each in a fresh process, all in turns.

    What is too noisy to rank is not ranked. Exit status 2 where something asked for could not be measured.
    """
    asked = dict(locals())
    from .latency.command import latency_command

    return latency_command(methods, asked)


@app.command()
def fetch(
    names: Annotated[list[str], typer.Argument(metavar="NAME...", help="Datasets ('bench ls datasets').")],
    from_: Annotated[
        Path | None, typer.Option("--from", help="A folder that holds the archives or their content.")
    ] = None,
    data_root: DataRoot = None,
    offline: Offline = False,
    json_: Json = False,
) -> None:
    """Fetch datasets from their official hosts, or take them from a folder; size and digest are checked."""
    from .commands import fetch_command

    fetch_command(names, from_, data_root, offline, json_)


@app.command("ls")
def list_(
    kind: Annotated[
        str | None, typer.Argument(help="suites, methods, codecs, metrics, datasets, devices or tables.")
    ] = None,
    json_: Json = False,
) -> None:
    """List what there is to choose from."""
    from .listing import list_command

    list_command(kind, json_)


@app.command()
def doctor(json_: Json = False) -> None:
    """Say what works on this machine, what is missing, and how to get it."""
    from .doctor import doctor_command

    doctor_command(json_)


@app.command(epilog=SCORE_EXAMPLES)
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
    weights: Annotated[
        list[str] | None, typer.Option(metavar="NAME=FILE", help="A weights file, such as inception=FILE.")
    ] = None,
    device: Annotated[str, typer.Option(help="cpu, cuda, cuda:1, mps; auto takes the best there is.")] = "auto",
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
    from .score import score_command

    score_command(asked, save_stats, save_reference_stats, json_)


@app.command("gate", epilog=GATE_EXAMPLES)
def gate_(
    base: Annotated[
        Path, typer.Argument(metavar="BASE", help="The run to compare with: its folder, or a baseline file.")
    ],
    head: Annotated[Path, typer.Argument(metavar="HEAD", help="The folder of the run to judge.")],
    thresholds: Annotated[
        Path | None, typer.Option(help="How much worse numbers may get (TOML); else by kind of metric.")
    ] = None,
    ab: Annotated[
        Path | None, typer.Option(metavar="FILE", help="What 'bench ab' wrote: judge seconds by it, too.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", metavar="FILE", help="Write the verdict, as --json prints it.")
    ] = None,
    junit: Junit = None,
    github: Github = None,
    html: Annotated[Path | None, typer.Option(help="Write both runs side by side, the verdict first, here.")] = None,
    embed: Embed = "thumbnails",
    link: Link = None,
    device: Device = "auto",
    weights: Weights = None,
    offline: Offline = False,
    markdown: AsMarkdown = False,
    json_: Json = False,
) -> int:
    """Say whether a run is worse than another: exit status 0 pass, 1 a regression, 2 could not measure."""
    asked = dict(locals())
    from .gating.command import gate_command

    return gate_command(base, head, thresholds, asked)


@app.command(epilog=COMPARE_EXAMPLES)
def compare(
    base: Annotated[Path, typer.Argument(metavar="BASE", help="A run's folder, or a baseline file.")],
    heads: Annotated[list[Path], typer.Argument(metavar="HEAD...", help="Those that are held against it.")],
    html: Annotated[Path | None, typer.Option(help="Write the report, with pictures side by side, here.")] = None,
    markdown: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write it as GitHub's Markdown here; - prints it.")
    ] = None,
    embed: Embed = "thumbnails",
    link: Link = None,
    device: Device = "auto",
    weights: Weights = None,
    offline: Offline = False,
    json_: Json = False,
) -> int:
    """Show how the numbers and pictures of runs differ from those of a first, with intervals and without a verdict."""
    asked = dict(locals())
    from .gating.command import compare_command

    return compare_command(base, heads, asked)


@app.command(epilog=AB_EXAMPLES)
def ab(
    base: Annotated[
        str, typer.Option(metavar="CHECKOUT|ENV", help="A checkout's folder, an environment's folder, or a Python.")
    ],
    head: Annotated[str, typer.Option(metavar="CHECKOUT|ENV", help="The same for the version to judge.")],
    suite: Annotated[
        str | None, typer.Option(help="Whose methods, size and sampling; else mini.", show_default=False)
    ] = None,
    methods: Annotated[
        str | None, typer.Option(help="Methods, comma between; else those of the suite that sample.")
    ] = None,
    rounds: Annotated[
        int | None, typer.Option(help="Paired rounds: 10 at least; else as many as so many rows take.")
    ] = None,
    margin: Annotated[str, typer.Option(help="How much slower a row may get, as a share of base.")] = "5%",
    device: Annotated[str, typer.Option(help="A device ('bench ls devices').")] = "auto",
    dtype: Annotated[str, typer.Option(help="fp32, bf16 or fp16.")] = "fp32",
    size: Annotated[str | None, typer.Option(metavar="N|WxH", help="Pixels; else the suite's.")] = None,
    min_seconds: Annotated[
        float, typer.Option(min=0, help="Each stage is timed at least so long per version, in all rounds.")
    ] = 10.0,
    iterations: Annotated[int, typer.Option(min=1, help="And called at least so often.")] = 10,
    end_to_end: Annotated[
        bool, typer.Option("--end-to-end/--no-end-to-end", help="Make whole pictures, too; else the stages alone.")
    ] = True,
    threads: Annotated[
        int | None,
        typer.Option(min=1, help="Threads of the processor; else the libraries' choice.", show_default=False),
    ] = None,
    seed: Annotated[int, typer.Option(help="Of the order in the rounds, and of the pictures.")] = 0,
    out: Annotated[Path | None, typer.Option(help="For ab.json; else runs/ab.")] = None,
    offline: Offline = False,
    markdown: AsMarkdown = False,
    json_: Json = False,
) -> int:
    """Say whether one version of the code is slower than another: timed in turns on one machine, stage by stage.

    Exit status 0 not slower, 1 slower, 2 could not be measured. 'bench gate --ab' judges runs by its file, too.
    """
    asked = dict(locals())
    from .ab.command import ab_command

    return ab_command(asked)


@app.command(epilog=HISTORY_EXAMPLES)
def history(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="A folder with runs or baselines, however deep.")],
    metric: Annotated[str | None, typer.Option(help="The metric; else all that the runs have.")] = None,
    html: Annotated[Path | None, typer.Option(help="Write a page with a plot of each metric here.")] = None,
    thresholds: Annotated[Path | None, typer.Option(help="The margins beyond which a change is a step (TOML).")] = None,
    device: Device = "auto",
    weights: Weights = None,
    offline: Offline = False,
    json_: Json = False,
) -> int:
    """Show metrics over many runs, a line per method and identity, with the steps that are surely there."""
    asked = dict(locals())
    from .history_command import history_command

    return history_command(folder, asked)


@app.command(epilog=PLAN_EXAMPLES)
def plan(
    detect: Annotated[
        str, typer.Option(metavar="METRIC[:CHANGE]", help="What to see: fid:2%, fid:0.3, seconds_unet:7%.")
    ],
    from_: Annotated[
        list[Path], typer.Option("--from", metavar="RUN", help="Past runs or baselines; for seconds, of 'bench ab'.")
    ],
    n: Annotated[
        int | None, typer.Option("--n", min=2, help="What can be seen with so many pictures (or rounds).")
    ] = None,
    power: Annotated[float, typer.Option(help="How often the gate is to find it.")] = 0.8,
    thresholds: Annotated[Path | None, typer.Option(help="The thresholds of the gate (TOML).")] = None,
    device: Device = "auto",
    weights: Weights = None,
    offline: Offline = False,
    json_: Json = False,
) -> int:
    """Say from past runs how many pictures or rounds the gate takes to find a change, or what it finds with n."""
    asked = dict(locals())
    from .gating.planner_command import plan_command

    return plan_command(asked)


@app.command()
def baseline(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="The folder of a run.")],
    out: Annotated[Path, typer.Option("--out", "-o", metavar="FILE", help="The file to write.")],
    device: Device = "auto",
    weights: Weights = None,
    offline: Offline = False,
    json_: Json = False,
) -> int:
    """Keep what comparing with a run takes in one file, without its pictures, to be committed or kept by CI."""
    asked = dict(locals())
    from .gating.command import baseline_command

    return baseline_command(run, out, asked)


@app.command(epilog=PR_EXAMPLES)
def pr(
    base: Annotated[
        str | None,
        typer.Argument(
            metavar="[BASE]",
            help="A branch or commit; else what a job of GitHub or GitLab says.",
            envvar="BENCH_PR_BASE",
        ),
    ] = None,
    suite: Annotated[str, typer.Option(help="As in 'bench run'.", envvar="BENCH_PR_SUITE")] = "mini",
    methods: Annotated[str | None, typer.Option(help="As in 'bench run'.", envvar="BENCH_PR_METHODS")] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="As in 'bench run'.", envvar="BENCH_PR_LIMIT")] = None,
    thresholds: Annotated[
        Path | None, typer.Option(help="How much worse numbers may get (TOML).", envvar="BENCH_PR_THRESHOLDS")
    ] = None,
    install: Annotated[
        str | None,
        typer.Option(
            metavar="COMMAND",
            help="Installs a checkout into an environment of its own; 'none' runs it from its folder. Else pip, where "
            "there is a pyproject.toml or setup.py.",
            envvar="BENCH_PR_INSTALL",
        ),
    ] = None,
    args: Annotated[
        str | None, typer.Option(help="More of 'bench run', as one text: '--seed 1'.", envvar="BENCH_PR_ARGS")
    ] = None,
    out: Annotated[Path, typer.Option(help="For gate.md and both runs.", envvar="BENCH_PR_OUT")] = Path("runs/pr"),
    junit: Junit = None,
    github: Github = None,
    allow_unmeasured: Annotated[
        bool,
        typer.Option(
            "--allow-unmeasured",
            help="Exit status 0, too, where it could not be measured.",
            envvar="BENCH_PR_ALLOW_UNMEASURED",
        ),
    ] = False,
    offline: Offline = False,
    json_: Json = False,
) -> int:
    """Run a suite on another commit of this repository and on the working folder, here and now, and gate.

    Exit status: 0 pass, 1 a regression, 2 could not measure. --out gets gate.md for a comment, and both runs.
    """
    asked = dict(locals())
    from .ci.pull_request import pull_request_command

    return pull_request_command(base, asked)


@app.command()
def comment(
    files: Annotated[list[Path], typer.Argument(metavar="FILE...", help="Markdown, one below the other.")],
    name: Annotated[
        str, typer.Option(help="Tells comments of several jobs from each other.", envvar="BENCH_COMMENT_NAME")
    ] = "gate",
    pull_request: Annotated[
        int | None,
        typer.Option(min=1, help="Its number; else that of the job of GitHub or GitLab.", show_default=False),
    ] = None,
) -> int:
    """Write Markdown as one comment on a pull request, in place of that of the last time.

    On GitHub the job's summary has it, too. The token is GITHUB_TOKEN's or GITLAB_TOKEN's; where it may only read,
    as that of a fork's pull request, the summary is what there is.
    """
    from .ci.comment import comment_command

    return comment_command(files, name, pull_request)


@app.command(epilog=EXPLAIN_EXAMPLES)
def explain(
    base: Annotated[str, typer.Argument(metavar="BASE", help="What 'bench score --json' printed, a run, or pictures.")],
    head: Annotated[str, typer.Argument(metavar="HEAD", help="The same for the other number.")],
    metric: Annotated[str | None, typer.Option(help="The metric; else the first that both have.")] = None,
    reference: Annotated[str | None, typer.Option(help="For pictures: as in 'bench score'.")] = None,
    prompts: Annotated[Path | None, typer.Option(help="For pictures: as in 'bench score'.")] = None,
    targets: Annotated[str | None, typer.Option(help="For pictures: as in 'bench score'.")] = None,
    weights: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME=FILE", help="For pictures: a weights file, such as inception=FILE."),
    ] = None,
    device: Annotated[str, typer.Option(help="For pictures: cpu, cuda, cuda:1, mps, auto.")] = "auto",
    skip_bad: Annotated[bool, typer.Option("--skip-bad", help="For pictures: leave broken ones out.")] = False,
    offline: Offline = False,
    json_: Json = False,
) -> None:
    """Say why two numbers of one metric differ, by recomputing it with one factor changed at a time."""
    asked = dict(locals())
    from .explain import explain_command

    explain_command(asked)


def main() -> None:
    """Run the command line: one line and status 2 for an error, the traceback with ``--debug``."""
    arguments = [argument for argument in sys.argv[1:] if argument != "--debug"]
    debug = len(arguments) < len(sys.argv) - 1
    for stream in (sys.stdout, sys.stderr):  # a console that knows no arrows gets question marks
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")
    sys.exit(status(arguments, debug))


def status(arguments: list[str], debug: bool = False) -> int:
    """Run the command that ``arguments`` name and return its exit status."""
    code = 2
    try:
        code = int(app(arguments, standalone_mode=False) or 0)
    except typer.TyperException as error:
        _complain(f"{error.format_message()} (see 'bench {_command(error)}--help')")
    except BenchError as error:
        if debug:
            raise
        _complain(str(error))
    except (KeyboardInterrupt, typer.Abort):
        code = INTERRUPTED
    except BrokenPipeError:  # the reader of our output (head, less) has gone
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except Exception as error:
        if debug:
            raise
        _complain(f"{type(error).__name__}: {' '.join(str(error).split())} (a fault of bench: --debug shows where)")
    if code == INTERRUPTED:  # typer, too, makes an exit status of Ctrl-C
        print("stopped: what is finished is kept, the same command goes on from there", file=sys.stderr)
    return code


def _command(error: Any) -> str:
    context = getattr(error, "ctx", None)
    name = context.info_name if context else "bench"
    return "" if name == "bench" else f"{name} "


def _complain(text: str) -> None:
    print(f"bench: error: {text}", file=sys.stderr)


if __name__ == "__main__":
    main()
