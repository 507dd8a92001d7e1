"""A paper's table: what is measured beside what is published, which of it can be compared, and its forms."""

from __future__ import annotations

import csv
import io
import json
import re
import tomllib
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from t2ibench.core.errors import BenchError
from t2ibench.datasets.catalog import DATASETS
from t2ibench.metrics import METRICS
from t2ibench.metrics.value import MetricValue
from t2ibench.reports import latex
from t2ibench.reports.comparable import MINIATURE, is_drawn, reproduction, verdict, why_not
from t2ibench.reports.console import blocks
from t2ibench.reports.fields import FIELDS, Measured, not_timed_alike
from t2ibench.reports.formats import FORMATS, as_json
from t2ibench.reports.grid import Table
from t2ibench.reports.paper import paper_table, published_table
from t2ibench.reports.published import Ours, Published, entry, load_published, published_names
from t2ibench.reports.schema import Cost, Result, Run, RunSettings, SuiteInfo

SD15 = "stable-diffusion-v1-5/stable-diffusion-v1-5"
FID = "fid:inception-2015-12-05@6726825d:tf-bilinear:fp32:n5000:ref-aa:v1"
HOSTILE = "own.module:Class[prompt=<script>alert(1)</script>|50%_of&more,path=C:\\x{#1}$2~^--`y`*z*]"


def fid(value: float | None = 9.0, **more: object) -> MetricValue:
    data = {"value": value, "higher_is_better": False, "identity": FID, "n": 5000}
    return MetricValue.model_validate(data | more)


def result(method: str, seconds: float | None = 2.0, params: int = 1_000_000_000, **more: Any) -> Result:
    settings = {"scheduler": "pndm", "steps": 50, "guidance": 7.5, "size": "512x512", "dtype": "fp16"}
    forwards = {"text_encoder": 1, "unet": 102, "decoder": 1} | more.pop("forwards", {})
    latency = {"median_s": seconds, "p90_s": 9.0, "n": 10, "device": "cuda:0", "batch_sizes": [4], "threads": [8]}
    data = {
        "method": method,
        "checkpoint": SD15,
        "n": 5000,
        "settings": settings | {"device": "cuda:0"} | more.pop("settings", {}),
        "metrics": {"fid": fid()},
        "latency": {"end_to_end": latency | more.pop("latency", {})} if seconds else {},
        "cost": {"params": params, "forwards": forwards},
    }  # fmt: skip
    return Result.model_validate(data | more)


def run_of(*results: Result, dataset: str = "faces", accelerator: str = "Tesla V100-SXM2-16GB") -> Run:
    suite = SuiteInfo(
        name="trial", version=1, kind="generate", summary="", seed=0, dataset=dataset, items=5000, total=5000
    )
    environment = {"accelerator": accelerator, "processor": "AMD EPYC", "batch_size": 4}
    return Run(suite=suite, created="2026-02-03T10:11:12Z", environment=environment, results=list(results))


def measured(found: Result, base: Result | None = None, run: Run | None = None, **more: Any) -> Measured:
    return Measured(found, run or run_of(found), found.method, "trial", base, **more)


def published(**changes: object) -> Published:
    """A table whose every condition is stated, and met by ``result``."""
    data = {
        "title": "Trial",
        "source": "A paper",
        "url": "https://example.org",
        "sure": "paper",
        "protocol": {"text": "As usual.", "dataset": "faces", "n": 5000, "size": "512x512", "weights": [SD15]},
        "columns": {
            "fid": {"title": "FID", "higher_is_better": False},
            "seconds": {
                "title": "Time, V100",
                "shows": "end_to_end",
                "higher_is_better": False,
                "protocol": {"device": "V100", "steps": 50},
            },
            "params": {"title": "Params", "unit": "M"},
        },
        "rows": [{"method": "Theirs", "values": {"fid": "6.50", "seconds": "5.0", "params": "866"}}],
        "measured": {"columns": ["fid", "end_to_end", "overhead", "params", "added_params", "control_forwards"]},
    }
    return Published.model_validate(data | changes)


def at(table: Table, row: int, key: str) -> Any:
    return table.rows[row].cells[[column.key for column in table.columns].index(key)]


def notes_at(table: Table, row: int, key: str) -> list[str]:
    return [table.footnotes[number - 1] for number in at(table, row, key).notes]


# The rule


@pytest.mark.parametrize(
    ("key", "changes", "says"),
    [
        ("fid", {}, None),
        ("fid", {"dataset": "coco5k"}, "measured on faces, not coco5k"),
        ("fid", {"metrics": {"fid": fid(n=92)}}, "over 5,000 pictures, not 92"),
        ("fid", {"metrics": {}}, None),
        ("fid", {"checkpoint": "my/tuned-sd + my/controlnet"}, f"of {SD15}, not my/tuned-sd"),
        ("fid", {"checkpoint": f"{SD15} + my/controlnet"}, None),
        ("fid", {"checkpoint": None}, f"of {SD15}, not weights that are not known"),
        ("fid", {"settings": {"size": "256x256"}}, "size 512x512, not 256x256"),
        ("fid", {"metrics": {"fid": fid(note="Inception weights x.pt are not the official ones")}}, "official"),
        ("fid", {"metrics": {"fid": fid(note="12 prompts are cut")}}, None),
        ("fid", {"accelerator": "NVIDIA H200"}, None),
        ("seconds", {}, None),
        ("seconds", {"accelerator": "NVIDIA H200"}, "on V100, not NVIDIA H200"),
        ("seconds", {"settings": {"device": "cpu"}}, "on V100, not AMD EPYC"),
        ("seconds", {"settings": {"steps": 20}}, "steps 50, not 20"),
        ("seconds", {"dataset": "coco5k"}, None),
        ("params", {"dataset": "coco5k", "accelerator": "NVIDIA H200"}, None),
    ],
)
def test_what_makes_a_published_number_comparable(key: str, changes: dict, says: str | None) -> None:
    elsewhere = {name: changes[name] for name in ("dataset", "accelerator") if name in changes}
    found = result("sd15", **{name: value for name, value in changes.items() if name not in elsewhere})
    why = why_not(published(), key, measured(found, run=run_of(found, **elsewhere)))
    assert why is None if says is None else why is not None and says in why


def test_another_extractor_is_another_quantity() -> None:
    table = published()
    table.protocol.identity = ["inception-2015-12-05@6726825d", "tf-bilinear"]
    assert why_not(table, "fid", measured(result("sd15"))) is None
    other = result("sd15", metrics={"fid": fid(identity=FID.replace("tf-bilinear", "clean-fid"))})
    assert "by tf-bilinear, not fid:inception" in str(why_not(table, "fid", measured(other)))


def test_what_a_paper_leaves_open_is_never_comparable() -> None:
    table = published()
    table.columns["fid"].gap = "the resize is not stated"
    table.protocol.dataset = None
    row = measured(result("sd15"))
    assert why_not(table, "fid", row) == "the resize is not stated; which pictures were measured is not stated"
    table.protocol.pictures = "5,000 pictures that are not released"
    assert str(why_not(table, "fid", row)).endswith("of 5,000 pictures that are not released")


@pytest.mark.parametrize("key", ["fid", "seconds", "params"])
@pytest.mark.parametrize(
    ("dataset", "checkpoint"),
    [("scenes", SD15), ("scene-faces", None), ("faces", "zoo:mini-sd"), ("faces", "x + zoo:mini-controlnet-canny"),
     ("faces", "/home/me/t2ibench/zoo/mini-sd")],
)  # fmt: skip
def test_a_miniature_is_never_compared_with_full_size(key: str, dataset: str, checkpoint: str | None) -> None:
    found = result("sd15", checkpoint=checkpoint)
    assert why_not(published(), key, measured(found, run=run_of(found, dataset=dataset))) == MINIATURE


def test_every_dataset_of_drawn_scenes_is_known_as_one() -> None:
    drawn = {name for name in DATASETS.names() if ".scene" in DATASETS.target(name)}
    assert drawn == {name for name in DATASETS.names() if is_drawn(name)} >= {"scenes", "scene-faces"}


def test_verdicts_name_the_rows_that_differ() -> None:
    good = measured(result("sd15"))
    tuned = measured(result("sd15[checkpoint=my/sd]", checkpoint="my/sd"))
    small = measured(result("sd15", settings={"size": "256x256"}), run=good.run)
    assert verdict(published(), "fid", [good]) == ("published", None)
    assert verdict(published(), "fid", []) == ("published", None)
    status, reason = verdict(published(), "fid", [good, tuned])
    assert status == "published"
    assert reason == f"not with sd15[checkpoint=my/sd]: of {SD15}, not my/sd"
    status, reason = verdict(published(), "fid", [tuned, replace(small, label="small")])
    assert status == "not comparable"
    assert reason == f"of {SD15}, not my/sd (sd15[checkpoint=my/sd]); size 512x512, not 256x256 (small)"


# Reproduced


def protocol(**changes: object) -> Published:
    """A table of one row that is ours, whose every condition is stated and met by ``result``, with a band."""
    table = published()
    stated = {"identity": ["inception-2015-12-05"], "scheduler": "pndm", "steps": 50, "guidance": 7.5}
    table.protocol = table.protocol.model_copy(update=stated | changes)
    table.columns["fid"].band = 0.25
    table.rows[0].ours = Ours(method="sd15")
    table.rows[0].values["fid"] = "9.20"
    return table


@pytest.mark.parametrize(
    ("value", "status"), [(8.95, "reproduced"), (9.45, "reproduced"), (8.9, "measured"), (9.5, "measured")]
)
def test_a_number_of_the_same_protocol_within_the_band_is_reproduced(value: float, status: str) -> None:
    found = reproduction(protocol(), "fid", measured(result("sd15", metrics={"fid": fid(value)})))
    assert found.status == status
    says = "Reproduces 'Theirs'" if status == "reproduced" else "Does not reproduce 'Theirs'"
    assert str(found.reason).startswith(f"{says}, published as 9.20, under the same protocol: ")
    assert "8.95 to 9.45" in str(found.reason)


@pytest.mark.parametrize("lacks", ["dataset", "n", "size", "scheduler", "steps", "guidance"])
def test_what_a_paper_does_not_state_is_not_reproduced(lacks: str) -> None:
    row = measured(result("sd15"))
    assert reproduction(protocol(**{lacks: None}), "fid", row) == ("measured", None)
    assert reproduction(protocol(identity=[]), "fid", row) == ("measured", None)
    assert reproduction(protocol(weights=[]), "fid", row) == ("measured", None)


def test_a_method_without_a_setting_has_none_to_be_stated() -> None:
    row = measured(result("sd15", settings={"guidance": None}))
    assert reproduction(protocol(guidance=None), "fid", row).status == "reproduced"


@pytest.mark.parametrize(
    "changes",
    [
        {"dataset": "coco5k"},
        {"metrics": {"fid": fid(n=4999)}},
        {"metrics": {"fid": fid(identity=FID.replace("inception-2015-12-05@6726825d", "inception-unofficial@ab"))}},
        {"metrics": {"fid": fid(note="Inception weights x.pt are not the official ones")}},
        {"checkpoint": "my/sd"},
        {"settings": {"steps": 49}},
        {"method": "sdedit"},
        {"method": "my.module:Class"},
    ],
)
def test_another_protocol_reproduces_nothing(changes: dict) -> None:
    found = result(changes.pop("method", "sd15"), **{k: v for k, v in changes.items() if k != "dataset"})
    row = measured(found, run=run_of(found, dataset=changes.get("dataset", "faces")))
    assert reproduction(protocol(), "fid", row) == ("measured", None)


def test_neither_unconfirmed_nor_gapped_numbers_nor_those_without_a_band_are_reproduced() -> None:
    row = measured(result("sd15"))
    table = protocol()
    assert reproduction(table, "fid", row).status == "reproduced"
    table.rows[0].sure["fid"] = "recalled"
    assert reproduction(table, "fid", row).status == "measured"
    (table := protocol()).columns["fid"].band = None
    table.rows[0].values["fid"] = "9.00"
    assert reproduction(table, "fid", row) == ("measured", None), "sampled numbers are no counts, equal digits no proof"
    (table := protocol()).columns["fid"].gap = "the resize is not stated"
    assert reproduction(table, "fid", row).status == "measured"
    assert reproduction(protocol(unmet="all start from one latent"), "fid", row).status == "measured"
    assert why_not(protocol(unmet="all start from one latent"), "fid", row) is None, "compared it can be"
    (table := protocol()).rows[0].ours = None
    assert reproduction(table, "fid", row).status == "measured"


def test_settings_of_a_published_row_are_its_own() -> None:
    table = protocol(steps=None)
    table.rows[0].ours = Ours(method="sd15", steps=8)
    assert why_not(table, "fid", measured(result("sd15"))) is None, "rows of other steps are there to be compared"
    assert reproduction(table, "fid", measured(result("sd15"))).status == "measured"
    assert reproduction(table, "fid", measured(result("sd15", settings={"steps": 8}))).status == "reproduced"


@pytest.mark.parametrize(
    ("printed", "params", "status"),
    [
        ("866", 865_600_000, "reproduced"),
        ("866", 866_600_000, "measured"),
        ("865.7", 865_660_000, "reproduced"),
        ("865.7", 865_600_000, "measured"),
        ("860..870", 861_000_000, "reproduced"),
        ("860..870", 859_000_000, "measured"),
    ],
)
def test_what_is_counted_is_reproduced_to_the_printed_digits(printed: str, params: int, status: str) -> None:
    table = published()
    table.rows[0].ours = Ours(method="sd15", weights=[SD15])
    table.rows[0].values["params"] = printed
    row = measured(result("sd15", params=params))
    assert reproduction(table, "params", row).status == status
    elsewhere = measured(result("sd15", params=params, checkpoint="stabilityai/sd2"))
    assert reproduction(table, "params", elsewhere) == ("measured", None)
    assert (
        reproduction(table, "params", measured(result("sd15", params=params, checkpoint="zoo:mini-sd"))).reason is None
    )


def test_multiply_adds_depend_on_the_size() -> None:
    rows = [{"method": "Theirs", "values": {"unet_macs": "402"}, "ours": {"method": "sd15"}}]
    table = published(columns={"unet_macs": {"title": "UNet MACs", "unit": "G"}}, rows=rows)
    found = result("sd15").model_copy(update={"cost": Cost(macs_per_forward=401_600_000_000, forwards={"unet": 102})})
    small = found.model_copy(update={"settings": RunSettings(size="256x256")})
    assert reproduction(table, "unet_macs", measured(found)).status == "reproduced"
    assert why_not(table, "unet_macs", measured(small)) == "size 512x512, not 256x256"
    assert reproduction(table, "unet_macs", measured(small)).status == "measured"


def test_reproduced_cells_are_marked_in_every_form() -> None:
    table = paper_table(protocol(), [measured(result("sd15", metrics={"fid": fid(9.1)}))])
    cell = at(table, 0, "fid")
    assert (cell.status, cell.mark, at(table, 1, "fid").status) == ("reproduced", " ≈", "published")
    assert notes_at(table, 0, "fid")[0].startswith("Reproduces 'Theirs', published as 9.20")
    assert json.loads(as_json(table, {}))["rows"][0]["cells"]["fid"]["status"] == "reproduced"
    assert next(csv.DictReader(io.StringIO(FORMATS["csv"](table))))["reproduced"] == "FID"
    for form, says in (("markdown", "9.10 ≈<sup>"), ("latex", r"9.10 $\approx$\tnote"), ("html", "9.10 ≈")):
        assert says in FORMATS[form](table)
    assert list(table.to_frame()["reproduced"]) == ["FID ↓", ""]


# Overheads


def test_overhead_and_what_is_added_are_over_the_base() -> None:
    base = result("sd15", 2.0, params=1_000_000_000)
    row = measured(result("controlnet", 2.68, params=1_361_280_000, forwards={"control": 102}), base)
    table = paper_table(published(), [measured(base), row])
    assert at(table, 0, "overhead") == at(table, 0, "added_params")
    assert at(table, 0, "overhead").value is None
    assert at(table, 0, "control_forwards").text == "0"
    assert at(table, 1, "overhead").value == pytest.approx(34.0)
    assert at(table, 1, "overhead").text == "+34.0"
    assert at(table, 1, "added_params").text == "361.3"
    assert at(table, 1, "control_forwards").text == "102"
    assert [cell.text for cell in table.rows[2].cells][-2:] == ["–", "–"]


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({}, None),
        ({"settings": {"steps": 20}}, "steps 20, not 50"),
        ({"settings": {"guidance": 1.0, "device": "cpu"}}, "guidance 1.0, not 7.5; device cpu, not cuda:0"),
        ({"settings": {"dtype": "fp32"}}, "dtype fp32, not fp16"),
        ({"latency": {"batch_sizes": [8]}}, "batches of 4 or 8"),
        ({"latency": {"batch_sizes": [4, 8]}}, "batches of 4 or 8"),
        ({"latency": {"threads": [2]}}, "on 2 or 8 threads"),
        ({"latency": {"warm": False}}, "warming up included"),
        ({"seconds": None}, "were not made here"),
    ],
)
def test_seconds_are_compared_at_equal_settings_alone(changes: dict, says: str | None) -> None:
    base, found = result("sd15"), result("controlnet", **changes)
    why = not_timed_alike(found, base)
    assert why is None if says is None else why is not None and says in why
    table = paper_table(published(), [measured(base), measured(found, base)])
    assert at(table, 1, "overhead").value == (0 if says is None else None)
    assert notes_at(table, 1, "overhead") == ([] if why is None else [why])


def test_a_missing_base_is_named_where_others_have_one() -> None:
    base = result("sd15")
    lost = measured(result("t2i-adapter"), no_base="its run has no row of its base 'snapfusion'")
    table = paper_table(published(), [measured(base), measured(result("controlnet", 3.0), base), lost])
    for key in ("overhead", "added_params"):
        assert notes_at(table, 2, key) == ["its run has no row of its base 'snapfusion'"]


def test_seconds_say_where_they_come_from() -> None:
    one, other = measured(result("sd15")), measured(result("controlnet"))
    (time,) = (column for column in paper_table(published(), [one]).columns if column.key == "end_to_end")
    assert time.notes
    table = paper_table(published(), [one, other])
    (note,) = [note for note in table.footnotes if note.startswith("Median seconds")]
    assert note == (
        "Median seconds for one picture on cuda:0, over the batches of a run while it was made: for orientation; "
        "those of separate runs cannot be compared"
    )


# Entries


@pytest.mark.parametrize(
    ("printed", "found"),
    [
        ("6.50", ("6.50", 6.5, None, "")),
        ("+48", ("+48", 48.0, None, "")),
        ("0.35±0.14", ("0.35", 0.35, None, "0.14")),
        ("23.01..23.95", ("23.01–23.95", None, (23.01, 23.95), "")),
        ("yes", ("yes", "yes", None, "")),
    ],
)
def test_entries_are_numbers_spreads_ranges_and_words(printed: str, found: tuple) -> None:
    assert entry(printed) == found


@pytest.mark.parametrize("printed", ["about 5", "1..", "2..1", "1±", "±2", "1..2..3", "maybe", ""])
def test_nothing_else_is_an_entry(printed: str) -> None:
    with pytest.raises(ValueError):
        entry(printed)
    with pytest.raises(ValueError):
        published(rows=[{"method": "Theirs", "values": {"fid": printed}}])


def test_recalled_numbers_are_marked_in_every_form() -> None:
    rows = [{"method": "Theirs", "values": {"fid": "0.26±0.10", "params": "860..870"}, "sure": {"fid": "recalled"}}]
    columns = {"fid": {"title": "FID", "spread": "over pictures"}, "params": {"title": "Params", "unit": "M"}}
    table = published_table(published(rows=rows, columns=columns, measured=None))
    cell = at(table, 0, "fid")
    assert (cell.full, cell.mark, cell.unconfirmed) == ("0.26 ±0.10", " ?", True)
    assert notes_at(table, 0, "fid") == ["This number: recalled, not confirmed"]
    (head,) = (column for column in table.columns if column.key == "fid")
    assert [table.footnotes[number - 1] for number in head.notes] == ["Published ±: over pictures"]
    cells = json.loads(as_json(table, {}))["rows"][0]["cells"]
    assert cells["fid"]["unconfirmed"] and not cells["params"]["unconfirmed"]
    assert (cells["params"]["value"], cells["params"]["text"]) == (None, "860–870")
    assert (cells["params"]["interval"], cells["params"]["status"]) == ([860, 870], "published")
    (line,) = csv.DictReader(io.StringIO(FORMATS["csv"](table)))
    assert (line["unconfirmed"], line["Params (M)"], line["Params (M) high"]) == ("FID", "", "870.0")
    for form, says in (("markdown", "0.26 ±0.10 ?<sup>"), ("latex", r"0.26 $\pm$0.10 ?\tnote"), ("html", "0.26 ?")):
        assert says in FORMATS[form](table)
        assert "860–870".replace("–", r"\textendash{}" if form == "latex" else "–") in FORMATS[form](table)
    console = Console(file=io.StringIO(), width=100, color_system=None)
    for block in blocks(table, 100):
        console.print(block)
    assert "0.26 ? ±0.10" in console.file.getvalue()  # type: ignore[attr-defined]
    assert list(table.to_frame()["unconfirmed"]) == ["FID"]


def test_a_table_that_is_recalled_as_a_whole_marks_every_number() -> None:
    table = published_table(published(sure="recalled", measured=None))
    assert all(cell.unconfirmed for cell in table.rows[0].cells[1:])


# The layout


def test_published_seconds_of_a_device_stand_beside_ours() -> None:
    table = paper_table(published(), [measured(result("sd15"))])
    assert [column.key for column in table.columns] == [
        "method", "fid", "end_to_end", "seconds", "params", "control_forwards"
    ]  # fmt: skip
    assert [row.status for row in table.rows] == ["measured", "published"]
    assert at(table, 0, "seconds").value is None
    assert (at(table, 1, "seconds").text, at(table, 1, "end_to_end").value) == ("5.0", None)
    assert at(table, 1, "fid").text == "6.50", "as printed"
    assert at(table, 1, "fid").value == 6.5
    assert "A paper; read in the paper itself" in notes_at(table, 1, "method")[0]


def test_columns_follow_the_table_and_what_the_runs_have() -> None:
    excess = fid(1.5, identity=FID.replace("fid", "fid_excess:over-scenes"))
    found = result("sd15", metrics={"fid_excess": excess, "fid": fid(9.0, interval=(8.5, 9.5))})
    table = paper_table(published(measured={"columns": ["n", "kid", "fid", "fid_excess"]}), [measured(found)])
    assert [column.key for column in table.columns] == ["method", "n", "fid", "fid_excess"]
    assert at(table, 0, "fid").full == "9.00 ±0.50"
    assert at(table, 0, "fid").interval == (8.5, 9.5)
    assert at(table, 0, "fid_excess").value == 1.5


def test_a_metric_that_a_run_lacks_says_so_once() -> None:
    rows = [measured(result(name, metrics={})) for name in ("a", "b")]
    rows.append(measured(result("c", metrics={"fid": fid(None, reason="needs 5,000 photos")})))
    table = paper_table(published(), rows)
    assert notes_at(table, 0, "fid") == notes_at(table, 1, "fid") == ["not asked for in this run"]
    assert notes_at(table, 2, "fid") == ["needs 5,000 photos"]


def test_unequal_identities_are_said_over_their_column() -> None:
    other = result("b", metrics={"fid": fid(identity=FID.replace("fp32", "bf16"))})
    table = paper_table(published(), [measured(result("a")), measured(other)])
    assert any("Not one quantity" in note and "bf16" in note for note in table.footnotes)


def test_not_comparable_cells_are_marked_with_their_reason() -> None:
    table = paper_table(published(), [measured(found := result("sd15"), run=run_of(found, dataset="scenes"))])
    cell = at(table, 1, "fid")
    assert (cell.status, cell.reason, cell.mark) == ("not comparable", MINIATURE, " ≠")
    assert notes_at(table, 1, "fid") == [f"Not comparable with the measured rows: {MINIATURE}"]
    assert at(table, 0, "fid").mark == ""


def test_a_table_without_columns_of_ours_takes_no_runs() -> None:
    with pytest.raises(BenchError, match="leave out RUN"):
        paper_table(published(measured=None), [measured(result("sd15"))])


# The data


@pytest.mark.parametrize("name", published_names())
def test_templates_name_metrics_and_columns_that_exist(name: str) -> None:
    table = load_published(name)
    columns = table.measured.columns if table.measured else []
    known = {*FIELDS, *METRICS.names(), *table.columns}
    assert {key.removesuffix("_excess") for key in columns} <= known
    assert not table.measured or len(set(columns)) == len(columns)
    shown = {column.shows for column in table.columns.values()} - {None}
    assert shown <= set(columns)
    units = {key: (FIELDS[key].column.unit, column.unit) for key, column in table.columns.items() if key in FIELDS}
    assert name == "architecture" or all(ours == theirs for ours, theirs in units.values())


def test_the_guide_describes_a_table_that_loads() -> None:
    guide = (Path(__file__).parents[2] / "docs" / "guide.md").read_text(encoding="utf-8")
    (text,) = [block for block in re.findall(r"```toml\n(.*?)```", guide, re.DOTALL) if "[measured]" in block]
    table = Published.model_validate(tomllib.loads(text))
    assert table.conditions("seconds_v100").device == "V100"
    assert table.conditions("seconds_v100").n == table.conditions("fid").n == 5000
    assert all(f"`{key}`" in guide for key in FIELDS if key != "method")


def test_the_article_is_kept_as_it_is_printed() -> None:
    article = load_published("mediapipe-plugin")
    base, controlnet, plugin, adapter, _ = article.rows
    assert [base.values[key] for key in ("fid", "clip_score", "seconds_v100", "seconds_s23")] == [
        "10.32", "0.26", "5.0", "11.5"
    ]  # fmt: skip
    assert [controlnet.values[key] for key in ("fid", "clip_score", "overhead_v100", "overhead_s23")] == [
        "6.51", "0.31", "+48", "+58.3"
    ]  # fmt: skip
    assert [plugin.values[key] for key in ("fid", "clip_score", "seconds_s23", "overhead_v100", "overhead_s23")] == [
        "6.50", "0.30", "11.8", "+0.2", "+2.6"
    ]  # fmt: skip
    assert "fid" not in adapter.values, "the article shows no pictures of T2I-Adapter"
    full = measured(found := result("sd15"), run=run_of(found, dataset="coco5k"))
    assert "5,000 pictures of people that are not released" in str(why_not(article, "fid", full))
    assert "the CLIP model is not named" in str(why_not(article, "clip_score", full))
    (row,) = load_published("mediapipe-plugin-latency").rows
    assert list(row.values.values()) == ["128", "68", "50", "48", "73", "63"]


# The forms


def example() -> Table:
    base = result("sd15", metrics={"fid": fid(9.0, interval=(8.5, 9.5))})
    own = result(HOSTILE, 2.5, metrics={})
    theirs = published(title="Trial <b>& more_50%</b>")
    theirs.columns["fid"].gap = "no_resize | is <stated> & 5% #1"
    return paper_table(theirs, [measured(base), measured(own, base)], ["a note | with <i>&</i> 5 % of_all"])


def test_json_has_value_interval_status_and_reason() -> None:
    table = example()
    read = json.loads(as_json(table, {"table": "trial"}))
    assert read["table"] == "trial"
    assert [column["key"] for column in read["columns"]] == [column.key for column in table.columns[1:]]
    first, own, theirs = read["rows"]
    assert (first["method"], first["run"], first["status"]) == ("sd15", "trial", "measured")
    assert first["cells"]["fid"] | {"notes": None} == {
        "value": 9.0, "text": "9.00 ±0.50", "interval": [8.5, 9.5], "status": "measured", "reason": None, "notes": None,
        "unconfirmed": False,
    }  # fmt: skip
    assert own["method"] == HOSTILE
    assert own["cells"]["fid"]["value"] is None
    assert own["cells"]["fid"]["status"] is None
    assert own["cells"]["fid"]["reason"] == "not asked for in this run"
    assert own["cells"]["overhead"]["value"] == pytest.approx(25)
    assert (theirs["run"], theirs["status"]) == (None, "published")
    assert theirs["cells"]["fid"]["status"] == "not comparable"
    assert theirs["cells"]["fid"]["text"] == "6.50"
    assert theirs["cells"]["fid"]["reason"] == "no_resize | is <stated> & 5% #1"
    assert theirs["cells"]["params"]["status"] == "published"
    assert read["notes"] == ["a note | with <i>&</i> 5 % of_all"]


def test_csv_has_plain_numbers() -> None:
    rows = list(csv.DictReader(io.StringIO(FORMATS["csv"](example()))))
    assert [row["Method"] for row in rows] == ["sd15", HOSTILE, "Theirs"]
    assert [row["status"] for row in rows] == ["measured", "measured", "published"]
    assert [row["run"] for row in rows] == ["trial", "trial", ""]
    assert [float(rows[0][head]) for head in ("FID", "FID low", "FID high", "Params (M)")] == [9.0, 8.5, 9.5, 1000]
    assert rows[1]["FID"] == rows[1]["FID low"] == ""
    assert float(rows[2]["Time, V100"]) == 5.0
    assert rows[2]["not comparable"] == "FID"


def test_markdown_keeps_its_cells_together() -> None:
    text = FORMATS["markdown"](example())
    lines = [line for line in text.splitlines() if line.startswith("|")]
    assert len(lines) == 5
    columns = [len(re.findall(r"(?<!\\)\|", line)) for line in lines]
    assert len(set(columns)) == 1, "a bar of a name ends no cell"
    assert "<script>" not in text
    assert "<b>" not in text
    assert "Theirs *(published)*" in text
    assert "6.50 ≠<sup>" in text
    assert text.startswith("### Trial &lt;b&gt;&amp; more\\_50%")
    assert "> a note \\| with &lt;i&gt;&amp;" in text


def test_latex_prints_strange_text_as_it_is() -> None:
    text = FORMATS["latex"](example())
    body = text[text.index("\\begin{tabular}") : text.index("\\end{tabular}")]
    for rule in ("\\toprule", "\\bottomrule"):
        assert body.count(rule) == 1
    assert body.count("\\midrule") == 2, "below the head, and between measured and published"
    lines = [line for line in body.splitlines() if line.endswith(r" \\")]
    assert len(lines) == 4
    assert len({len(re.findall(r"(?<!\\)&", line)) for line in lines}) == 1
    assert r"\textless{}script\textgreater{}" in text
    assert r"50\%\_of\&more" in text
    assert r"C:\textbackslash{}x\{\#1\}\$2\textasciitilde{}\textasciicircum{}-{}-\textasciigrave{}y" in text
    assert r"6.50 $\neq$\tnote{" in text
    assert r"\item a note \textbar{} with" in text
    assert text.isascii()
    depth = 0
    for char in re.sub(r"\\[{}]", "", text):
        depth += {"{": 1, "}": -1}.get(char, 0)
        assert depth >= 0
    assert depth == 0


@pytest.mark.parametrize("text", ["[x]", "*x"])
def test_latex_reads_no_options_after_a_line(text: str) -> None:
    assert latex.escape(text) == f"{{}}{text}"


class _Texts(HTMLParser):
    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.links: list[str] = []
        self.text = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.links += [value or "" for name, value in attrs if name in ("href", "src")]

    def handle_data(self, data: str) -> None:
        self.text += data


def test_html_is_one_page_without_scripts_and_links() -> None:
    page = _Texts(FORMATS["html"](example()))
    assert "script" not in page.tags
    assert "i" not in page.tags
    assert all(link.startswith("#note-") for link in page.links)
    assert HOSTILE in page.text
    assert "Trial <b>& more_50%</b>" in page.text
    assert "6.50 ≠" in page.text
    assert page.tags.count("tr") == 4


def test_published_tables_print_alone_in_every_form() -> None:
    for name in published_names():
        table = published_table(load_published(name))
        assert not table.mixed
        for form in FORMATS.values():
            text = form(table)
            assert "≠" not in text.replace("≠ marks", "")
            assert "(published)" not in text
    texts = FORMATS["markdown"](published_table(load_published("mediapipe-plugin")))
    assert "| 6.50 | 0.30 | 5.0 | +0.2 | 11.8 | +2.6 | 6 | yes | yes | yes |" in texts
    assert "The CLIP model is not named" in texts


@pytest.mark.parametrize("width", [60, 80, 120, 160])
def test_a_terminal_shows_all_columns_in_blocks_that_fit(width: int) -> None:
    table = example()
    console = Console(file=io.StringIO(), width=width, color_system=None)
    found = blocks(table, width)
    for block in found:
        console.print(block)
    printed = console.file.getvalue()  # type: ignore[attr-defined]
    assert max(map(len, printed.splitlines())) <= width
    assert "…" not in printed
    for text in ("9.00", "6.50 ≠", "+25.0", "866", "(published)"):
        assert text in printed
    heads = [str(column.header).split("\n")[0] for block in found for column in block.columns[1:]]
    assert len(heads) == len(table.columns) - 1, "each column once"


def test_costs_of_runs_without_parts_show_no_forwards() -> None:
    found = result("sd15").model_copy(update={"cost": Cost(params=5), "settings": RunSettings()})
    table = paper_table(published(), [measured(found)])
    assert "control_forwards" not in [column.key for column in table.columns]
