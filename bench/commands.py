"""What the commands do, behind the command line; imported only when one is run."""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..core.errors import BenchError, printable
from ..core.registry import suggest
from ..core.weights import WeightsFinder
from ..reports.schema import Run, load_run
from .options import Options
from .suites import Suite, find_suite, parse_change

if TYPE_CHECKING:
    from ..reports.gallery import Embed


def run_command(**asked: Any) -> int:
    """``bench run``; see there for the options. Returns the exit status."""
    from .gating.command import After

    quiet_libraries()
    exact_arithmetic()
    # A CI runner ends a job by SIGTERM: that leaves a run to go on with, as Ctrl-C does.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    if asked["offline"]:
        os.environ["HF_HUB_OFFLINE"] = "1"
    suite = find_suite(asked["suite"], dict(parse_change(text) for text in asked["set_"] or []))
    options = _options(asked, suite)
    directory = asked["out"] or Path("runs") / suite.name
    after = After(asked)
    if asked["dry_run"]:
        from .dry_run import describe

        describe(options, directory, asked["json_"])
        return 0
    from .run import run_suite

    finished = run_suite(options, directory, asked["fresh"], _say, asked["embed"])
    if not asked["json_"]:
        _print_run(finished.run)
    elif after.base is None:
        print(finished.run.to_json(), end="")
    _say(f"report: {_sized(finished.html)}; also {finished.markdown.name}, run.json, scores.parquet")
    return after(directory)


def report_command(
    runs: Sequence[Path],
    html: Path | None,
    markdown: Path | None,
    embed: Embed,
    link: str | None,
    offline: bool,
    as_json: bool,
) -> None:
    """``bench report``; the report of several runs is that of ``bench compare``."""
    from .gating.command import check_link, compare_command
    from .saved import rewrite

    check_link(link)
    if len(runs) > 1 and (html or markdown):
        asked = {"html": html, "markdown": markdown, "embed": embed, "link": link, "json_": as_json}
        compare_command(runs[0], runs[1:], {**asked, "device": "auto", "weights": None, "offline": offline})
        return
    found = [load_run(path) for path in runs]
    if as_json:
        texts = [run.to_json().strip() for run in found]
        print(texts[0] if len(texts) == 1 else f"[{', '.join(texts)}]")
    for run, path in zip(found, runs, strict=True):
        if not as_json:
            if len(runs) > 1:
                print(printable(str(path)))
            _print_run(run)
        if html or markdown or not as_json:
            for written in rewrite(run, path, html, markdown, embed, link):
                _say(f"report: {_sized(written)}")


def table_command(name: str, runs: Sequence[Path], forms: Sequence[str]) -> None:
    """``bench table``."""
    from .tables import print_table

    if len(forms) > 1:
        raise BenchError(f"a table has one form at a time: leave out all but one of --{', --'.join(forms)}")
    quiet_libraries()
    print_table(name, runs, forms[0] if forms else None)


def fetch_command(names: Sequence[str], from_: Path | None, root: Path | None, offline: bool, as_json: bool) -> None:
    """``bench fetch``."""
    from ..datasets.catalog import DATASETS
    from ..datasets.dataset import data_root
    from ..datasets.fetch import fetch, missing
    from .progress import Reporter, task

    found: dict[str, list[str]] = {}
    for name in names:
        with task(f"fetch {name} (MB)", 0) as report:

            def megabytes(done: int, total: int, report: Reporter = report) -> None:
                report(done // 1_000_000, total // 1_000_000)

            paths = fetch(name, data_root(root), from_dir=from_, offline=offline, progress=megabytes)
        for archive in missing(DATASETS.get(name), data_root(root)):
            where = archive.place(data_root(root))
            _say(f"{name}: still missing {where} ({archive.files:,} files): not all of it is in '{from_}'")
        found[name] = [str(path) for path in paths]
    if as_json:
        print(json.dumps(found, indent=2))
    else:
        for name, files in found.items():
            print(f"{name}: {', '.join(files)}")


def _options(asked: dict[str, Any], suite: Suite) -> Options:
    from ..adapters.spec import split_list
    from ..metrics import METRICS
    from .imported import imported_of
    from .places import places_of, pytorch_device

    metrics = None if asked["metrics"] is None else tuple(split_list(asked["metrics"]))
    if metrics == ():
        raise BenchError("--metrics is empty: name a metric, such as psnr")
    for name in metrics or suite.metrics:
        METRICS.target(name)
    imported, methods = imported_of(asked)
    places, notes = places_of("auto" if imported else asked["device"], asked["dtype"])
    return Options(
        suite=suite,
        methods=methods,
        imported=imported,
        limit=asked["limit"],
        seed=asked["seed"],
        device=pytorch_device(places),
        dtype=next((place.dtype for place in places if place.is_pytorch), "fp32"),
        places=tuple(places),
        place_notes=tuple(notes),
        force_export=asked["force_export"],
        batch_size=asked["batch_size"],
        metrics=metrics,
        images=asked["images"],
        prompts=asked["prompts"],
        reference=asked["reference"],
        data_root=asked["data_root"],
        weights=finder(asked["weights"], asked["offline"]),
        strict=asked["strict"],
    )


def finder(named: Sequence[str] | None, offline: bool) -> WeightsFinder:
    """Return what finds weights, with the files of ``--weights NAME=FILE`` first.

    Raises BenchError for a name that nothing asks for, or a file that is not there.
    """
    from .progress import lines

    return WeightsFinder(
        dict(weights_file(text) for text in named or []), offline, lines("fetch weights (MB)", 1_000_000)
    )


def weights_file(text: str) -> tuple[str, Path]:
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
    import torch

    from ..adapters.checkpoints import torch_device

    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"
    return str(torch_device(name))


def dtype_of(name: str) -> str:
    from ..adapters.checkpoints import torch_dtype

    torch_dtype(name)
    return name


def quiet_libraries() -> None:
    # Their warnings and bars would bury ours; what matters of them comes back as errors and notes.
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
    # On NVIDIA cards convolutions in "fp32" are TF32 by default, and may differ from one call to the next.
    import torch

    torch.backends.cudnn.allow_tf32 = False
    torch.backends.cuda.matmul.allow_tf32 = False
    torch.backends.cudnn.benchmark = False
    torch.backends.cudnn.deterministic = True


def _say(text: str) -> None:
    print(printable(text), file=sys.stderr, flush=True)


def _sized(file: Path) -> str:
    """A file with its size: what a report weighs decides how it can be sent."""
    size = file.stat().st_size
    return f"{file} ({size / 1e6:.1f} MB)" if size >= 50_000 else f"{file} ({size / 1e3:.0f} kB)"


def _print_run(run: Run) -> None:
    from rich.console import Console

    from ..reports.console import console_table, footnotes

    console = Console(width=None if sys.stdout.isatty() else 160)
    console.print(console_table(run, console.width))
    console.print(footnotes(run))
