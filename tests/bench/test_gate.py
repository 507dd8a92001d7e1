"""The gate: planted changes get the right verdict, equal runs pass, and what cannot be told is said."""

from __future__ import annotations

import json
import shutil
import sys
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from t2ibench.bench.cli import status
from t2ibench.bench.gating.gate import GateRow, overall
from t2ibench.bench.gating.thresholds import DEFAULTS, Thresholds, default_of, load_thresholds, matches
from t2ibench.bench.gating.verdict import Case, judge, judge_band, judge_drift, judge_improvement
from t2ibench.core.errors import BenchError
from t2ibench.datasets.scenes import scenes
from t2ibench.metrics.paired import Change

Bench = Callable[..., tuple[int, str, str]]

N = 48
METHOD = "gated:Stored"
ADAPTER = '''
import io, os
import numpy as np
from PIL import Image
from t2ibench import Adapter
from t2ibench.adapters import noise


def jpeg(picture):
    buffer = io.BytesIO()
    Image.fromarray(picture).save(buffer, "JPEG", quality=90)
    return np.asarray(Image.open(buffer).convert("RGB"))


FAULTS = {
    "none": lambda picture: picture,
    "rounding": lambda picture: picture ^ 1,
    "jpeg": jpeg,
    "bright": lambda picture: np.clip(picture.astype(int) + 12, 0, 255).astype(np.uint8),
    "pale": lambda picture: np.clip(picture.astype(int) + 3, 0, 255).astype(np.uint8),
    "bgr": lambda picture: picture[..., ::-1].copy(),
    "grey": lambda picture: np.repeat(picture.mean(-1, keepdims=True), 3, -1).astype(np.uint8),
    "better": lambda picture: (0.9 * picture + 0.1 * 128).astype(np.uint8),
}


class Stored(Adapter):
    """Stored pictures with a planted fault; another seed moves them by a pixel."""

    def load(self, device, dtype):
        pass

    def generate(self, requests):
        return np.stack([self.one(request) for request in requests])

    def one(self, request):
        picture = np.asarray(Image.open(f"{os.environ['GATED']}/{request.prompt_id}.png"))
        picture = FAULTS[os.environ.get("FAULT", "none")](picture)
        return np.roll(picture, 1, axis=1) if request.seed else picture

    def noise_digest(self, request):
        return noise.digest(noise.normal(request, (4,)))


class Other(Stored):
    """Another method."""
'''


class World:
    """Runs of one method over the same pictures, each with a fault of its own; made once."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        drawn = list(scenes(N + 40))
        (folder / "pictures").mkdir()
        (folder / "photos").mkdir()
        for index, scene in enumerate(drawn):
            place = f"pictures/{index:05d}.png" if index < N else f"photos/{index}.png"
            Image.fromarray(scene.image).save(folder / place)
        (folder / "prompts.txt").write_text("\n".join(scene.caption for scene in drawn[:N]))
        (folder / "gated.py").write_text(ADAPTER)

    def run(self, name: str, *more: object, fault: str = "none", methods: str = METHOD) -> Path:
        """Make a run, unless it is there."""
        out = self.folder / name
        if not (out / "run.json").exists():
            with pytest.MonkeyPatch.context() as patch:
                patch.setenv("FAULT", fault)
                assert status([str(argument) for argument in self.arguments(out, *more, methods=methods)]) == 0
        return out

    def arguments(self, out: Path, *more: object, methods: str = METHOD) -> list[object]:
        """A run's command line."""
        metrics = () if "--metrics" in more else ("--metrics", "mini_fd,mini_kd,caption_accuracy")
        return ["run", "--suite", "mini", "--prompts", self.folder / "prompts.txt", "--methods", methods, "--out", out,
                "--reference", self.folder / "photos", "--offline", *metrics, *more]  # fmt: skip

    def edited(self, name: str, source: Path, change: Callable[[dict[str, Any]], None]) -> Path:
        """A copy of a run with another ``run.json``."""
        out = self.folder / name
        shutil.rmtree(out, ignore_errors=True)
        shutil.copytree(source, out)
        run = json.loads((out / "run.json").read_text())
        change(run)
        (out / "run.json").write_text(json.dumps(run))
        return out


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    folder = tmp_path_factory.mktemp("gate")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("T2IBENCH_CACHE", str(folder / "cache"))
        patch.setenv("GATED", str(folder / "pictures"))
        patch.chdir(folder)
        patch.syspath_prepend(str(folder))
        yield World(folder)
        sys.modules.pop("gated", None)


@pytest.fixture
def base(world: World, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("T2IBENCH_CACHE", str(world.folder / "cache"))
    return world.run("base")


@pytest.fixture
def gated(bench: Bench, base: Path) -> Callable[..., tuple[int, dict[str, Any]]]:
    """Gate a run against the base; its exit status and what ``--json`` prints."""

    def call(head: Path, *more: object, base: Path = base) -> tuple[int, dict[str, Any]]:
        code, out, err = bench("gate", base, head, "--json", "--offline", *more)
        assert out, err
        return code, json.loads(out)

    return call


def rows(found: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {row["metric"]: row for row in found["rows"]}


def verdicts(found: dict[str, Any]) -> dict[str, str]:
    return {row["metric"]: row["verdict"] for row in found["rows"]}


def limits(folder: Path, text: str) -> Path:
    (folder / "limits.toml").write_text(text)
    return folder / "limits.toml"


QUALITY = ["mini_fd", "mini_kd", "caption_accuracy", "drift_mini_features", "drift_median_mini_features"]

# --- what it finds


def test_equal_runs_pass_at_once(world: World, base: Path, gated: Callable) -> None:
    code, found = gated(world.run("again"))
    assert (code, found["verdict"], found["tests"]) == (0, "pass", 0)
    for name in QUALITY:
        row = rows(found)[name]
        assert (row["verdict"], row["change"], row["interval"]) == ("pass", 0, None)
        assert row["reason"] == "all pictures are equal, bit for bit"


def test_rounding_is_no_regression(world: World, gated: Callable) -> None:
    """The last bit of every pixel differs: nothing is equal, and everything within its margin but the few shares."""
    code, found = gated(world.run("rounding", fault="rounding"))
    assert code != 1
    sure = [name for name in QUALITY if name != "caption_accuracy"]
    assert [verdicts(found)[name] for name in sure] == ["pass"] * len(sure)
    assert found["tests"] == 5
    assert all(rows(found)[name]["paired"] for name in QUALITY)
    assert 0 < rows(found)["drift_mini_features"]["head"] < 0.001


@pytest.mark.parametrize("fault", ["jpeg", "bright", "bgr", "grey"])
def test_planted_faults_fail(world: World, gated: Callable, fault: str) -> None:
    code, found = gated(world.run(fault, fault=fault))
    assert (code, found["verdict"]) == (1, "fail")
    drift = rows(found)["drift_mini_features"]
    assert drift["verdict"] == "fail"
    assert drift["interval"][0] > 0
    assert "the pictures moved by" in drift["reason"]
    assert found["rows"][0]["verdict"] == "fail"  # the worst first


def test_what_moves_all_pictures_a_little_shows_in_the_middle(world: World, gated: Callable) -> None:
    code, found = gated(world.run("pale", fault="pale"))
    assert code == 1
    assert verdicts(found)["drift_mini_features"] != "fail"
    middle = rows(found)["drift_median_mini_features"]
    assert middle["verdict"] == "fail"
    assert middle["reason"].startswith("the picture in the middle moved by 0.00")
    assert "margin of 0.00030" in middle["reason"]


def test_the_middle_of_few_pictures_is_not_needed(world: World, gated: Callable) -> None:
    runs = [world.run(f"five-{fault}", "--limit", 5, fault=fault) for fault in ("none", "rounding")]
    row = rows(gated(runs[1], base=runs[0])[1])["drift_median_mini_features"]
    assert (row["verdict"], row["required"]) == ("could-not-measure", False)
    assert row["reason"] == "needs more than 5 pictures for an interval"


def test_wrong_colours_also_show_in_what_pictures_say(world: World, gated: Callable) -> None:
    _, found = gated(world.run("bgr", fault="bgr"))
    accuracy = rows(found)["caption_accuracy"]
    assert accuracy["verdict"] == "fail"
    assert accuracy["interval"][1] < 0
    assert "more than the margin of 0.050" in accuracy["reason"]


def test_a_fault_may_improve_a_distance_and_is_found_all_the_same(world: World, gated: Callable) -> None:
    """The gate the other way round: from BGR back to RGB everything gets better, and the pictures have moved."""
    code, found = gated(world.run("base"), base=world.run("bgr", fault="bgr"))
    assert code == 1
    assert verdicts(found)["caption_accuracy"] == "pass"
    assert verdicts(found)["drift_mini_features"] == "fail"


def test_other_seeds_are_not_paired_and_nothing_is_claimed(world: World, gated: Callable) -> None:
    code, found = gated(world.run("seed", "--seed", 1))
    assert code == 2
    assert not any(row["paired"] for row in found["rows"])
    assert "run both from one seed" in rows(found)["mini_fd"]["reason"]
    drift = rows(found)["drift_mini_features"]
    assert (drift["verdict"], drift["required"]) == ("could-not-measure", False)
    assert any("start from other noise" in note for note in found["notes"])


def test_the_interval_of_a_distance_is_far_narrower_in_pairs(world: World, gated: Callable) -> None:
    paired, unpaired = (
        rows(gated(world.run(name, *more, fault=fault))[1])["mini_fd"]["interval"]
        for name, more, fault in (("rounding", (), "rounding"), ("seed", ("--seed", 1), "none"))
    )
    assert (unpaired[1] - unpaired[0]) > 10 * (paired[1] - paired[0])


# --- what cannot be compared


def test_numbers_of_other_identity_are_never_compared(world: World, gated: Callable) -> None:
    shutil.copytree(world.folder / "photos", world.folder / "fewer", dirs_exist_ok=True)
    (world.folder / "fewer" / f"{N}.png").unlink(missing_ok=True)
    code, found = gated(world.run("reference", "--reference", world.folder / "fewer"))
    assert code == 2
    row = rows(found)["mini_fd"]
    assert (row["verdict"], row["change"]) == ("could-not-measure", None)
    assert "different references" in row["reason"]
    assert verdicts(found)["caption_accuracy"] == "pass"


def test_fewer_prompts_are_other_numbers(world: World, gated: Callable) -> None:
    code, found = gated(world.run("few", "--limit", 30))
    assert code == 2
    assert "different numbers of pictures" in rows(found)["mini_fd"]["reason"]
    assert "only 30 prompts and samples of 48 and 30 are in both runs" in rows(found)["drift_mini_features"]["reason"]


def without(run: dict[str, Any], reason: str) -> None:
    value = run["results"][0]["metrics"]["mini_kd"]
    value |= {"value": None, "interval": None, "reason": reason, "identity": ""}


def test_a_metric_that_neither_has_is_not_needed_and_one_that_was_lost_is(
    world: World, bench: Bench, base: Path, gated: Callable
) -> None:
    empty = world.edited("empty", base, lambda run: without(run, "no weights"))
    other = world.edited("other", base, lambda run: without(run, "no memory"))
    code, found = gated(empty, base=empty)
    assert (code, rows(found)["mini_kd"]["required"]) == (0, False)
    assert "empty in both runs: no weights" in rows(found)["mini_kd"]["reason"]
    code, out, _ = bench("gate", empty, empty, "--offline")
    assert code == 0 and "mini KD" not in out and "Empty in both runs for the same reasons, and not needed: 1." in out
    assert gated(empty, base=other)[0] == 2
    code, found = gated(empty)
    assert (code, rows(found)["mini_kd"]["required"]) == (2, True)
    assert "head has none: no weights" in rows(found)["mini_kd"]["reason"]
    assert gated(base, base=empty)[0] == 0


def test_a_row_that_is_not_needed_keeps_nothing_from_passing(world: World, base: Path, gated: Callable) -> None:
    empty = world.edited("empty", base, lambda run: without(run, "no weights"))
    rule = limits(world.folder, '[[rule]]\nmetric = "mini_kd"\nmargin = 1\nrequired = false\n')
    assert gated(empty, "--thresholds", rule)[0] == 0


def test_equal_pictures_with_other_numbers(world: World, base: Path, gated: Callable) -> None:
    def moved(run: dict[str, Any]) -> None:
        run["results"][0]["metrics"]["mini_fd"]["value"] *= 1.5

    code, found = gated(world.edited("moved", base, moved))
    assert code == 2
    assert "the metric or its device has changed" in rows(found)["mini_fd"]["reason"]


def test_too_few_prompts_for_an_interval(world: World, gated: Callable) -> None:
    runs = [world.run(f"ten-{fault}", "--limit", 10, fault=fault) for fault in ("none", "rounding")]
    code, found = gated(runs[1], base=runs[0])
    assert code == 2
    assert "needs at least 20 prompts" in rows(found)["mini_fd"]["reason"]


def test_without_its_reference_a_distance_is_compared_by_the_intervals_of_the_runs(
    world: World, base: Path, gated: Callable
) -> None:
    old, head = world.folder / "old-base", world.folder / "old-head"
    for target, source in ((old, base), (head, world.run("rounding", fault="rounding"))):
        shutil.copytree(source, target, dirs_exist_ok=True)
        shutil.rmtree(target / "reference")
    row = rows(gated(head, base=old)[1])["mini_fd"]
    assert row["verdict"] == "could-not-measure"
    assert not row["paired"]
    assert "neither run kept the features of its reference" in row["reason"]


def test_methods_in_one_run_alone_are_named(world: World, base: Path, gated: Callable) -> None:
    code, found = gated(world.run("both", methods=f"{METHOD},gated:Other"))
    assert code == 0
    assert found["only_head"] == ["gated:Other"]
    assert "only in head and not compared: gated:Other" in found["notes"]
    assert {row["method"] for row in found["rows"]} == {METHOD}


def test_no_method_in_common(world: World, bench: Bench, base: Path) -> None:
    other = world.edited("renamed", base, lambda run: run["results"][0].update(method="sd15"))
    code, out, err = bench("gate", base, other)
    assert (code, out) == (2, "")
    assert err.strip().endswith(f"no method in common: base has {METHOD}, head has sd15")


def test_one_method_with_another_option_is_compared_and_it_is_said(world: World, base: Path, gated: Callable) -> None:
    def renamed(run: dict[str, Any]) -> None:
        run["results"][0]["method"] = "gated:Stored[strength=2]"

    code, found = gated(world.edited("option", base, renamed))
    assert any("is compared with 'gated:Stored[strength=2]'" in note for note in found["notes"])
    assert code == 2  # its pictures are listed under the old name


# --- counts and seconds


@pytest.mark.parametrize(("params", "code", "verdict"), [(1_020, 1, "fail"), (1_005, 0, "pass"), (900, 0, "pass")])
def test_counts_are_exact(world: World, base: Path, gated: Callable, params: int, code: int, verdict: str) -> None:
    def counted(number: int) -> Callable[[dict[str, Any]], None]:
        return lambda run: run["results"][0]["cost"].update(params=number)

    ours, theirs = (world.edited(f"params-{n}", base, counted(n)) for n in (1_000, params))
    found_code, found = gated(theirs, base=ours)
    assert (found_code, verdicts(found)["params"]) == (code, verdict)
    assert rows(found)["params"]["interval"] is None


def test_seconds_of_separate_runs_are_never_judged(world: World, base: Path, gated: Callable) -> None:
    def slow(run: dict[str, Any]) -> None:
        run["results"][0]["latency"]["end_to_end"].update(median_s=1000.0, p90_s=1000.0)

    code, found = gated(world.edited("slow", base, slow))
    row = rows(found)["seconds_end_to_end"]
    assert (code, row["verdict"], row["required"], row["head"]) == (0, "could-not-measure", False, 1000.0)


# --- pictures made elsewhere


def test_pictures_of_unknown_noise_pass_if_they_are_near_and_else_nothing_is_claimed_of_drift(
    world: World, gated: Callable
) -> None:
    folders = {}
    for name, change in (("near", 1), ("far", 30)):
        folders[name] = world.folder / f"folder-{name}"
        folders[name].mkdir(exist_ok=True)
        for file in (world.folder / "pictures").iterdir():
            picture = np.asarray(Image.open(file)).astype(int) + change
            Image.fromarray(picture.clip(0, 255).astype(np.uint8)).save(folders[name] / file.name)
    ours = world.run("folder-base", methods=f"folder:{world.folder / 'pictures'}")
    near, far = (world.run(f"run-{name}", methods=f"folder:{folder}") for name, folder in folders.items())
    assert verdicts(gated(near, base=ours)[1])["drift_mini_features"] == "pass"
    row = rows(gated(far, base=ours)[1])["drift_mini_features"]
    assert row["verdict"] == "could-not-measure"
    assert "nobody here knows their noise" in row["reason"]


# --- thresholds


def test_rules_of_a_file(world: World, base: Path, gated: Callable) -> None:
    """Bands, improvements, margins and rows left out; the first rule that matches holds."""
    head = world.run("bright", fault="bright")
    value = rows(gated(head)[1])["mini_fd"]["head"]
    text = f"""
    [[rule]]
    metric = "mini_fd"
    method = "gated:Stored"
    band = [{value - 1}, {value + 1}]

    [[rule]]
    metric = "mini_*"
    must_improve = true

    [[rule]]
    metric = "drift_*"
    ignore = true

    [[rule]]
    suite = "mini"
    metric = ["caption_accuracy", "nothing"]
    margin = ["500%", 0.01]

    [[rule]]
    metric = "fdi"
    margin = 1
    """
    _, found = gated(head, "--thresholds", limits(world.folder, text))
    assert "drift_mini_features" not in rows(found)
    assert rows(found)["mini_fd"]["band"] == [value - 1, value + 1]
    assert verdicts(found)["mini_fd"] == "pass"
    assert "had to improve" in rows(found)["mini_kd"]["reason"]
    assert rows(found)["caption_accuracy"]["margin"] == pytest.approx(5 * rows(found)["caption_accuracy"]["base"])
    assert "drift_mini_features of gated:Stored, drift_median_mini_features of gated:Stored: ignored" in found["notes"]
    assert "rule 5 of the thresholds (metric fdi) is first for no row" in found["notes"]
    assert not any("rule 3" in note for note in found["notes"])


def test_a_band_holds_for_equal_pictures_too(world: World, base: Path, gated: Callable) -> None:
    code, found = gated(base, "--thresholds", limits(world.folder, '[[rule]]\nmetric = "mini_fd"\nband = [0, 0.1]\n'))
    assert (code, verdicts(found)["mini_fd"]) == (1, "fail")


def test_equal_is_no_improvement(world: World, base: Path, gated: Callable) -> None:
    rule = limits(world.folder, '[[rule]]\nmetric = "mini_fd"\nmust_improve = true\n')
    code, found = gated(base, "--thresholds", rule)
    assert (code, rows(found)["mini_fd"]["reason"]) == (1, "equal, and had to improve")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ('[[rule]]\nmargin = "two"', "rule 1 margin: 'two' is no margin"),
        ("[[rule]]\nmargin = -1", "rule 1 margin: -1 is no margin"),
        ("[[rule]]\nmargin = true", "rule 1 margin: True is no margin"),
        ('[[rule]]\nmargin = "nan%"', "is no margin"),
        ("[[rule]]\nmargin = []", "rule 1 margin"),
        ('[[rule]]\nmetrc = "fid"\nmargin = 1', "rule 1 metrc"),
        ("[[rule]]\nmargin = 1\n[[rule]]\nband = [2, 1]", "rule 2: band [2.0, 1.0]: the lower end comes first"),
        ('[[rule]]\nmetric = "fid"', "give exactly one of margin, band, must_improve"),
        ("[[rule]]\nmargin = 1\nignore = true", "give exactly one of"),
        ("level = 1.5", "level"),
        ("rules =", "Invalid value"),
    ],
)
def test_bad_thresholds_are_one_line(tmp_path: Path, bench: Bench, text: str, says: str) -> None:
    with pytest.raises(BenchError, match=r"thresholds '.*limits\.toml'") as caught:
        load_thresholds(limits(tmp_path, text))
    assert says in str(caught.value)
    code, out, err = bench("gate", tmp_path, tmp_path, "--thresholds", tmp_path / "limits.toml")
    assert (code, out, len(err.splitlines())) == (2, "", 1)


def test_a_method_that_head_lost_keeps_it_from_passing(world: World, base: Path, gated: Callable) -> None:
    def more(run: dict[str, Any]) -> None:
        run["results"].append(run["results"][0] | {"method": "another"})

    code, found = gated(base, base=world.edited("more", base, more))
    assert code == 2
    assert rows(found)["method"]["reason"] == "head has no such row"


def test_a_pass_takes_a_number_that_passed() -> None:
    counted = GateRow(method="m", metric="params", kind="count", base=1, head=1, verdict="pass", higher_is_better=False)
    assert overall([]) == overall([counted]) == "could-not-measure"


def test_a_band_that_no_row_has_is_not_passed(tmp_path: Path, base: Path, gated: Callable) -> None:
    rule = limits(tmp_path, "[[rule]]\nmetric = 'fid'\nband = [20, 23]")
    code, found = gated(base, "--thresholds", rule)
    assert code == 2
    assert any("what it demands was not seen" in note for note in found["notes"])


def test_a_rule_for_all_metrics_does_not_set_how_far_pictures_may_move(tmp_path: Path) -> None:
    wide = load_thresholds(limits(tmp_path, "[[rule]]\nmargin = 0.5"))
    assert wide.of("mini", "m", "drift_mini_features").margin == default_of("drift_mini_features").margin
    with pytest.raises(BenchError, match="there is no share"):
        load_thresholds(limits(tmp_path, "[[rule]]\nmetric = 'drift_*'\nmargin = '2%'"))


def test_patterns_take_brackets_as_they_are() -> None:
    assert matches("sd15[*,steps=8]", "sd15[checkpoint=a/b,steps=8]")
    assert not matches("sd15[ab]", "sd15a")
    assert matches("fi?", "fid")
    assert not matches("fid", "fid_infinity")


def test_the_page_lists_the_defaults() -> None:
    page = (Path(__file__).parents[2] / "docs" / "gate.md").read_text()
    for default in DEFAULTS:
        assert f"| {', '.join(f'`{name}`' for name in default.metrics)} |" in page
        assert f"| {default.why} |" in page


def test_every_metric_has_a_default_of_its_kind() -> None:
    from t2ibench.metrics import METRICS

    others = {name for name in METRICS.names() if default_of(name) not in DEFAULTS}
    assert others == {"inception_score"}
    assert default_of("fid").margin.of(23.4) == pytest.approx(0.468)
    assert default_of("clip_score_x100").margin.of(31.7) == pytest.approx(0.0634)
    assert Thresholds().of("s", "m", "mini_fd_excess").ignore


# --- the rule


def case(low: float, estimate: float, high: float, margin: float, **more: Any) -> Case:
    change = Change(estimate, low, high)
    return Case(change, more.pop("together", change), more.pop("higher", False), margin, 100, 10_000, True, **more)


@pytest.mark.parametrize(
    ("low", "estimate", "high", "margin", "verdict"),
    [
        (0.1, 2.0, 3.0, 1.0, "fail"),
        (0.1, 0.5, 0.9, 1.0, "pass"),  # worse for sure, and not by enough to matter
        (0.1, 0.5, 1.5, 1.0, "could-not-measure"),
        (-0.1, 2.0, 4.0, 1.0, "could-not-measure"),
        (-1.0, 0.0, 0.9, 1.0, "pass"),
        (-1.0, 0.0, 1.0, 1.0, "could-not-measure"),
        (-3.0, -2.0, -1.0, 0.0, "pass"),
        (0.0, 0.0, 0.0, 0.0, "pass"),  # nothing is left to chance
        (1.0, 1.0, 1.0, 1.0, "pass"),
        (1.1, 1.1, 1.1, 1.0, "fail"),
        (float("nan"), float("nan"), float("nan"), 1.0, "could-not-measure"),
    ],
)
def test_the_rule(low: float, estimate: float, high: float, margin: float, verdict: str) -> None:
    assert judge(case(low, estimate, high, margin), str).verdict == verdict
    assert judge(case(-high, -estimate, -low, margin, higher=True), str).verdict == verdict


def test_a_fail_has_to_hold_over_all_rows() -> None:
    judged = judge(case(0.1, 2.0, 4.0, 1.0, together=Change(2.0, -0.5, 4.5)), str)
    assert judged.verdict == "could-not-measure"
    assert "which one row of so many may be by chance: about 160 pictures in place of 100" in judged.reason


def test_how_many_pictures_would_tell() -> None:
    """The half width of 2 has to come down to the 1 that is left to the margin: four times the pictures."""
    assert "about 400 pictures in place of 100" in judge(case(-2.0, 0.0, 2.0, 1.0), str).reason
    assert "hardly help" in judge(case(-1.0, 0.9999, 3.0, 1.0), str).reason
    assert "(the dataset holds 10,000 prompts)" in judge(case(-20.0, 0.0, 20.0, 1.0), str).reason


def test_improvements_bands_and_drift() -> None:
    assert judge_improvement(case(-3.0, -2.0, -1.0, 0.0), str).verdict == "pass"
    assert judge_improvement(case(-3.0, -1.0, 1.0, 0.0), str).verdict == "could-not-measure"
    assert judge_improvement(case(0.1, 1.0, 2.0, 0.0), str).verdict == "fail"
    rule = Thresholds.model_validate({"rule": [{"band": [1, 2]}]}).rule[0]
    assert [judge_band(value, rule, str).verdict for value in (0.9, 1, 2, 2.1)] == ["fail", "pass", "pass", "fail"]
    far = case(0.1, 0.2, 0.3, 0.01)
    assert judge_drift(far, str, True).verdict == "fail"
    assert judge_drift(far, str, False).verdict == "could-not-measure"
    unsure = case(0.1, 0.2, 0.3, 0.01, together=Change(0.2, -0.1, 0.5))
    assert judge_drift(unsure, str, True) == (
        "could-not-measure",
        "the pictures moved by 0.1 to 0.3, which one row of so many may by chance: "
        "about 230 pictures in place of 100 would tell",
    )


def test_one_fail_outweighs_what_could_not_be_measured() -> None:
    def row(verdict: str, required: bool = True) -> GateRow:
        return GateRow(method="m", metric="x", kind="quality", base=1, head=1, higher_is_better=True, verdict=verdict,
                       required=required)  # fmt: skip

    assert overall([row("pass"), row("could-not-measure"), row("fail")]) == "fail"
    assert overall([row("pass"), row("could-not-measure")]) == "could-not-measure"
    assert overall([row("pass"), row("could-not-measure", required=False)]) == "pass"


# --- forms


def test_compare_is_the_table_without_a_verdict(world: World, bench: Bench, base: Path) -> None:
    head = world.run("bgr", fault="bgr")
    code, out, err = bench("compare", base, head, "--offline")
    assert code == 0, err
    assert "FAIL" not in out and "margin" not in out.lower()
    code, out, _ = bench("compare", base, head, "--json", "--offline")
    found = json.loads(out)
    assert (code, found["verdict"]) == (0, None)
    assert list(rows(found))[:3] == ["mini_fd", "mini_kd", "caption_accuracy"]
    assert rows(found)["caption_accuracy"]["change"] < 0


def test_text_and_markdown(world: World, bench: Bench, base: Path) -> None:
    head = world.run("bgr", fault="bgr")
    code, out, _ = bench("gate", base, head, "--offline")
    assert code == 1
    assert "fail: a regression" in out.splitlines()[0]
    for text in ("Caption accuracy ↑", "drift (mini-features)", "FAIL¹", "95% interval", "Seconds differ"):
        assert text in out
    code, out, _ = bench("gate", base, head, "--markdown", "--offline")
    assert code == 1
    assert out.startswith("### bench gate")
    assert "| `gated:Stored` | drift (mini-features) |" in out
    assert bench("gate", base, head, "--markdown", "--json")[0] == 2


def test_two_forms_are_refused_before_anything_is_judged(tmp_path: Path, bench: Bench, base: Path) -> None:
    code, out, err = bench("gate", base, base, "--json", "--markdown", "--junit", tmp_path / "junit.xml")
    assert (code, out) == (2, "") and "--json and --markdown: choose one" in err
    assert not list(tmp_path.iterdir())


def test_a_run_gates_itself(world: World, bench: Bench, base: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    arguments = world.arguments(world.folder / "self")
    code, out, err = bench(*arguments, "--baseline", base, "--gate")
    assert code == 0, err
    assert "bench gate" in out and "pass" in out
    monkeypatch.setenv("FAULT", "bgr")
    arguments = world.arguments(world.folder / "self-bgr")
    code, out, _ = bench(*arguments, "--baseline", base, "--gate", "--json")
    assert (code, json.loads(out)["verdict"]) == (1, "fail")
    kept, report = (world.folder / "self-bgr" / name for name in ("gate.json", "report.html"))
    assert json.loads(kept.read_text())["verdict"] == "fail"
    assert "a regression" in report.read_text()
    code, out, _ = bench(*arguments, "--baseline", base)
    assert code == 0
    assert "bench compare" in out
    assert not kept.exists()  # of the run before
    assert "a regression" not in report.read_text()


def test_mistakes_come_before_the_run(world: World, bench: Bench, base: Path) -> None:
    arguments = world.arguments(world.folder / "never")
    for more, says in (
        (["--gate"], "add --baseline RUN"),
        (["--baseline", base, "--thresholds", "x.toml"], "add --gate"),
        (["--baseline", "/no/such/run", "--gate"], "no run at '/no/such/run'"),
        (["--baseline", base, "--gate", "--thresholds", "/no/such.toml"], "/no/such.toml"),
    ):
        code, out, err = bench(*arguments, *more)
        assert (code, out) == (2, "")
        assert says in err.splitlines()[-1]
    assert not (world.folder / "never" / "run.json").exists()


def test_a_baseline_file_stands_in_for_its_run(world: World, bench: Bench, base: Path, gated: Callable) -> None:
    file = world.folder / "base.zip"
    code, _, err = bench("baseline", base, "-o", file, "--offline")
    assert code == 0, err
    assert file.stat().st_size < 60_000
    for fault in ("none", "rounding", "bgr"):
        head = world.run("again" if fault == "none" else fault, fault=fault)
        (code, ours), (same, theirs) = gated(head), gated(head, base=file)
        assert code == same
        for name, row in rows(ours).items():
            assert rows(theirs)[name]["verdict"] == row["verdict"]
            if row["interval"]:
                assert rows(theirs)[name]["interval"] == pytest.approx(row["interval"], rel=0.02, abs=1e-4)


# --- broken files


def broken(folder: Path, name: str, base: Path) -> Path:
    path = folder / f"broken-{name}"
    shutil.rmtree(path, ignore_errors=True)
    shutil.copytree(base, path)
    run = json.loads((path / "run.json").read_text())
    if name == "unfinished":
        (path / "run.json").unlink()
    elif name == "half":
        (path / "run.json").write_text(json.dumps(run)[:100])
    elif name == "newer":
        (path / "run.json").write_text(json.dumps(run | {"schema": 99}))
    elif name == "foreign":
        (path / "run.json").write_text('{"schema": 1, "results": "none"}')
    elif name == "empty":
        (path / "run.json").write_text(json.dumps(run | {"results": []}))
    elif name == "scoreless":
        (path / "scores.parquet").write_bytes(b"PAR1")
    elif name == "pictureless":
        (path / "pictures.json").unlink()
    elif name == "outside":
        pictures = json.loads((path / "pictures.json").read_text())
        (path / "pictures.json").write_text(json.dumps([pictures[0] | {"file": "../../secret.png"}]))
    elif name == "log":
        (path / "log" / "worker-0.jsonl").write_text("{}\n")
    elif name == "zip":
        path = folder / "foreign.zip"
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("a.txt", "text")
    return path


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("unfinished", "has 'bench run' finished?"),
        ("half", "cannot read"),
        ("newer", "has schema 99, this version reads 1"),
        ("foreign", "is not a run"),
        ("empty", "has no results"),
        ("scoreless", "scores.parquet"),
        ("pictureless", "pictures.json"),
        ("outside", "lies outside of the run"),
        ("log", "is not a sample record"),
        ("zip", "is no baseline"),
    ],
)
@pytest.mark.parametrize("command", ["gate", "compare"])
def test_broken_runs_are_one_line_and_status_2(
    world: World, bench: Bench, base: Path, command: str, name: str, says: str
) -> None:
    path = broken(world.folder, name, base)
    for sides in ((base, path), (path, base)):
        code, out, err = bench(command, *sides)
        assert (code, out, len(err.splitlines())) == (2, "", 1)
        assert says in err
