"""The published tables: figures as they are printed, which of them are only recalled, and a run beside each."""

from __future__ import annotations

from typing import Any

import pytest

from t2ibench.adapters import ADAPTERS
from t2ibench.metrics import METRICS
from t2ibench.metrics.value import MetricValue
from t2ibench.reports.comparable import reproduction, verdict, why_not
from t2ibench.reports.fields import Measured
from t2ibench.reports.formats import FORMATS, as_json
from t2ibench.reports.paper import paper_table, published_table
from t2ibench.reports.published import Ours, Published, load_published, published_names, published_summaries
from t2ibench.reports.schema import Cost, Result, Run, RunSettings, SuiteInfo

SD15 = "stable-diffusion-v1-5/stable-diffusion-v1-5"

FIGURES = {
    "snapfusion-coco5k": ["8 31.7 0.32", "8 25.6 0.32", "8 26.9 0.30", "8 24.2 0.30"],
    "snapfusion-architecture": [
        "320 2 0 2 2", "640 2 2 2 2", "1280 2 2 2 1", "1280 1 1 7 4", "1280 3 6 3 2", "640 3 3 3 3", "320 3 0 3 3"
    ],
    "snapfusion-curves": ["1.0..10.0 30000 0.004..0.010", "1.0..10.5 6000 0.002..0.007"],
    "mobilediffusion-unet": ["860 392", "848 285", "386 182", "278 153"],
    "mobilediffusion-unet-steps": [
        "- - 12.50 0.325", "+26 - - -", "+15 - - -", "- - 17.87 0.302", "- -5 - -", "- - 12.31 -", "- -10 12.58 -",
        "- -10 - -", "+19 -15 - -",
    ],
    "mobilediffusion-coco30k": [
        "50 860 9.62 0.304 -", "8 848 13.5 0.308 -", "1 860 12.78 0.317 -", "50 386 8.65 0.325 27.30",
        "8 386 9.01 0.321 -", "1 386 11.67 0.320 26.65",
    ],
    "multidiffusion-regions": [
        "0.26±0.10 - - -", "0.16±0.09 - - -", "- 15.8 69.3 24.9", "- 11.7 23.6 31.8", "- 16.8 19.8 30.0",
        "- 33.3 17.2 31.5", "- 21.2 36.2 29.4", "- 52.1 15.0 -",
    ],
    "panorama": ["0.72±0.08 2.96±0.24 31.77±2.14", "0.58 1.39 31.77", "0.59 1.38 32.51"],
    "unitune": ["72 83 60 4.14 3.87 4.21", "- - - 3.90 3.54 3.89"],
    "pie-bench": [
        "69.43 17.87 208.80 219.88 71.14 25.01 11.55", "13.44 27.03 60.67 35.86 84.11 24.75 137.54",
        "11.65 27.22 54.55 32.86 84.76 25.02 19.94", "28.38 22.17 106.62 86.97 79.67 23.96 11.55",
        "28.22 22.28 113.46 83.51 79.05 24.95 11.55", "24.29 22.46 106.06 80.45 79.68 25.41 -",
    ],
    "controlnet-ade20k": ["0.58±0.10", "0.21±0.15", "0.31±0.09", "0.26±0.16", "0.32±0.12", "0.35±0.14"],
    "controlnet-quality": [
        "6.09 0.26 6.32", "26.28 0.17 5.14", "25.35 0.18 5.15", "19.74 0.20 5.77", "17.92 0.26 6.30", "15.27 0.26 6.31"
    ],
    "t2i-adapter": [
        "23.44 0.2314", "18.71 0.2274", "19.36 0.2287", "21.21 0.2129", "24.68 0.2648", "16.78 0.2652", "17.36 0.2666",
        "18.32 -", "22.66 -",
    ],
    "few-step-coco5k": [
        "25 20.1 0.318 0.88", "8 31.7 0.320 0.34", "1 37.2 0.275 -", "2 26.0 0.297 -", "4 26.4 0.300 -",
        "8 24.2 0.300 -", "1 23.4 0.304 -", "1 22.4 0.309 -", "1 22.5 0.311 -", "4 22.1 0.307 -", "1 19.7 0.326 -",
    ],
    "few-step-coco30k": [
        "8.8 -", "13.5 0.322", "12.78 -", "11.49 -", "14.98 0.320", "16.59 0.312", "9.09 -", "10.39 -", "7.27 -",
        "6.95 -", "12.63 -", "12.24 -",
    ],
    "bk-sdm": [
        "- 13.05 36.76 0.2958", "580 15.76 - 0.2878", "580 14.81 - 0.2883", "490 16.98 - 0.2677", "490 17.05 - 0.2734",
        "330 17.12 - 0.2653", "330 17.53 - 0.2690",
    ],
    "mlperf-sdxl": ["23.01085758..23.95007626 31.68631873..31.81331801"],
}  # fmt: skip

RECALLED = {
    ("architecture", "SD1.5 UNet", "macs"),
    ("architecture", "SnapFusion UNet", "macs"),
    ("architecture", "MobileDiffusion-Lite UNet", "params"),
    ("architecture", "MobileDiffusion-Lite UNet", "macs"),
    ("mobilediffusion-unet", "SD1.5", "unet_macs"),
    ("mobilediffusion-unet", "SnapFusion", "unet_macs"),
    ("mobilediffusion-unet", "MobileDiffusion-Lite", "unet_params"),
    ("mobilediffusion-unet", "MobileDiffusion-Lite", "unet_macs"),
    ("mobilediffusion-coco30k", "MobileDiffusion, distilled", "fid"),
    ("mobilediffusion-coco30k", "MobileDiffusion, distilled", "clip_score"),
    ("multidiffusion-regions", "MultiDiffusion", "region_iou"),
    ("multidiffusion-regions", "MultiDiffusion without bootstrapping", "region_iou"),
    ("pie-bench", "PnP Inversion + Plug-and-Play", "mse_x10000"),
    ("pie-bench", "PnP Inversion + Plug-and-Play", "clip_score_x100_clamped"),
}

WITH_RUNS = [name for name in published_names() if load_published(name).measured]


def full_size(published: Published, **more: Any) -> Measured:
    """A row that meets whatever the table states, with a value for every metric of its template."""
    assert published.measured
    protocol = published.protocol
    values = {}
    for key in published.measured.columns:
        if key in METRICS:
            stated = published.conditions(key).identity if key in published.columns else []
            identity = ":".join([key, *stated, f"n{protocol.n or 5000}", "v1"])
            values[key] = MetricValue(value=0.3, n=protocol.n or 5000, identity=identity, higher_is_better=True)
    settings = RunSettings(
        scheduler=protocol.scheduler or "ddim",
        steps=protocol.steps or 50,
        guidance=protocol.guidance or 7.5,
        size=protocol.size or "512x512",
        dtype="fp16",
        device="cuda:0",
    )
    method = more.pop("method", next(iter(published.measured.methods), "sd15"))
    checkpoint = more.pop("checkpoint", next(iter(protocol.weights), SD15))
    more.setdefault("cost", Cost(params=1_066_000_000, denoiser_params=859_520_964, forwards={"unet": 102}))
    found = Result(
        method=method,
        checkpoint=checkpoint,
        n=5000,
        settings=settings,
        metrics=values | more.pop("metrics", {}),
        **more,
    )
    suite = SuiteInfo(
        name="s", version=1, kind="generate", summary="", seed=0, dataset=protocol.dataset or "x", items=1, total=1
    )
    run = Run(suite=suite, created="2026-02-03T10:11:12Z", environment={"accelerator": "NVIDIA A100"}, results=[found])
    return Measured(found, run, method, "trial")


@pytest.mark.parametrize("name", FIGURES)
def test_figures_are_as_they_are_printed(name: str) -> None:
    table = load_published(name)
    assert [" ".join(row.values.get(key, "-") for key in table.columns) for row in table.rows] == FIGURES[name]


def test_what_is_only_recalled_is_known() -> None:
    tables = {name: load_published(name) for name in ("architecture", *FIGURES)}
    cells = {(name, row.method, key) for name, table in tables.items() for row in table.rows for key in row.values
             if table.sureness(row, key) == "recalled"}  # fmt: skip
    assert cells == RECALLED


def test_every_table_has_a_line_of_its_own() -> None:
    lines = published_summaries()
    assert set(FIGURES) <= set(lines)
    assert len(set(lines.values())) == len(lines)
    assert all(line and "\n" not in line and len(line) <= 100 for line in lines.values())


@pytest.mark.parametrize("name", published_names())
def test_every_table_says_where_it_is_from(name: str) -> None:
    table = load_published(name)
    assert table.source
    assert table.url.startswith("https://")
    assert table.protocol.text.endswith(".")
    assert all(set(row.sure) <= set(row.values) for row in table.rows), "sureness of what is not there"
    assert {key for row in table.rows for key in row.values} == set(table.columns), "a column without numbers"
    spreads = {key for row in table.rows for key, text in row.values.items() if "±" in text}
    assert spreads == {key for key, column in table.columns.items() if column.spread}
    named = {row.ours.method for row in table.rows if row.ours} | set(table.measured.methods if table.measured else ())
    assert named <= set(ADAPTERS.names())


@pytest.mark.parametrize("name", WITH_RUNS)
def test_a_run_stands_beside_every_table_in_every_form(name: str) -> None:
    published = load_published(name)
    laid = paper_table(published, [full_size(published)])
    assert [row.status for row in laid.rows] == ["measured"] + ["published"] * len(published.rows)
    shown = {column.key for column in laid.columns}
    assert published.measured
    assert {key for key in published.columns if key in published.measured.columns} <= shown
    assert any(not cell.empty for cell in laid.rows[0].cells[1:])
    for form in FORMATS.values():
        assert published.rows[0].method.split(",")[0] in form(laid)
    assert as_json(laid, {})


@pytest.mark.parametrize("name", published_names())
def test_pdftex_knows_all_that_published_tables_have(name: str) -> None:
    text = FORMATS["latex"](published_table(load_published(name)))
    assert {char for char in text if ord(char) > 0x17F} == set()


@pytest.mark.parametrize(
    ("name", "key", "says"),
    [
        ("snapfusion-coco5k", "fid", "how photos are cropped"),
        ("snapfusion-coco5k", "clip_score", "which caption"),
        ("mobilediffusion-coco30k", "fid", "30,000 captions of COCO val2014 whose list is not known"),
        ("mobilediffusion-coco30k", "clip_score", "ViT-B/16, as recalled"),
        ("multidiffusion-regions", "region_iou", "1,000 photos of COCO"),
        ("panorama", "intra_lpips", "1,000 panoramas of 14 prompts"),
        ("pie-bench", "background_psnr", "not known for sure"),
        ("controlnet-quality", "fid", "maps that runs here do not have"),
        ("t2i-adapter", "clip_score", "COCO's validation set"),
        ("few-step-coco5k", "clip_score", "which CLIP model"),
        ("few-step-coco5k", "seconds_a100", "precision and batch size"),
        ("few-step-coco30k", "fid", "differ between the papers"),
        ("bk-sdm", "fid", "the authors' own list"),
    ],
)
def test_what_a_paper_leaves_open_makes_its_numbers_incomparable(name: str, key: str, says: str) -> None:
    published = load_published(name)
    status, reason = verdict(published, key, [full_size(published)])
    assert status == "not comparable"
    assert says in str(reason)


def test_mlperfs_ranges_can_be_compared_and_not_reproduced() -> None:
    published = load_published("mlperf-sdxl")
    row = full_size(published, method="diffusers:stabilityai/stable-diffusion-xl-base-1.0")
    for key, inside in (("fid", 23.5), ("clip_score_vit_b_32_x100", 31.7)):
        row.result.metrics[key].value = inside
        assert why_not(published, key, row) is None
        assert reproduction(published, key, row).status == "measured", "the latents are not MLPerf's"
    published.protocol.unmet = None
    assert reproduction(published, "fid", row).status == "reproduced"
    row.result.metrics["fid"].value = 24.0
    assert reproduction(published, "fid", row).status == "measured"
    own = full_size(published, metrics={"fid": row.result.metrics["fid"].model_copy(update={"n": 4999})})
    assert why_not(published, "fid", own) == "over 5,000 pictures, not 4,999"


def test_counts_of_networks_reproduce_what_is_printed() -> None:
    published = load_published("mobilediffusion-unet")
    cost = Cost(denoiser_params=859_520_964, macs_per_forward=401_600_000_000, forwards={"unet": 102})
    sd = full_size(published, cost=cost, checkpoint=SD15)
    assert reproduction(published, "unet_params", sd).status == "reproduced"
    assert reproduction(published, "unet_macs", sd) == ("measured", None), "392 is only recalled"
    small = Cost(denoiser_params=759_327_364, macs_per_forward=1, forwards={"unet": 16})
    status, reason = reproduction(
        published, "unet_params", full_size(published, method="snapfusion[checkpoint=x]", cost=small)
    )
    assert status == "measured"
    assert str(reason).startswith("Does not reproduce 'SnapFusion', published as 848")


def test_settings_are_no_results() -> None:
    published = load_published("few-step-coco5k")
    row = full_size(published)
    row.result.settings.steps = 8
    assert verdict(published, "steps", [row]) == ("published", None)
    published.rows[0].ours = Ours(method="sd15")
    published.rows[0].values["steps"] = "8"
    assert reproduction(published, "steps", row) == ("measured", None)
    assert verdict(load_published("unitune"), "preferred", [full_size(load_published("unitune"))]) == (
        "published",
        None,
    )
