"""The main table, its footnotes, and the rule on identities."""

from __future__ import annotations

import math
from dataclasses import replace
from io import StringIO

import pytest
from rich.console import Console

from t2ibench.core.errors import BenchError
from t2ibench.metrics.value import MetricValue
from t2ibench.reports.comparable import why_not
from t2ibench.reports.console import console_run
from t2ibench.reports.fields import Measured
from t2ibench.reports.grid import Table
from t2ibench.reports.identity import mismatch, parse
from t2ibench.reports.published import Published, load_published, published_names, published_summaries
from t2ibench.reports.schema import CodecFacts, Cost, Latency, Result, Run, RunSettings, SuiteInfo, Swept
from t2ibench.reports.table import build, main_table
from t2ibench.reports.text import clean, clip, metric_text, quantity, significant

PSNR = "psnr:rgb:n12:v1"
LPIPS = "lpips:squeeze@1a2b3c4d:fp32:n12:v1"


def suite(kind: str, table: str | None = None) -> SuiteInfo:
    return SuiteInfo(
        name="trial", version=1, kind=kind, summary="A trial", seed=0, dataset="kodak", items=12, total=24, table=table
    )


def run_of(kind: str, *results: Result, table: str | None = None) -> Run:
    return Run(suite=suite(kind, table), created="2026-02-03T10:11:12Z", environment={}, results=list(results))


def psnr(value: float = 30.0, **more: object) -> MetricValue:
    return MetricValue.model_validate({"value": value, "higher_is_better": True, "identity": PSNR, "n": 12} | more)


def codec(method: str, channels: int | None = None, **metrics: MetricValue) -> Result:
    return Result(
        method=method,
        checkpoint=None,
        n=12,
        settings=RunSettings(size="512x512", dtype="fp32", device="cpu"),
        metrics=metrics or {"psnr": psnr()},
        latency={
            "encode": Latency(median_s=0.0213, p90_s=0.03, n=12, device="cpu"),
            "decode": Latency(median_s=1.5, p90_s=1.6, n=12, device="cpu"),
        },
        codec=CodecFacts(latent_channels=channels, decoder_params=1_221_000, decoder_macs=67_400_000_000),
    )


def generated(method: str, device: str = "cuda:0", **metrics: MetricValue) -> Result:
    return Result(
        method=method,
        checkpoint="some/model",
        n=1000,
        settings=RunSettings(scheduler="ddim", steps=50, guidance=7.5, size="512x512", dtype="bf16", device=device),
        metrics=metrics,
        latency={"end_to_end": Latency(median_s=5.02, p90_s=5.1, n=10, device=device)},
        cost=Cost(params=1_066_000_000),
    )


def texts(table: Table, row: int) -> dict[str, str]:
    return {column.key: cell.full for column, cell in zip(table.columns, table.rows[row].cells, strict=True)}


def notes_at(table: Table, row: int, key: str) -> list[str]:
    cell = table.rows[row].cells[[column.key for column in table.columns].index(key)]
    return [table.footnotes[number - 1] for number in cell.notes]


def notes_over(table: Table, key: str) -> list[str]:
    column = next(column for column in table.columns if column.key == key)
    return [table.footnotes[number - 1] for number in column.notes]


def test_codec_table_has_the_columns_of_the_decoder_table() -> None:
    run = run_of("codec", codec("taef2", 32, psnr=psnr(38.18125, interval=(37.4, 38.96))))
    assert texts(build(run), 0) == {
        "method": "taef2",
        "latent_channels": "32",
        "decoder_params": "1.22",
        "decoder_macs": "67.4",
        "psnr": "38.18 ±0.78",
        "encode": "0.0213",
        "decode": "1.50",
        "n": "12",
    }


def test_published_rows_stand_below_as_printed_and_are_marked() -> None:
    table = build(run_of("codec", codec("taef2", 32), table="mobilediffusion-decoders"))
    assert [row.status for row in table.rows] == ["measured", "published", "published", "published"]
    shown = texts(table, 1)
    assert [shown[key] for key in ("method", "decoder_params", "psnr", "ssim", "lpips")] == [
        "SD",
        "49.5",
        "26.7",
        "0.76",
        "0.037",
    ]
    assert texts(table, 2)["psnr"] == "30.0"
    assert "arXiv:2311.16567" in notes_at(table, 1, "method")[0]
    assert "not checked against the paper" in notes_at(table, 1, "method")[0]
    assert notes_at(table, 1, "psnr") == [
        "Not comparable with the measured rows: which pictures were measured is not stated"
    ]
    assert "network and version of LPIPS" in notes_at(table, 3, "lpips")[0]
    assert notes_at(table, 1, "decoder_params") == []


def test_unequal_latent_channels_are_said_over_their_column() -> None:
    assert (
        "4 and 32 channels" in notes_over(build(run_of("codec", codec("a", 4), codec("b", 32))), "latent_channels")[0]
    )
    assert notes_over(build(run_of("codec", codec("a", 4), codec("b", 4), codec("jpeg"))), "latent_channels") == []


def test_empty_cells_give_their_reason_once() -> None:
    missing = MetricValue(value=None, reason="weights of lpips-squeeze not found", higher_is_better=False)
    table = build(run_of("codec", codec("a", 4, lpips=missing), codec("b", 4, lpips=missing), codec("c", 4)))
    assert texts(table, 0)["lpips"] == "–"
    assert notes_at(table, 0, "lpips") == notes_at(table, 1, "lpips") == ["weights of lpips-squeeze not found"]
    assert table.footnotes.count("weights of lpips-squeeze not found") == 1
    assert "not asked for" in notes_at(table, 2, "lpips")[0]


def test_notes_of_values_become_footnotes() -> None:
    table = build(run_of("codec", codec("a", 4, psnr=psnr(note="not the official file"))))
    assert notes_at(table, 0, "psnr") == ["not the official file"]


def test_generation_table_has_settings_arrows_and_cost() -> None:
    fid = MetricValue(value=24.2049, n=1000, identity="fid:i@1:n1000:ref-a:v1", higher_is_better=False)
    clip_score = MetricValue(value=31.4159, n=1000, identity="c:n1000", higher_is_better=True)
    table = build(run_of("generate", generated("sd15", fid=fid, clip_score_vit_b_32_x100=clip_score)))
    assert texts(table, 0) == {
        "method": "sd15",
        "scheduler": "ddim",
        "steps": "50",
        "guidance": "7.5",
        "size": "512x512",
        "dtype": "bf16",
        "fid": "24.20",
        "clip_score_vit_b_32_x100": "31.42",
        "end_to_end": "5.02",
        "params": "1,066.0",
        "n": "1,000",
    }
    headers = [column.header for column in table.columns]
    assert {"FID ↓", "CLIP score (vit-b-32-x100) ↑", "Time (s/image)"} <= set(headers)


def test_settings_that_no_row_has_get_no_column() -> None:
    table = build(run_of("generate", codec("folder:phone")))
    assert not {"scheduler", "steps", "guidance", "params"} & {column.key for column in table.columns}


def test_times_on_different_devices_are_not_compared() -> None:
    table = build(run_of("generate", generated("a", "cpu", fid=psnr()), generated("b", "cuda:0", fid=psnr())))
    assert "cpu, cuda:0" in notes_over(table, "end_to_end")[0]


def test_rows_of_another_identity_are_said_over_their_column() -> None:
    other = psnr(identity="psnr:luma:n12:v1")
    table = build(run_of("codec", codec("a", 4), codec("b", 4), codec("c", 4, psnr=other)))
    (note,) = notes_over(table, "psnr")
    assert note.startswith("Not one quantity")
    assert "psnr:rgb:v1 (a, b)" in note
    assert "psnr:luma:v1 (c)" in note


@pytest.mark.parametrize(
    ("left", "right", "says"),
    [
        ("fid:i@1:fp32:n5000:ref-a:v1", "fid:i@1:fp32:n5000:ref-a:v1", None),
        ("fid:i@1:fp32:n5000:ref-a:v1", "fid:i@2:fp32:n5000:ref-a:v1", "Not one quantity"),
        ("fid:i@1:fp32:n5000:ref-a:v1", "fid:i@1:fp32:n92:ref-b:v1", "From different numbers of pictures"),
        ("fid:i@1:fp32:n5000:ref-a:v1", "fid:i@1:fp32:n5000:ref-b:v1", "Measured against different references"),
        ("psnr:n12", "psnr", "From different numbers of pictures"),
    ],
)
def test_identity_rule(left: str, right: str, says: str | None) -> None:
    found = mismatch({"a": left, "b": right})
    assert found is None if says is None else found is not None and found.startswith(says)


def test_identity_parts() -> None:
    parts = parse("fid:i@1:gen=as-is,ref=short512:fp32:n5000:ref-9f3c12ab:v1")
    assert parts == ("fid:i@1:gen=as-is,ref=short512:fp32:v1", "n5000", "ref-9f3c12ab")


def test_frame_holds_numbers_and_says_what_is_published() -> None:
    frame = main_table(run_of("codec", codec("taef2", 32), codec("jpeg"), table="mobilediffusion-decoders"))
    assert list(frame["status"]) == ["measured"] * 2 + ["published"] * 3
    assert frame["PSNR (dB) ↑"].tolist()[2:] == [26.7, 30.0, 30.2]
    assert math.isnan(frame["SSIM ↑"][0])
    assert frame["Latent channels"].dtype.kind == "f"
    assert len(frame.attrs["footnotes"]) >= 3


@pytest.mark.parametrize("width", [80, 100, 120])
def test_console_table_fits_the_terminal(width: int) -> None:
    values = {key: psnr(0.8123, interval=(0.80, 0.82)) for key in ("psnr", "ssim", "lpips")}
    run = run_of("codec", codec("vae[a=b]", 4, **values), table="mobilediffusion-decoders")
    console = Console(file=StringIO(), width=width, color_system=None)
    for part in console_run(run, width):
        console.print(part)
    printed = console.file.getvalue()  # type: ignore[attr-defined]
    lines = printed.splitlines()
    assert max(map(len, lines)) <= width
    assert "vae[a=b]" in printed
    assert "MobileDiffusion" in printed
    assert "¹ Latents" in printed
    assert not any("…" in line for line in lines)


def test_published_tables_load_and_use_columns_that_exist() -> None:
    assert published_names() == list(published_summaries())
    for name in published_names():
        table = load_published(name)
        assert table.source
        assert table.url.startswith("https://")
        assert table.rows
    decoders = load_published("mobilediffusion-decoders")
    shown = build(run_of("codec", codec("a", 4), table="mobilediffusion-decoders"))
    units = {column.key: column.unit for column in shown.columns}
    assert {key: column.unit for key, column in decoders.columns.items()} == {
        key: units[key] for key in decoders.columns
    }


def test_unknown_published_table_is_named_with_a_near_one() -> None:
    with pytest.raises(BenchError, match="did you mean 'mobilediffusion-decoders'"):
        load_published("mobilediffusion-decoder")


def test_published_results_are_comparable_only_on_their_own_dataset() -> None:
    data = load_published("mobilediffusion-decoders").model_dump()
    data["protocol"]["dataset"] = "kodak"
    known = Published.model_validate(data)
    run = run_of("codec", codec("taef2"))
    here = Measured(run.results[0], run, "taef2")
    elsewhere = replace(here, run=run.model_copy(update={"suite": run.suite.model_copy(update={"dataset": "div2k"})}))
    assert why_not(known, "psnr", here) is None
    assert why_not(known, "psnr", elsewhere) == "measured on kodak, not div2k"
    assert why_not(known, "lpips", here) == "the network and version of LPIPS are not stated"


def test_published_values_need_a_column_and_a_number() -> None:
    data = load_published("mobilediffusion-decoders").model_dump()
    data["rows"][0]["values"] = {"fid": "1.0"}
    with pytest.raises(ValueError, match="without a column: fid"):
        Published.model_validate(data)
    data["rows"][0]["values"] = {"psnr": "about 30"}
    with pytest.raises(ValueError):
        Published.model_validate(data)


@pytest.mark.parametrize(
    ("value", "digits", "text"),
    [(0.0, 3, "0.00"), (0.00123, 3, "0.00123"), (1234567.0, 3, "1,234,567"), (math.inf, 3, "∞"), (-1.5, 2, "-1.5")],
)
def test_significant_digits(value: float, digits: int, text: str) -> None:
    assert significant(value, digits) == text


def test_metric_numbers_follow_their_family() -> None:
    assert metric_text("psnr", math.inf) == "∞"
    assert metric_text("lpips_vgg", 0.12345) == "0.1235"
    assert metric_text("kid", 0.0012345) == "0.00123"
    assert quantity("lpips_vgg").name == "LPIPS (vgg)"
    assert quantity("my_metric").name == "My metric"


def test_clean_keeps_words_and_drops_what_moves_others() -> None:
    assert clean("a\x1b[31m\n b\u202e c\x00") == "a[31m b c"
    assert clip("abcdef", 4) == "abc…"


def test_a_sweep_has_a_column_of_its_values_unless_its_setting_has_one() -> None:
    rows = [generated(method) for method in ("plain", "a[until=0.2]", "a[until=1]")]
    for row, value in zip(rows[1:], (0.2, 1.0), strict=True):
        row.swept = Swept(setting="until", value=value, method="a[until={}]")
    table = build(run_of("generate", *rows))
    assert [texts(table, place).get("until") for place in range(3)] == ["–", "0.2", "1"]
    assert [column.title for column in table.columns[:3]] == ["Method", "until", "Scheduler"]
    for row in rows[1:]:
        row.swept = Swept(setting="steps", value=50, method="a")
    assert "Steps" in (titles := [column.title for column in build(run_of("generate", *rows)).columns])
    assert "steps" not in titles
