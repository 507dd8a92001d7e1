"""``bench table NAME`` with what ``bench latency`` measured: components, devices, totals and overheads."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from t2ibench.bench.latency.results import composed, timing
from t2ibench.reports.latency import LatencyRow, LatencyRun, Machine, Memory, Protocol, StageResult, composition
from t2ibench.reports.latency_run import as_run

Bench = Callable[..., tuple[int, str, str]]

BASE = "sd15[checkpoint=random:sd15,scheduler=ddim,steps=50]"
PLUGIN = f"mediapipe-plugin[condition=canny,checkpoint=random:plugin,base={BASE}]"
SNAPFUSION = "snapfusion[checkpoint=random:snapfusion]"
STEADY = [1.0, 1.01, 0.99, 1.0, 1.02, 0.98, 1.0, 1.0]


def row(method: str, scale: float = 1.0, device: str = "cpu", **stages: tuple[int, float, int]) -> LatencyRow:
    """A row whose stages run so often, take so many seconds, and have so many parameters."""
    made = {
        name: StageResult(
            params=params, macs=7, forwards=forwards, timing=timing([[scale * seconds * value] for value in STEADY])
        )
        for name, (forwards, seconds, params) in stages.items()
    }
    settings = {"scheduler": "ddim", "steps": 50, "guidance": 7.5}
    about: dict[str, Any] = {"threads": 2} | ({} if device == "cpu" else {"accelerator": device})
    return LatencyRow(
        method=method, device=device, dtype="bf16", fingerprint="x", settings=settings, about=about, memory=Memory(),
        checkpoint="random:sd15", stages=made, composed=composed(made.values()), composition=composition(made),
    )  # fmt: skip


def rows(device: str = "cpu") -> list[LatencyRow]:
    text, decoder = (1, 0.1, 123_060_480), (1, 6.0, 49_490_179)
    return [
        row(BASE, device=device, text_encoder=text, unet=(100, 3.0, 859_520_964), decoder=decoder),
        row(
            PLUGIN, 1.3, device, text_encoder=text, control=(1, 0.5, 5_949_720), unet=(100, 3.0, 859_520_964),
            decoder=decoder,
        ),
        row(SNAPFUSION, device=device, text_encoder=text, unet=(16, 2.3, 758_000_000), decoder=(1, 1.6, 12_390_000)),
    ]  # fmt: skip


@pytest.fixture
def saved(tmp_path: Path) -> Callable[..., Path]:
    def save(found: list[LatencyRow], name: str = "latency") -> Path:
        run = LatencyRun(
            created="2026-02-03T10:11:12Z", protocol=Protocol(), environment={"processor": "AMD EPYC"},
            machine=Machine(cores=2), rows=found,
        )  # fmt: skip
        (tmp_path / name).mkdir(exist_ok=True)
        (tmp_path / name / "latency.json").write_text(run.to_json())
        return tmp_path / name

    return save


def cells(bench: Bench, *arguments: object) -> dict[str, dict[str, Any]]:
    status, out, err = bench("table", *arguments, "--json")
    assert status == 0, err
    return {found["method"]: found["cells"] for found in json.loads(out)["rows"]}


def test_components_stand_above_the_published_ones(bench: Bench, saved: Callable[..., Path]) -> None:
    found = cells(bench, "snapfusion-latency", saved(rows()))
    assert list(found) == [BASE, PLUGIN, SNAPFUSION, "SD-v1.5", "SnapFusion"]
    ours = found[SNAPFUSION]
    assert ours["unet_ms"]["value"] == pytest.approx(2300) and ours["unet_params"]["value"] == 758
    assert ours["decoder_ms"]["value"] == pytest.approx(1600) and ours["decoder_params"]["value"] == 12.39
    assert ours["total_ms"]["value"] == pytest.approx(1000 * (0.1 + 16 * 2.3 + 1.6))
    assert ours["device"]["value"] == "AMD EPYC" and ours["unet_forwards"]["value"] == 16
    theirs = found["SD-v1.5"]["unet_ms"]
    assert theirs["value"] == 1700 and theirs["status"] == "not comparable"
    assert "on iPhone 14 Pro, not AMD EPYC" in theirs["reason"]
    assert found[BASE]["text_encoder_params"]["status"] == "reproduced"  # 123 M counted, 123 printed


def test_a_phone_of_the_paper_is_comparable_and_another_one_is_not(bench: Bench, saved: Callable[..., Path]) -> None:
    found = cells(bench, "snapfusion-phones", saved(rows("iPhone 13 Pro Max")))
    assert found[SNAPFUSION]["device"]["value"] == "iPhone 13 Pro Max"
    assert found["iPhone 13 Pro Max"]["unet_ms"]["status"] == "published"
    assert found["iPhone 14 Pro"]["unet_ms"]["status"] == "not comparable"
    assert "on iPhone 14 Pro, not iPhone 13 Pro Max" in found["iPhone 14 Pro"]["unet_ms"]["reason"]


def test_the_plugin_of_each_device_stands_beside_the_phones(bench: Bench, saved: Callable[..., Path]) -> None:
    phone = rows("Google Pixel 7")[1].model_copy(update={"dtype": "fp16"})
    status, out, err = bench("table", "mediapipe-plugin-latency", saved(rows()), saved([phone], "phone"), "--json")
    assert status == 0, err
    first, second, theirs = (found["cells"] for found in json.loads(out)["rows"])
    assert [found["device"]["value"] for found in (first, second)] == ["AMD EPYC", "Google Pixel 7"]
    assert first["control_ms"]["value"] == pytest.approx(650) and theirs["pixel_7"]["value"] == 50


def test_the_overhead_of_a_composed_row_is_of_its_own_stages(bench: Bench, saved: Callable[..., Path]) -> None:
    # Its process was 30 % slower than that of its base: what the plugin adds is 0.5 of 306.1 s all the same.
    for name in ("mediapipe-plugin", "mediapipe-plugin-latency"):
        assert cells(bench, name, saved(rows()))[PLUGIN]["overhead"]["value"] == pytest.approx(100 * 0.5 / 306.1)
    whole = [
        found.model_copy(update={"end_to_end": timing([[seconds]] * 8)})
        for found, seconds in zip(rows(), (300.0, 315.0, 40.0), strict=True)
    ]
    found = cells(bench, "mediapipe-plugin", saved(whole))
    assert found[PLUGIN]["overhead"]["value"] == pytest.approx(5) and found[PLUGIN]["end_to_end"]["value"] == 315
    assert found["Base + MediaPipe plugin"]["overhead_v100"]["value"] == 0.2


def test_a_folder_with_both_gives_what_the_table_is_made_for(bench: Bench, saved: Callable[..., Path]) -> None:
    folder = saved(rows())
    (folder / "run.json").write_text("{}")
    assert SNAPFUSION in cells(bench, "snapfusion-latency", folder)
    assert bench("table", "mediapipe-plugin", folder)[0] == 2  # run.json comes first, and is broken
    status, _, err = bench("table", "snapfusion-latency", folder / "nowhere")
    assert status == 2 and "no latencies at" in err and "nowhere" in err
    status, _, err = bench("table", "snapfusion-phones", saved(rows()[:1]))
    assert status == 2 and "has no row for table 'snapfusion-phones'" in err


def test_what_is_not_known_stays_empty() -> None:
    bare = LatencyRow(method="m", device="cpu", dtype="fp32", fingerprint="x", settings={}, about={})
    run = LatencyRun(created="", protocol=Protocol(), environment={}, machine=Machine(), rows=[bare])
    (result,) = as_run(run).results
    assert result.latency == {} and result.codec is None and result.cost.peak_memory_bytes is None
    assert result.settings.size == "512x512" and result.cost.forwards == {}
