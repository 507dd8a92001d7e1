"""`bench run` on prompts: from a checkpoint or a folder to run.json, scores and reports."""

from __future__ import annotations

import importlib
import json
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

Bench = Callable[..., tuple[int, str, str]]


@pytest.fixture
def prompts(tmp_path: Path) -> Path:
    file = tmp_path / "prompts.txt"
    file.write_text("\n".join(f"a picture of thing {index}" for index in range(5)))
    return file


def small(prompts: Path, checkpoint: Path, out: Path, *more: object, options: str = "scheduler=ddim,steps=2") -> list:
    method = f"sd15[checkpoint={checkpoint},{options}]"
    return ["run", "--suite", "prompts", "--prompts", prompts, "--methods", method, "--out", out,
            "--set", "sampling.size=64", "--offline", *more]  # fmt: skip


def read(out: Path) -> dict:
    return json.loads((out / "run.json").read_text())


def digests(out: Path) -> dict[str, str]:
    lines = [json.loads(line) for log in (out / "log").glob("*.jsonl") for line in log.read_text().splitlines()]
    assert len({line["key"] for line in lines}) == len(lines), "a sample was made twice"
    return {line["prompt_id"]: line["image"] for line in lines}


def test_a_run_has_what_the_contract_says(bench: Bench, prompts: Path, tiny_sd: Path, tmp_path: Path) -> None:
    status, out, err = bench(*small(prompts, tiny_sd, tmp_path / "run"))
    assert status == 0, err
    run = read(tmp_path / "run")
    assert set(run) == {"schema", "suite", "created", "environment", "results", "skipped"}
    (result,) = run["results"]
    assert result["n"] == 5
    assert result["settings"] == {"scheduler": "ddim", "steps": 2, "guidance": 7.5, "size": "64x64",
                                  "dtype": "fp32", "device": "cpu"}  # fmt: skip
    assert result["metrics"]["clip_score"]["value"] is None
    assert "open_clip" in result["metrics"]["clip_score"]["reason"]
    time = result["latency"]["end_to_end"]
    assert set(time) == {"median_s", "p90_s", "n", "device", "batch_sizes", "threads", "warm"}
    assert len(time["batch_sizes"]) == len(time["threads"]) == 1
    cost = result["cost"]
    assert cost["forwards_per_image"] == 4
    assert cost["forwards"] == {"text_encoder": 1, "unet": 4, "decoder": 1}
    assert 4 * cost["macs_per_forward"] < cost["macs_per_image"]
    assert (tmp_path / "run" / "report.html").exists()
    assert "sd15" in out
    frame = pd.read_parquet(tmp_path / "run" / "scores.parquet")
    assert list(frame.columns) == ["method", "prompt_id", "sample", "metric", "value"]


def test_order_and_resume_leave_every_bit(bench: Bench, prompts: Path, tiny_sd: Path, tmp_path: Path) -> None:
    assert bench(*small(prompts, tiny_sd, tmp_path / "whole", "--batch-size", 2))[0] == 0
    backwards = tmp_path / "backwards.csv"
    rows = prompts.read_text().split("\n")
    backwards.write_text("id,prompt\n" + "\n".join(f"{i:05d},{rows[i]}" for i in reversed(range(5))))
    assert bench(*small(backwards, tiny_sd, tmp_path / "backwards", "--batch-size", 2))[0] == 0
    assert bench(*small(prompts, tiny_sd, tmp_path / "parts", "--batch-size", 2, "--limit", 3))[0] == 0
    assert bench(*small(prompts, tiny_sd, tmp_path / "parts", "--batch-size", 2))[0] == 0
    assert digests(tmp_path / "whole") == digests(tmp_path / "backwards") == digests(tmp_path / "parts")


def test_another_setting_in_the_same_folder_makes_other_pictures(
    bench: Bench, prompts: Path, tiny_sd: Path, tmp_path: Path
) -> None:
    out = tmp_path / "run"
    assert bench(*small(prompts, tiny_sd, out, "--limit", 1))[0] == 0
    first = read(out)
    assert bench(*small(prompts, tiny_sd, out, "--limit", 1, "--seed", 1))[0] == 0
    assert len(list((out / "images").rglob("*.png"))) == 2
    assert first["suite"]["seed"] == 0
    assert read(out)["suite"]["seed"] == 1


def test_a_finished_run_is_not_loaded_again(
    bench: Bench, prompts: Path, tiny_sd: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from t2ibench.adapters.sd15 import StableDiffusion

    out = tmp_path / "run"
    assert bench(*small(prompts, tiny_sd, out))[0] == 0
    before = read(out)["results"]
    monkeypatch.setattr(StableDiffusion, "load", lambda *_: pytest.fail("loaded again"))
    status, _, err = bench(*small(prompts, tiny_sd, out))
    assert status == 0, err
    assert read(out)["results"] == before


def test_bf16_differs_little_and_is_its_own_row(bench: Bench, prompts: Path, tiny_sd: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    assert bench(*small(prompts, tiny_sd, out))[0] == 0
    assert bench(*small(prompts, tiny_sd, out, "--dtype", "bf16"))[0] == 0
    assert read(out)["results"][0]["settings"]["dtype"] == "bf16"
    assert len((out / "log" / "worker-0.jsonl").read_text().splitlines()) == 10


def test_a_pipeline_of_diffusers_as_it_is(bench: Bench, prompts: Path, tiny_sd: Path, tmp_path: Path) -> None:
    arguments = small(prompts, tiny_sd, tmp_path / "run", "--limit", 2)
    arguments[arguments.index("--methods") + 1] = f"diffusers:{tiny_sd}[steps=2,scheduler=ddim]"
    status, _, err = bench(*arguments)
    assert status == 0, err
    (result,) = read(tmp_path / "run")["results"]
    assert result["settings"]["steps"] == 2
    assert result["settings"]["guidance"] == 7.5


def test_a_sweep_spreads_every_method(bench: Bench, prompts: Path, tiny_sd: Path, tmp_path: Path) -> None:
    sweep = ["--set", "sweep.setting=guidance", "--set", "sweep.values=[1, 7.5]"]
    status, _, err = bench(*small(prompts, tiny_sd, tmp_path / "run", "--limit", 1, *sweep))
    assert status == 0, err
    assert [r["settings"]["guidance"] for r in read(tmp_path / "run")["results"]] == [1.0, 7.5]


def test_long_prompts_are_noted(bench: Bench, tiny_sd: Path, tmp_path: Path) -> None:
    file = tmp_path / "long.txt"
    file.write_text("word " * 100 + "lost words")
    assert bench(*small(file, tiny_sd, tmp_path / "run"))[0] == 0
    note, _ = read(tmp_path / "run")["results"][0]["notes"]
    assert "cut after 77 tokens" in note
    assert "lost words" in note


OWN = """
import time
import numpy as np
from t2ibench import Adapter
from t2ibench.adapters import noise

class Dots(Adapter):
    def load(self, device, dtype):
        pass
    def generate(self, requests):
        time.sleep({pause})
        draws = [noise.normal(r, (r.height, r.width, 3)) for r in requests]
        return np.stack([(d * 60 + 128).clip(0, 255).astype(np.uint8) for d in draws])
"""


def test_a_class_of_the_users_own_is_found_in_the_current_folder(
    bench: Bench, prompts: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "clouds_of_mine.py").write_text(OWN.format(pause=0))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    status, _, err = bench("run", "--suite", "prompts", "--prompts", prompts, "--methods", "clouds_of_mine:Dots",
                           "--set", "sampling.size=64")  # fmt: skip
    assert status == 0, err
    assert read(tmp_path / "runs" / "prompts")["results"][0]["method"] == "clouds_of_mine:Dots"


def test_kill_9_loses_nothing_and_makes_nothing_twice(
    bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed twice at some moment, the third run ends with the pictures of an undisturbed one."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    (tmp_path / "killed_method.py").write_text(OWN.format(pause=0.02))
    (tmp_path / "prompts.txt").write_text("\n".join(f"thing {index}" for index in range(60)))
    arguments = ["run", "--suite", "prompts", "--prompts", "prompts.txt", "--methods", "killed_method:Dots",
                 "--set", "sampling.size=64", "--batch-size", "2", "--offline"]  # fmt: skip
    command = [sys.executable, "-m", "t2ibench.bench.cli", *arguments, "--out", "killed"]

    def lines() -> int:
        log = tmp_path / "killed" / "log" / "worker-0.jsonl"
        return log.read_bytes().count(b"\n") if log.exists() else 0

    for enough in (4, 20):
        process = subprocess.Popen(command, stderr=subprocess.PIPE)
        while lines() < enough and process.poll() is None:
            time.sleep(0.005)
        assert process.poll() is None, process.stderr.read()
        process.send_signal(signal.SIGKILL)
        process.wait()
        process.stderr.close()
        assert 0 < lines() < 60
    for out in ("killed", "undisturbed"):
        assert bench(*arguments, "--out", out)[0] == 0
    assert digests(tmp_path / "killed") == digests(tmp_path / "undisturbed")
    assert [r["metrics"] for r in read(tmp_path / "killed")["results"]] == [
        r["metrics"] for r in read(tmp_path / "undisturbed")["results"]
    ]


def test_interrupt_leaves_a_run_to_go_on_with_and_says_so(tmp_path: Path) -> None:
    (tmp_path / "own_method.py").write_text(OWN.format(pause=0.05))
    (tmp_path / "prompts.txt").write_text("\n".join(f"thing {index}" for index in range(400)))
    command = [sys.executable, "-m", "t2ibench.bench.cli", "run", "--suite", "prompts", "--prompts", "prompts.txt",
               "--methods", "own_method:Dots", "--set", "sampling.size=64", "--batch-size", "2",
               "--out", "run"]  # fmt: skip
    # Where the tests run in the background of a shell, children would ignore the signal.
    process = subprocess.Popen(
        command,
        cwd=tmp_path,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    log = tmp_path / "run" / "log" / "worker-0.jsonl"
    while not log.exists() and process.poll() is None:
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=30)
    assert process.returncode == 130
    assert "Traceback" not in err
    assert "the same command goes on" in err


def pictures(folder: Path, names: list[str], suffix: str = ".png") -> Path:
    from PIL import Image

    folder.mkdir(exist_ok=True)
    for index, name in enumerate(names):
        Image.new("RGB", (64, 64), (index * 40, 100, 50)).save(folder / f"{name}{suffix}")
    return folder


def folder_run(bench: Bench, prompts: Path, method: str, out: Path, *more: object) -> tuple[int, str, str]:
    return bench("run", "--suite", "prompts", "--prompts", prompts, "--methods", method, "--out", out, *more)


def test_folder_keeps_files_as_they_are_and_limits_after_matching(bench: Bench, prompts: Path, tmp_path: Path) -> None:
    made = pictures(tmp_path / "phone", ["1", "00003", "unrelated"], ".jpg")
    status, _, err = folder_run(bench, prompts, f"folder:{made}", tmp_path / "run", "--limit", 2)
    assert status == 0, err
    run = read(tmp_path / "run")
    assert run["results"][0]["n"] == 2
    assert any("2 of 5 prompts" in note for note in run["suite"]["notes"])
    assert set(digests(tmp_path / "run")) == {"00001", "00003"}
    stored = [path.read_bytes() for path in (tmp_path / "run" / "images").rglob("*.jpg")]
    assert sorted(stored) == sorted((made / name).read_bytes() for name in ("1.jpg", "00003.jpg"))


def test_folder_by_index(bench: Bench, prompts: Path, tmp_path: Path) -> None:
    made = pictures(tmp_path / "phone", ["x", "y"])
    rows = [{"file": "x.png", "prompt": "a picture of thing 4"}, {"file": "y.png", "prompt_id": "00000"}]
    (made / "index.jsonl").write_text("\n".join(map(json.dumps, rows)))
    status, _, err = folder_run(bench, prompts, f"folder:{made}", tmp_path / "run")
    assert status == 0, err
    assert set(digests(tmp_path / "run")) == {"00000", "00004"}


def test_a_changed_file_is_noticed(bench: Bench, prompts: Path, tmp_path: Path) -> None:
    made = pictures(tmp_path / "phone", ["1"])
    assert folder_run(bench, prompts, f"folder:{made}", tmp_path / "run")[0] == 0
    pictures(made, ["other", "1"])
    assert folder_run(bench, prompts, f"folder:{made}", tmp_path / "run")[0] == 0
    pages = read(tmp_path / "run")
    assert pages["results"][0]["n"] == 1
    shown = json.loads((tmp_path / "run" / "pictures.json").read_text())
    assert (tmp_path / "run" / shown[0]["file"]).read_bytes() == (made / "1.png").read_bytes()


@pytest.mark.parametrize(
    ("names", "message"),
    [(["foreign"], "no file in"), (["1", "01"], "are both the picture of"), ([], "the folder is empty")],
)
def test_folders_that_cannot_be_matched(
    bench: Bench, prompts: Path, tmp_path: Path, names: list[str], message: str
) -> None:
    made = pictures(tmp_path / "phone", names)
    status, _, err = folder_run(bench, prompts, f"folder:{made}", tmp_path / "run")
    assert status == 2
    assert message in err
    assert err.count("\n") == 1


def test_dry_run_makes_nothing_and_then_knows_the_time(
    bench: Bench, prompts: Path, tiny_sd: Path, tmp_path: Path
) -> None:
    out = tmp_path / "run"
    status, text, err = bench(*small(prompts, tiny_sd, out, "--dry-run"))
    assert status == 0, err
    assert "5 pictures to make" in text
    assert not out.exists()
    assert bench(*small(prompts, tiny_sd, out, "--limit", 1))[0] == 0
    status, text, _ = bench(*small(prompts, tiny_sd, out, "--dry-run", "--json"))
    (row,) = json.loads(text)["rows"]
    assert (row["pictures"], row["finished"]) == (4, 1)
    assert row["seconds"] > 0


def test_report_writes_the_same_again(bench: Bench, prompts: Path, tiny_sd: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    assert bench(*small(prompts, tiny_sd, out))[0] == 0
    before = (out / "report.md").read_text()
    status, _, err = bench("report", out, "--markdown", tmp_path / "again.md", "--html", tmp_path / "again.html")
    assert status == 0, err
    # It links the page that was written with it.
    assert (tmp_path / "again.md").read_text().replace("<again.html>", "<report.html>") == before
    assert "<img" in (tmp_path / "again.html").read_text()


def test_fresh_makes_all_again_but_not_after_a_mistake(
    bench: Bench, prompts: Path, tiny_sd: Path, tmp_path: Path
) -> None:
    out = tmp_path / "run"
    assert bench(*small(prompts, tiny_sd, out))[0] == 0
    first = digests(out)
    arguments = small(prompts, tiny_sd, out, "--fresh")
    mistaken = [str(a).replace("sd15[", "sd51[") for a in arguments]
    assert bench(*mistaken)[0] == 2
    assert digests(out) == first
    assert (out / "run.json").exists()
    shutil.rmtree(out / "images")
    assert bench(*arguments)[0] == 0
    assert digests(out) == first


def test_what_a_row_says_of_itself_is_of_its_own_settings(
    bench: Bench, prompts: Path, tiny_sd: Path, tmp_path: Path
) -> None:
    out = tmp_path / "run"
    for steps in (2, 3, 2):
        options = f"scheduler=ddim,steps={steps}"
        assert bench(*small(prompts, tiny_sd, out, "--limit", 1, options=options))[0] == 0
        (result,) = read(out)["results"]
        assert (result["settings"]["steps"], result["cost"]["forwards_per_image"]) == (steps, 2 * steps)


def keys(out: Path) -> set[str]:
    return {json.loads(line)["key"] for line in (out / "log" / "worker-0.jsonl").read_text().splitlines()}


def test_a_changed_checkpoint_makes_other_pictures_an_unused_file_does_not(
    bench: Bench, prompts: Path, tiny_sd: Path, tmp_path: Path
) -> None:
    checkpoint, out = shutil.copytree(tiny_sd, tmp_path / "sd"), tmp_path / "run"
    command = small(prompts, checkpoint, out, "--limit", 1)
    assert bench(*command)[0] == 0
    (checkpoint / "safety_checker").mkdir()
    (checkpoint / "safety_checker" / "model.safetensors").write_bytes(b"unused")
    assert bench(*command)[0] == 0
    assert len(keys(out)) == 1
    schedule = checkpoint / "scheduler" / "scheduler_config.json"
    schedule.write_text(schedule.read_text().replace('"epsilon"', '"v_prediction"'))
    assert bench(*command)[0] == 0
    assert len(keys(out)) == 2


@pytest.fixture
def own_run(bench: Bench, prompts: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], tuple]:
    """Run the class Dots of a module with the given code, imported anew."""

    def run(code: str) -> tuple[int, str, str]:
        (tmp_path / "own_method.py").write_text(code)
        sys.modules.pop("own_method", None)
        importlib.invalidate_caches()
        return bench("run", "--suite", "prompts", "--prompts", prompts, "--methods", "own_method:Dots",
                     "--set", "sampling.size=64", "--out", tmp_path / "run")  # fmt: skip

    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    yield run
    sys.modules.pop("own_method", None)


def test_a_changed_class_makes_other_pictures(own_run: Callable[[str], tuple], tmp_path: Path) -> None:
    for gain, pictures_made in (("60", 5), ("60", 5), ("20", 10)):
        status, _, err = own_run(OWN.format(pause=0).replace("* 60", f"* {gain}"))
        assert status == 0, err
        assert len(keys(tmp_path / "run")) == pictures_made


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("def broken(:", "SyntaxError"),
        ("raise RuntimeError('at import')", "at import"),
        (OWN.format(pause=0).replace("time.sleep(0)", "raise ValueError('first')"), "ValueError: first"),
        (OWN.format(pause=0).replace(".astype(np.uint8)", ""), "must return uint8"),
        (OWN.format(pause=0).replace("class Dots(Adapter):", "class Dots(Adapter):\n    def __init__(self, *, a): ..."),
         "needs the option 'a'"),
    ],
)  # fmt: skip
def test_faults_of_a_users_class_name_the_method(own_run: Callable[[str], tuple], code: str, message: str) -> None:
    status, _, err = own_run(code)
    last = err.splitlines()[-1]
    assert status == 2
    assert "own_method" in last
    assert message in last
    assert "Traceback" not in err


def test_a_method_of_the_suite_that_cannot_run_is_skipped_the_others_go_on(
    bench: Bench, prompts: Path, tiny_sd: Path, tmp_path: Path
) -> None:
    made = pictures(tmp_path / "phone", ["1"])
    (tmp_path / "own.toml").write_text(
        "name = 'own'\nversion = 1\nsummary = 's'\ndataset = 'prompts'\n"
        f"methods = ['folder:{tmp_path}/nowhere', 'folder:{made}', 'sd15[checkpoint={tiny_sd}/unet]']\n"
    )
    command = ["run", "--suite", tmp_path / "own.toml", "--prompts", prompts, "--out", tmp_path / "run"]
    status, _, err = bench(*command)
    assert status == 0, err
    run = read(tmp_path / "run")
    assert [result["method"] for result in run["results"]] == [f"folder:{made}"]
    assert len(run["skipped"]) == 2
    assert bench(*command, "--strict")[0] == 2


def test_nan_is_refused_not_measured_as_black(bench: Bench, prompts: Path, tiny_sd: Path, tmp_path: Path) -> None:
    from safetensors.torch import load_file, save_file

    broken = shutil.copytree(tiny_sd, tmp_path / "sd")
    weights = broken / "vae" / "diffusion_pytorch_model.safetensors"
    save_file({name: tensor * float("nan") for name, tensor in load_file(weights).items()}, weights)
    status, _, err = bench(*small(prompts, broken, tmp_path / "run"))
    assert status == 2
    assert "NaN" in err


def test_folder_never_guesses_between_two(bench: Bench, tmp_path: Path) -> None:
    made = pictures(tmp_path / "phone", ["007", "0008", "x"])
    pictures(made, ["x"], ".jpg")
    for ids, message in (("007,b\n8,c", None), ("7,a\n007,b\n8,c", "both mean the picture '007.png'")):
        (tmp_path / "p.csv").write_text(f"id,prompt\n{ids}")
        status, _, err = folder_run(bench, tmp_path / "p.csv", f"folder:{made}", tmp_path / "run")
        assert status == (2 if message else 0), err
        assert (message or "") in err
    assert set(digests(tmp_path / "run")) == {"007", "8"}


def test_folder_refuses_what_it_cannot_honour(bench: Bench, prompts: Path, tmp_path: Path) -> None:
    made = pictures(tmp_path / "phone", ["1"])
    for more, message in (
        (["--set", "sampling.samples=4"], "one picture per prompt"),
        (["--set", "sweep.setting=steps", "--set", "sweep.values=[1, 2]"], "takes no scheduler, steps or guidance"),
    ):
        status, _, err = folder_run(bench, prompts, f"folder:{made}", tmp_path / "run", *more)
        assert status == 2
        assert message in err
    pictures(tmp_path, ["secret"])
    (made / "index.jsonl").write_text('{"file": "../secret.png", "prompt_id": "00001"}')
    status, _, err = folder_run(bench, prompts, f"folder:{made}", tmp_path / "run")
    assert status == 2
    assert "lies outside" in err


def test_a_broken_picture_of_a_folder_is_named_by_its_own_name(bench: Bench, prompts: Path, tmp_path: Path) -> None:
    made = pictures(tmp_path / "phone", ["1"])
    (made / "00002.png").write_bytes((made / "1.png").read_bytes()[:60])
    status, _, err = folder_run(bench, prompts, f"folder:{made}", tmp_path / "run")
    assert status == 2
    assert "00002.png" in err
