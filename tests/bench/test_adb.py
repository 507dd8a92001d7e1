"""The device ``adb`` against a stand-in: a program that answers as adb, a phone and ``benchmark_model`` do."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from t2ibench.bench.devices import make_device
from t2ibench.bench.devices.adb import Adb, stage_file
from t2ibench.bench.devices.base import DeviceOptions
from t2ibench.bench.devices.benchmark_model import read_report
from t2ibench.bench.devices.phone import FOLDER, Phone, listed
from t2ibench.core.errors import BenchError
from t2ibench.datasets.request import Request
from t2ibench.reports.latency import load_latency

SERIAL = "31041FDH2006EY"

# What benchmark_model prints, by the source of LiteRT's and logs of it: the older one prefixes lines of its own with
# INFO, and has no percentiles.
PRINTED = """\
INFO: STARTING!
INFO: Log parameter values verbosely: [0]
INFO: Min num runs: [{runs}]
INFO: Graph: [{graph}]
INFO: Signature to run: []
INFO: Loaded model {graph}
INFO: Initialized TensorFlow Lite runtime.
INFO: Created TensorFlow Lite XNNPACK delegate for CPU.
VERBOSE: Replacing 539 out of 539 node(s) with delegate (TfLiteXNNPackDelegate) node, yielding 1 partitions.
INFO: The input model file size (MB): 3.06409
INFO: Initialized session in 92.318ms.
INFO: Running benchmark for at least 1 iterations and at least 0 seconds but terminate if exceeding 600 seconds.
INFO: count=1 curr=235158 p5=235158 median=235158 p95=235158

INFO: Running benchmark for at least {runs} iterations and at least 0 seconds but terminate if exceeding 600 seconds.
INFO: count=25 first=187533 curr=140990 min=140071 max=195121 avg=145528 std=13583 p5=140545 median=141253 p95=187533

INFO: Inference timings in us: Init: 92318, First inference: 235158, Warmup (avg): 211669, Inference (avg): 145528
INFO: Note: as the benchmark tool itself affects memory footprint, the following is only APPROXIMATE to the actual
INFO: Memory footprint delta from the start of the tool (MB): init=54.2852 overall=73.4102
{peak}"""
PEAK = "INFO: Overall peak memory footprint (MB) via periodic monitoring: 80.5\n"
OLD = """\
STARTING!
Loaded model /data/local/tmp/a.tflite
Initialized session in 0.855ms.
count=15 first=49060 curr=33682 min=32825 max=49060 avg=34825.1 std=3930

count=50 first=32891 curr=33978 min=32641 max=34005 avg=33209.4 std=450

Inference timings in us: Init: 855, First inference: 49060, Warmup (avg): 9.99242e+06, Inference (avg): 33209.4
Peak memory footprint (MB): init=0 overall=12.8672
"""
REFUSED = """\
ERROR: Following operations are not supported by GPU delegate:
GATHER: Operation is not supported.
CAST: Not supported Cast case. Input type: INT64 and output type: INT32
72 operations will run on the GPU, and the remaining 2658 operations will run on the CPU.
ERROR: TfLiteGpuDelegate Init: CONCATENATION: Expected a 4D tensor of shape BxHxWxC but got 1x256
ERROR: Failed to apply GPU delegate.
ERROR: Benchmarking failed.
"""

STAND_IN = """#!{python} -IS
import json, pathlib, re, sys, time
home = pathlib.Path({home!r})
phone = json.loads((home / "phone.json").read_text())
arguments = sys.argv[1:]
with open(home / "calls", "a") as log:
    print(json.dumps(arguments), file=log)


def fail(text, status=1):
    print(text, file=sys.stderr)
    sys.exit(status)


if arguments[0] == "devices":
    print("* daemon not running; starting now at tcp:5037\\n* daemon started successfully", file=sys.stderr)
    print("List of devices attached")
    for serial, state in phone["devices"].items():
        print(f"{{serial:22}} {{state}} usb:1-1 product:panther model:Pixel_7 device:panther transport_id:1")
    print()
    sys.exit()
assert arguments[0] == "-s", arguments
serial, verb, *rest = arguments[1:]
state = phone["devices"].get(serial)
if state is None:
    fail(f"adb: device '{{serial}}' not found")
if state == "unauthorized":
    fail("adb: device unauthorized.\\nThis adb server's $ADB_VENDOR_KEYS is not set\\nTry 'adb kill-server'")
if state == "offline":
    fail("adb: device offline")
on_phone = lambda path: home / "fs" / path.lstrip("/")
if verb == "push":
    local, remote = rest
    if phone.get("full"):
        fail(f"adb: error: failed to copy '{{local}}' to '{{remote}}': remote write failed: No space left on device")
    on_phone(remote).parent.mkdir(parents=True, exist_ok=True)
    on_phone(remote).write_bytes(pathlib.Path(local).read_bytes())
    print(f"{{local}}: 1 file pushed, 0 skipped. 32.5 MB/s")
    sys.exit()
command = rest[0]
if command.startswith("stat -c %s"):
    file = on_phone(command.split()[3])
    if file.exists():
        print(file.stat().st_size)
    sys.exit(not file.exists())
if " mv " in command:
    source, target = re.search(r"mv (\\S+) (\\S+)", command).groups()
    on_phone(source).rename(on_phone(target))
elif command == "getprop":
    print("".join(f"[{{name}}]: [{{value}}]\\n" for name, value in phone["properties"].items()))
elif command == "dumpsys thermalservice":
    print(f"IsStatusOverride: false\\nThermal Status: {{phone.get('thermal', 0)}}\\nHAL Ready: true")
elif command == "dumpsys battery":
    print("Current Battery Service state:\\n  USB powered: true\\n  level: 87\\n  temperature: 312")
elif "--graph=" in command:
    program, graph = command.split()[0], re.search(r"--graph=(\\S+)", command)[1]
    assert on_phone(program).exists() and on_phone(graph).exists(), command
    time.sleep(phone.get("sleep", 0))
    answers = phone["answers"]
    runs = re.search(r"--num_runs=(\\d+)", command)[1]
    peak = {peak!r} if "report_peak_memory_footprint=true" in command else ""
    text = next((text for part, text in answers.items() if part and part in graph), answers[""])
    print(text.format(runs=runs, graph=graph, peak=peak) if "{{graph}}" in text else text)
    sys.exit("Inference timings" not in text)
"""

Set = Callable[..., Path]


@pytest.fixture
def phone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Set:
    """Put a stand-in in adb's place and return what changes the phone behind it."""
    adb = tmp_path / "adb"
    adb.write_text(STAND_IN.format(python=sys.executable, home=str(tmp_path), peak=PEAK))
    adb.chmod(0o755)
    monkeypatch.setenv("T2IBENCH_ADB", str(adb))
    properties = {
        "ro.product.manufacturer": "Google",
        "ro.product.model": "Pixel 7",
        "ro.soc.model": "GS201",
        "ro.build.version.release": "14",
        "ro.build.version.sdk": "34",
        "ro.product.cpu.abi": "arm64-v8a",
    }

    def change(**state: Any) -> Path:
        usual = {"devices": {SERIAL: "device"}, "properties": properties, "answers": {"": PRINTED}}
        (tmp_path / "phone.json").write_text(json.dumps(usual | state))
        return tmp_path

    change()
    return change


@pytest.fixture
def exported(tmp_path: Path) -> Path:
    """A folder with a file for every stage of SD1.5, and benchmark_model."""
    folder = tmp_path / "exported"
    folder.mkdir()
    for name in ("text_encoder", "unet", "decoder"):
        (folder / f"{name}.tflite").write_bytes(name.encode() * 10)
    (tmp_path / "benchmark_model").write_bytes(b"ELF")
    return folder


def calls(home: Path) -> list[list[str]]:
    return [json.loads(line) for line in (home / "calls").read_text().splitlines()]


def device(text: str, exported: Path, **options: Any) -> Adb:
    made = make_device(
        text, DeviceOptions(tflite=str(exported), benchmark_model=str(exported.parent / "benchmark_model"), **options)
    )
    assert isinstance(made, Adb)
    made.check()
    return made


def stages(made: Adb, method: Any) -> Any:
    made.load(method, "fp32")
    return made.stages(method, Request("p", "a dog", height=64, width=64))


# --- what benchmark_model prints


def test_the_timed_calls_are_read_not_those_of_warming_up() -> None:
    found = read_report(PRINTED.format(runs=20, graph="a", peak=PEAK), "unet", None)
    assert (found.init_s, found.first_s, found.mean_s) == pytest.approx((0.092318, 0.235158, 0.145528))
    assert found.count == 25 and found.median_s == pytest.approx(0.141253) and found.p95_s == pytest.approx(0.187533)
    assert (found.least_s, found.most_s, found.deviation_s) == pytest.approx((0.140071, 0.195121, 0.013583))
    assert found.peak_bytes == round(80.5 * 2**20) and found.memory_bytes == round(73.4102 * 2**20)
    assert found.delegation is None  # all 539 of 539 nodes


def test_an_older_program_tells_no_median_and_none_is_made_up() -> None:
    found = read_report(OLD, "unet", None)
    assert found.median_s is None and found.p5_s is None and found.peak_bytes is None
    assert found.mean_s == pytest.approx(0.0332094) and found.count == 50
    assert found.memory_bytes == round(12.8672 * 2**20)


def test_a_delegate_that_takes_a_part_is_told() -> None:
    partly = PRINTED.replace("539 out of 539", "213 out of 548")
    assert "213 of 548 nodes" in str(read_report(partly.format(runs=1, graph="a", peak=""), "unet", "gpu").delegation)
    none = (
        PRINTED
        + "INFO: Though NNAPI delegate is explicitly applied, the model graph will not be executed by the delegate.\n"
    )
    assert "takes nothing" in str(read_report(none.format(runs=1, graph="a", peak=""), "unet", "nnapi").delegation)


@pytest.mark.parametrize(
    ("printed", "complaint"),
    [
        (REFUSED, r"GPU delegate refuses it \(not supported: GATHER: Operation .*, CAST: .*without \+gpu"),
        ("ERROR: Encountered unresolved custom op: FlexErf.\n", "custom op FlexErf"),
        ("ERROR: Didn't find op for builtin opcode 'CONV_2D' version '9'.\n", "CONV_2D in version 9"),
        ("ERROR: Failed to load model /data/a.tflite\n", "no readable .tflite"),
        ("/system/bin/sh: benchmark_model: not executable: 64-bit ELF file\n", "does not run on this phone"),
        ("Killed\n", "memory runs out"),
        ("something else\nBenchmarking failed.\n", "the last it said was: something else"),
        ("", "the last it said was: nothing"),
    ],
)  # fmt: skip
def test_a_failure_says_why_in_one_line(printed: str, complaint: str) -> None:
    with pytest.raises(BenchError, match=complaint) as caught:
        read_report(printed, "unet", "gpu")
    assert "\n" not in str(caught.value) and "'unet' cannot be timed" in str(caught.value)


# --- the phone


def test_a_phone_says_what_it_is(phone: Set) -> None:
    phone(thermal=3)
    assert [(found.serial, found.state, found.model) for found in listed()] == [(SERIAL, "device", "Pixel 7")]
    found = Phone(None)
    found.check()
    assert found.about() == {"accelerator": "Google Pixel 7", "android": "14", "sdk": "34", "chip": "GS201",
                             "abi": "arm64-v8a"}  # fmt: skip
    state = found.state()
    assert state[:4] == (3, 87, 31.2, True) and "thermal status 3 (severe)" in str(state.note)
    phone(properties={})
    assert Phone(SERIAL).about() == {"accelerator": None}


@pytest.mark.parametrize(
    ("devices", "serial", "complaint"),
    [
        ({}, None, "adb sees no phone: plug one in"),
        ({SERIAL: "unauthorized"}, SERIAL, f"'{SERIAL}' has not allowed this computer"),
        ({SERIAL: "offline"}, SERIAL, "does not answer: unplug it"),
        ({SERIAL: "no permissions (missing udev rules?);"}, SERIAL, "udev rule"),
        ({SERIAL: "device"}, "other", f"sees no phone 'other' .it sees {SERIAL}"),
        ({SERIAL: "device", "two": "device"}, None, f"name one, as in adb:{SERIAL}"),
    ],
)
def test_a_phone_that_cannot_be_used_says_why(
    phone: Set, devices: dict[str, str], serial: str | None, complaint: str
) -> None:
    phone(devices=devices)
    with pytest.raises(BenchError, match=complaint):
        Phone(serial).check()


def test_without_adb_the_mend_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("T2IBENCH_ADB", "/nowhere/adb")
    with pytest.raises(BenchError, match=r"T2IBENCH_ADB names '/nowhere/adb'.*platform-tools"):
        listed()
    monkeypatch.delenv("T2IBENCH_ADB")
    monkeypatch.setenv("PATH", "")
    monkeypatch.delenv("ANDROID_HOME", raising=False)
    monkeypatch.delenv("ANDROID_SDK_ROOT", raising=False)
    with pytest.raises(BenchError, match="no adb on the PATH: install"):
        listed()
    assert not Adb.probe("adb")[0].works


def test_what_goes_wrong_on_the_way_is_one_line(phone: Set, exported: Path) -> None:
    phone(full=True)
    with pytest.raises(BenchError, match=rf"no room on the phone for 'push unet.tflite .*rm -r {FOLDER}"):
        Phone(SERIAL).push(exported / "unet.tflite")
    phone(devices={SERIAL: "offline"})
    with pytest.raises(BenchError, match="does not answer"):
        Phone(SERIAL).push(exported / "unet.tflite")
    phone(devices={})
    with pytest.raises(BenchError, match="is gone: check the cable"):
        Phone(SERIAL).shell("getprop")
    phone(sleep=5)
    graph = Phone(SERIAL).push(exported / "decoder.tflite")
    with pytest.raises(BenchError, match="took longer than 1 s: is the phone locked"):
        Phone(SERIAL).shell(f"{graph} --graph={graph} --num_runs=1", 1)


def test_a_file_is_pushed_once(phone: Set, exported: Path) -> None:
    home, found = phone(), Phone(SERIAL)
    first = found.push(exported / "unet.tflite")
    assert found.push(exported / "unet.tflite") == first
    assert sum(call[2] == "push" for call in calls(home)) == 1
    (exported / "unet.tflite").write_bytes(b"other weights")
    assert found.push(exported / "unet.tflite") != first


# --- the device


def test_the_files_of_stages_are_found_by_precision(exported: Path) -> None:
    (exported / "unet-int8.tflite").write_bytes(b"8")
    assert stage_file(exported, "unet", "int8").name == "unet-int8.tflite"
    assert stage_file(exported, "unet", "fp32").name == "unet.tflite"
    with pytest.raises(BenchError, match=r"holds no decoder-int8.tflite: export that stage"):
        stage_file(exported, "decoder", "int8")


def test_options_that_lack_are_named(phone: Set, exported: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("T2IBENCH_BENCHMARK_MODEL", raising=False)
    with pytest.raises(BenchError, match=r"needs --benchmark-model FILE.*ai\.google\.dev"):
        make_device(f"adb:{SERIAL}").check()
    with pytest.raises(BenchError, match="no file 'nowhere'"):
        make_device(f"adb:{SERIAL}", DeviceOptions(benchmark_model="nowhere")).check()
    assert make_device(f"adb:{SERIAL}+gpu").spec.variant == "gpu"
    assert make_device("adb:192.168.1.5:5555+nnapi").spec.argument == "192.168.1.5:5555"


def test_a_turn_is_one_run_of_the_program(phone: Set, exported: Path, tiny: Any) -> None:
    home = phone(thermal=2)
    made = device(f"adb:{SERIAL}+gpu", exported, threads=4)
    unet = stages(made, tiny)["unet"]
    assert made.loaded_s() == pytest.approx(3 * 0.092318)
    assert made.peak_memory() == round(80.5 * 2**20) and made.file_bytes() == 10 * len("text_encoderunetdecoder")
    assert unet.first_s == pytest.approx(0.235158)
    seconds, of, count, note = unet.turn(7, 2.5)
    assert (seconds, of, count) == (pytest.approx(0.141253), "median", 25) and "moderate" in note
    command = next(call[3] for call in reversed(calls(home)) if "--graph" in call[3])
    for flag in ("--num_runs=7", "--min_secs=2.5", "--use_gpu=true", "--num_threads=4", "--warmup_runs=1"):
        assert flag in command
    assert "report_peak" not in command  # it slows calls down
    about = made.about()
    assert about["accelerator"] == "Google Pixel 7" and about["state"]["battery_celsius"] == 31.2


def test_a_stage_that_a_delegate_refuses_is_told_before_anything_is_timed(
    phone: Set, exported: Path, tiny: Any
) -> None:
    phone(answers={"": PRINTED, "unet": REFUSED})
    with pytest.raises(BenchError, match=r"'unet on adb:.*GATHER"):
        stages(device(f"adb:{SERIAL}+gpu", exported), tiny)


def test_an_older_program_gives_means(phone: Set, exported: Path, tiny: Any) -> None:
    phone(answers={"": OLD})
    made = device("adb", exported)
    assert stages(made, tiny)["decoder"].turn(1, 0)[:3] == (pytest.approx(0.0332094), "mean", 50)
    assert made.peak_memory() is None


@pytest.fixture
def tiny(tiny_sd: Path) -> Any:
    """A method whose structure alone is read."""
    from t2ibench.adapters import make_adapter

    return make_adapter(f"sd15[checkpoint={tiny_sd},scheduler=ddim,steps=3]")


@pytest.mark.usefixtures("in_process")
def test_the_command_makes_a_report_of_a_phone(
    phone: Set, exported: Path, tiny_sd: Path, bench: Callable[..., tuple[int, str, str]], tmp_path: Path
) -> None:
    phone()
    status, out, err = bench(
        "latency", f"sd15[checkpoint={tiny_sd},scheduler=ddim,steps=3]", "--device", f"adb:{SERIAL}", "--size", "64",
        "--rounds", "3", "--tflite-dir", exported, "--benchmark-model", tmp_path / "benchmark_model",
        "--out", tmp_path / "out",
    )  # fmt: skip
    assert status == 0, err
    (row,) = load_latency(tmp_path / "out").rows
    unet = row.stages["unet"]
    assert unet.timing.each == "median" and unet.timing.rounds == [[0.141253]] * 3
    assert unet.timing.p90_s is None and unet.timing.n == 75 and unet.forwards == 6 and unet.macs
    assert row.end_to_end is None and row.composed.median_s == pytest.approx(8 * 0.141253)
    assert row.composition == "1 × text encoder + 6 × unet + 1 × decoder"
    assert row.first_s == pytest.approx(3 * 0.235158) and row.load_s == pytest.approx(3 * 0.092318)
    assert row.memory.peak_bytes is None and row.memory.accelerator_peak_bytes == round(80.5 * 2**20)
    assert row.weights_bytes == 230 and row.energy.reason == "a phone over adb tells no energy"
    assert "median of its calls" in out and "1 × text encoder + 6 × unet" in out


def test_whole_pictures_in_a_row_are_refused(bench: Callable[..., tuple[int, str, str]]) -> None:
    status, _, err = bench("latency", "sd15", "--device", "adb:x", "--sustained")
    assert status == 2 and "makes whole pictures, which device 'adb:x' does not" in err
