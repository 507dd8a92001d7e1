"""Sizes of the full-size networks against the published ones, and what each method runs for one picture."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from t2ibench.adapters.base import Settings
from t2ibench.bench import architecture
from t2ibench.bench.architecture import Architecture, MethodRow, NetworkRow
from t2ibench.reports.published import load_published

Bench = Callable[..., tuple[int, str, str]]


@pytest.fixture(scope="module")
def found() -> Architecture:
    """The whole table, counted once."""
    return architecture.measure()


@pytest.fixture
def networks(found: Architecture) -> dict[str, NetworkRow]:
    """Its networks by name."""
    return {row.network: row for row in found.networks}


@pytest.fixture
def methods(found: Architecture) -> dict[str, MethodRow]:
    """Its methods by name."""
    return {row.method: row for row in found.methods}


@pytest.mark.parametrize(
    ("network", "params", "macs", "tolerance"),
    [
        ("SD1.5 UNet", 859.5, 401.6, 1e-3),
        ("CLIP ViT-L/14 text encoder", 123.1, None, 1e-3),
        ("SD decoder", 49.5, 1257.3, 1e-3),
        ("ControlNet", 361.3, 141.6, 1e-3),
        ("T2I-Adapter", 77.37, 29.9, 2e-3),
        ("T2I-Adapter, grey", 77.0, 28.4, 2e-3),
        ("T2I-Adapter, light", 18.69, 6.7, 5e-3),
        ("MediaPipe plugin", 6, None, 0.03),
        ("SnapFusion UNet", 759.3, 304.5, 1e-3),
        ("SnapFusion decoder", 12.4, 318.9, 2e-3),
        ("MobileDiffusion UNet", 386, 182, 0.03),
        ("MobileDiffusion-Lite UNet", 278, 153, 0.03),
        ("MobileDiffusion decoder", 39.3, None, 0.03),
        ("MobileDiffusion Lite decoder", 9.8, None, 0.03),
        ("MobileDiffusion in all", 520, None, 0.03),
    ],
)
def test_networks_have_the_papers_sizes(
    networks: dict[str, NetworkRow], network: str, params: float, macs: float | None, tolerance: float
) -> None:
    assert networks[network].params / 1e6 == pytest.approx(params, rel=tolerance)
    if macs is not None:
        assert (networks[network].macs or 0) / 1e9 == pytest.approx(macs, rel=tolerance)


OTHERWISE = {
    ("SnapFusion UNet", 848.0),
    ("SnapFusion UNet", 285.0),
    ("SnapFusion decoder", 13.0),
    ("ControlNet", 430.0),
    ("T2I-Adapter, light", 18.0),
}
"""Published figures that are more than 3 % off, each explained or printed in whole millions."""


def test_every_published_figure_stands_beside_ours(networks: dict[str, NetworkRow]) -> None:
    rows = load_published("architecture").rows
    assert {row.method for row in rows} <= set(networks)
    assert sum(len(row.figures) for row in networks.values()) == sum(len(row.values) for row in rows)
    off = {
        (row.network, each.published) for row in networks.values() for each in row.figures if abs(each.deviation) > 3
    }
    assert off == OTHERWISE
    for name, _ in OTHERWISE:
        assert networks[name].notes
    assert any("Table 3" in note for note in networks["SnapFusion UNet"].notes)


def test_deviations_are_in_percent_of_the_published_number(networks: dict[str, NetworkRow]) -> None:
    (figure,) = (each for each in networks["SnapFusion UNet"].figures if each.unit == "M")
    assert (figure.published, figure.sure) == (848.0, "paper")
    assert figure.deviation == pytest.approx(100 * (759.327364 - 848) / 848)


@pytest.mark.parametrize(
    ("method", "forwards"),
    [
        ("sd15", {"unet": 102}),
        ("controlnet", {"unet": 102, "control": 102}),
        ("t2i-adapter", {"unet": 102, "control": 1}),
        ("mediapipe-plugin", {"unet": 102, "control": 1}),
        ("mediapipe-plugin[base=snapfusion]", {"unet": 16, "control": 1}),
        ("snapfusion", {"unet": 16}),
        ("mobilediffusion", {"unet": 1}),
        ("mobilediffusion[steps=8]", {"unet": 16}),
        ("mobilediffusion[steps=50]", {"unet": 100}),
        ("multidiffusion, two regions", {"unet": 200, "text_encoder": 2}),
        ("sdedit", {"unet": 50, "encoder": 1}),
        ("plug-and-play", {"unet": 150, "inversion": 981}),
        ("unitune", {"unet": 90, "fine_tune": 3 * 128 * 4}),
    ],
)
def test_forwards_per_picture_at_each_methods_defaults(
    methods: dict[str, MethodRow], method: str, forwards: dict[str, int]
) -> None:
    usual = {"text_encoder": 1, "decoder": 1, **forwards}
    ran = methods[method].forwards
    assert {part: ran[part] for part in usual} == usual
    assert set(ran) - set(usual) <= {"encoder"}


def test_the_cost_of_a_picture_is_the_sum_of_its_forwards(
    networks: dict[str, NetworkRow], methods: dict[str, MethodRow]
) -> None:
    macs = {name: row.macs or 0 for name, row in networks.items()}
    around = macs["CLIP ViT-L/14 text encoder"]
    assert methods["sd15"].macs == pytest.approx(around + 102 * macs["SD1.5 UNet"] + macs["SD decoder"], rel=1e-6)
    plain = methods["sd15"].macs
    assert methods["controlnet"].macs - plain == pytest.approx(102 * macs["ControlNet"], rel=1e-6)
    assert methods["mediapipe-plugin"].macs - plain == pytest.approx(macs["MediaPipe plugin"], rel=1e-6)
    one_step = around + macs["MobileDiffusion UNet"] + macs["MobileDiffusion Lite decoder"]
    assert methods["mobilediffusion"].macs == pytest.approx(one_step, rel=1e-6)
    # A decoder as a stage comes without the 1×1 convolution before it.
    assert networks["MobileDiffusion in all"].params - methods["mobilediffusion"].params == 8 * 8 + 8
    assert methods["mobilediffusion"].settings == Settings("ufogen", 1, 1.0)


def test_prints_the_table(bench: Bench, found: Architecture, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(architecture, "measure", lambda: found)
    code, out, err = bench("table", "architecture")
    assert (code, err) == (0, "")
    assert "mobilediffusion[steps=8]" in out, "brackets are no markup"
    for text in ("848 M", "-10.5 %", "759.33", "Table 3", "inversion 981", "recalled: recalled, not confirmed"):
        assert text in out
    code, out, _ = bench("table", "architecture", "--json")
    read = json.loads(out)
    assert (code, read["table"]) == (0, "architecture")
    snap = next(row for row in read["networks"] if row["network"] == "SnapFusion UNet")
    assert snap["params"] == 759_327_364
    assert snap["figures"][0]["deviation_percent"] == pytest.approx(-10.46, abs=0.01)
    assert {row["method"]: row["forwards"]["unet"] for row in read["methods"]}["snapfusion"] == 16


def test_prints_other_published_tables_as_they_are(bench: Bench) -> None:
    code, out, _ = bench("table", "mobilediffusion-decoders")
    assert code == 0
    assert "39.3" in out
    assert "26.7" in out
    code, out, _ = bench("table", "mobilediffusion-decoders", "--json")
    assert json.loads(out)["rows"][0]["values"]["psnr"] == "26.7"


def test_an_unknown_table_is_one_line(bench: Bench) -> None:
    code, out, err = bench("table", "architectures")
    assert (code, out) == (2, "")
    assert "did you mean 'architecture'?" in err
    assert "known: architecture, bk-sdm," in err
    assert err.count("\n") == 1
    assert "architecture" in json.loads(bench("ls", "tables", "--json")[1])
