"""Exported stages: graphs are compared with PyTorch, kept and found again, and stand in for networks in methods."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from in_process import InProcess
from torch import nn

from t2ibench.adapters import make_adapter
from t2ibench.adapters.base import Adapter, Stage
from t2ibench.bench.devices import exports, make_device
from t2ibench.bench.devices.base import DeviceOptions
from t2ibench.bench.devices.calls import Graph, ModuleCall
from t2ibench.bench.devices.exported import Exported
from t2ibench.bench.devices.exports import Estimate, Need, Subject, export, weights_digest, worst_error
from t2ibench.bench.devices.openvino_runtime import import_openvino
from t2ibench.core.errors import BenchError
from t2ibench.datasets.request import Request

NEEDS = {
    "onnx": ("onnx", "onnxruntime"),
    "openvino": ("openvino", "nncf"),
    "litert": ("litert_torch", "ai_edge_litert", "ai_edge_quantizer"),
}


def runtime(name: str) -> Any:
    """A parameter of a test that is skipped where a runtime is not installed."""
    lacking = [module for module in NEEDS[name] if find_spec(module) is None]
    reason = f"{', '.join(lacking)} not installed: pip install 't2ibench[devices]'"
    return pytest.param(name, marks=pytest.mark.skipif(bool(lacking), reason=reason))


RUNTIMES = [runtime(name) for name in NEEDS]
OPENVINO = runtime("openvino").marks


class Net(nn.Module):
    """A small network that is called as a UNet is: with a time, by name, with features that may be left out."""

    def __init__(self, seed: int = 0) -> None:
        super().__init__()
        torch.manual_seed(seed)
        self.first, self.second = nn.Conv2d(4, 32, 3, padding=1), nn.Conv2d(32, 4, 3, padding=1)
        self.middle, self.time = nn.Conv2d(32, 32, 3, padding=1), nn.Linear(1, 32)

    def forward(
        self, sample: torch.Tensor, timestep: Any, features: list[torch.Tensor] | None = None, return_dict: bool = True
    ) -> Any:
        time = timestep if isinstance(timestep, torch.Tensor) else torch.tensor(timestep)
        moved = time.float().reshape(1, 1) / 1000
        hidden = self.first(sample) + self.time(moved)[:, :, None, None]
        for feature in features or []:
            hidden = hidden + feature
        found = self.second(self.middle(torch.tanh(hidden)))
        return {"sample": found} if return_dict else (found,)


class Method(Adapter):
    """Two steps of the network from noise of the seed; ``feature`` adds one to the second step."""

    inside = ""

    def __init__(self, *, seed: str = "0", feature: str = "no") -> None:
        self.seed, self.feature = int(seed), feature == "yes"

    def load(self, device: str, dtype: str) -> None:
        self.net = Net(self.seed).eval().requires_grad_(False)

    def fingerprint(self) -> str:
        return f"net {self.seed}"

    def generate(self, requests: Any) -> np.ndarray:
        with torch.inference_mode():
            x = torch.stack(
                [torch.randn(4, r.height, r.width, generator=torch.Generator().manual_seed(r.seed)) for r in requests]
            )
            for time in (981, 1):
                more = {"features": [torch.ones(len(x), 32, *x.shape[2:])]} if self.feature and time == 1 else {}
                x = x - self.net(x, torch.tensor(time), return_dict=False, **more)[0]
        return ((x[:, :3].permute(0, 2, 3, 1).numpy() / 4 + 0.5).clip(0, 1) * 255).round().astype(np.uint8)

    def stages(self) -> dict[str, Stage]:
        def inputs(request: Request, device: str) -> tuple[Any, ...]:
            return torch.zeros(1, 4, request.height, request.width, device=device), 1

        return {"unet": Stage(self.net, inputs, 2)}


REQUESTS = [Request(f"p{i}", "a bus", seed=i, height=8, width=8) for i in range(3)]


def loaded(name: str, dtype: str = "fp32", method: Adapter | None = None) -> tuple[Exported, Adapter]:
    device, method = make_device(name), method or Method()
    assert isinstance(device, Exported)
    device.load(method, dtype)
    return device, method


def in_pytorch(method: Adapter, requests: list[Request] = REQUESTS) -> np.ndarray:
    method.load("cpu", "fp32")
    return method.generate(requests).astype(int)


def subject(net: nn.Module, *args: Any, **kwargs: Any) -> Subject:
    return Subject(net, ModuleCall.of(net, args, kwargs), weights_digest(net))


@pytest.fixture(scope="module")
def shared_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("exports")


@pytest.fixture
def kept(shared_cache: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache that the tests of this file share, since converting takes seconds."""
    monkeypatch.setenv("T2IBENCH_CACHE", str(shared_cache))
    return shared_cache


# --- calls


def test_a_call_is_the_same_by_place_and_by_name_and_in_any_batch() -> None:
    net, x = Net(), torch.zeros(2, 4, 8, 8)
    call = ModuleCall.of(net, (x, torch.tensor(981)), {"return_dict": False})
    assert call.key == ModuleCall.of(net, (), {"timestep": 1, "sample": x[:1]}).key
    assert call.shapes == {"sample": "float32 1×4×8×8", "timestep": "int64"}
    assert [row[0].shape for row in call.rows()] == [(1, 4, 8, 8)] * 2
    others = [(torch.zeros(2, 4, 8, 4), 1), (x, 1.0), (x, 1, [torch.zeros(2, 32, 8, 8)]), (x.double(), 1)]
    assert len({call.key, *(ModuleCall.of(net, args, {}).key for args in others)}) == 5


def test_what_no_graph_can_take_is_said() -> None:
    with pytest.raises(BenchError, match="Net takes a Generator as timestep: no graph can"):
        ModuleCall.of(Net(), (torch.zeros(1, 4, 8, 8), torch.Generator()), {})
    mixed = ModuleCall.of(Net(), (torch.zeros(2, 4, 8, 8), 1, [torch.zeros(3, 32, 8, 8)]), {})
    with pytest.raises(BenchError, match=r"tensors of \[2, 3\] rows"):
        list(mixed.rows())


def test_an_answer_keeps_the_form_that_the_module_gives_it() -> None:
    net, x = Net(), torch.randn(1, 4, 8, 8)
    call = ModuleCall.of(net, (x, 1, [torch.ones(1, 32, 8, 8)]), {})
    graph = Graph(net, call)
    (found,) = graph(*call.tensors)
    assert torch.equal(found, net(x, 1, [torch.ones(1, 32, 8, 8)], return_dict=False)[0])
    (answered,) = graph.restore().filled([found])
    assert answered is found


# --- exports


@pytest.mark.parametrize("name", RUNTIMES)
def test_pictures_are_pytorchs_in_fp32_and_near_in_int8(name: str, kept: Path) -> None:
    expected = in_pytorch(Method())
    device, method = loaded(name)
    found = method.generate(REQUESTS).astype(int)
    assert np.abs(found - expected).max() <= 1
    assert np.array_equal(method.generate(REQUESTS[1:2])[0], found[1])  # whatever the batch
    small, method = loaded(name, "int8")
    near = np.abs(method.generate(REQUESTS).astype(int) - expected)
    assert 0 < near.mean() < 8
    (error,) = small.about()["off_pytorch"].values()
    assert 1e-4 < error < 0.1
    assert device.about()["off_pytorch"]["unet"] <= 1e-4
    assert 0 < (small.file_bytes() or 0) < (device.file_bytes() or 0)
    assert "off PyTorch by at most" in small.notes()[0]


@pytest.mark.parametrize("name", RUNTIMES)
def test_a_second_use_converts_nothing(name: str, kept: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first, method = loaded(name)
    method.generate(REQUESTS)

    def never(*_: object) -> None:
        raise RuntimeError("converted again")

    monkeypatch.setattr(type(first), "convert", never)
    device, again = loaded(name)
    assert np.array_equal(again.generate(REQUESTS), method.generate(REQUESTS))
    assert not device.failed()
    device, other = loaded(name, method=Method(seed="1"))  # other weights are another export
    other.generate(REQUESTS)
    assert device.failed()["unet"].endswith("converted again")


def test_what_an_export_is_kept_by(monkeypatch: pytest.MonkeyPatch) -> None:
    device, net, x = make_device("onnx"), Net(), torch.zeros(1, 4, 8, 8)

    def key(of: Subject, dtype: str = "fp32") -> str:
        return exports._folder(device, of, dtype).name

    plain = key(subject(net, x, 1))
    assert plain == key(subject(Net(), x + 1, torch.tensor(5)))  # neither the object nor the example counts
    others = [
        key(subject(Net(seed=1), x, 1)), key(subject(net, x[..., :4], 1)), key(subject(net, x, 1), "int8"),
        exports._folder(make_device("openvino"), subject(net, x, 1), "fp32").name,
    ]  # fmt: skip
    monkeypatch.setattr(exports, "version", lambda name: "0")
    others.append(key(subject(net, x, 1)))
    assert len({plain, *others}) == 6


@pytest.mark.parametrize("name", [runtime("onnx")])
def test_a_wrong_export_is_never_used(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    device = make_device(name)
    convert = type(device).convert

    def wrong(self: Any, given: Subject, folder: Path) -> None:
        moved = Net()
        moved.second.bias.data += 1e-3
        convert(self, Subject(moved, given.call, given.weights), folder)

    monkeypatch.setattr(type(device), "convert", wrong)
    with pytest.raises(BenchError, match=r"Net exported to onnx in fp32 is off PyTorch by .* \(at most 1e-04\): not"):
        export(device, subject(Net(), torch.randn(1, 4, 8, 8), 1), "fp32")
    assert not list(exports.exports_dir().glob("*/graph.onnx"))
    other, method = loaded(name)
    assert np.array_equal(method.generate(REQUESTS), in_pytorch(Method()))
    assert "off PyTorch" in other.failed()["unet"]
    assert other.notes()[-1].startswith("unet ran in PyTorch: Net exported to onnx")
    assert other.stages(method, REQUESTS[0]) == {}


class Frozen(Net):
    """Its time is built into a graph, as Python's numbers are when a network is traced."""

    def forward(self, sample: torch.Tensor, timestep: Any) -> Any:
        return super().forward(sample, int(timestep), return_dict=False)


@pytest.mark.parametrize("name", [runtime("onnx")])
def test_an_export_that_does_not_read_its_arguments_is_found(name: str) -> None:
    given = subject(Frozen(), torch.randn(1, 4, 8, 8), torch.tensor(981))
    with pytest.raises(BenchError, match="Frozen exported to onnx in fp32 is off PyTorch by"):
        export(make_device(name), given, "fp32")


def test_what_a_runtime_cannot_have_is_said_in_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError("no such\noperator 'sort'")

    device = make_device("onnx")
    monkeypatch.setattr(type(device), "convert", broken)
    with pytest.raises(BenchError, match=r"^onnx cannot have Net in fp32: RuntimeError: no such operator 'sort'$"):
        export(device, subject(Net(), torch.randn(1, 4, 8, 8), 1), "fp32")
    assert not list(exports.exports_dir().iterdir())


def test_errors_are_of_the_largest_value_and_other_shapes_are_infinitely_wrong() -> None:
    expected = [np.array([100.0, 1.0]), np.array([0.1])]
    assert worst_error([np.array([100.0, 1.5]), np.array([0.1])], expected) == pytest.approx(0.005)
    assert worst_error([np.array([100.0, 1.0]), np.array([0.11])], expected) == pytest.approx(0.1)
    for broken in ([np.array([100.0, np.nan]), expected[1]], [expected[0]], [expected[0], np.zeros((1, 1))]):
        assert worst_error(broken, expected) == np.inf


def test_weights_structure_and_configuration_are_in_the_digest() -> None:
    digest = weights_digest(Net())
    assert digest == weights_digest(Net())
    assert digest == weights_digest(Net().requires_grad_(False))
    changed = Net()
    changed.time.bias.data[3] += 1e-6
    doubled, strided = Net().double(), Net()
    strided.first.stride = (2, 2)
    configured = Net()
    configured.config = {"_name_or_path": "here"}
    assert weights_digest(configured) != digest  # it says that there is a configuration
    named = Net()
    named.config = {"_name_or_path": "there", "_use_default_values": ["b", "a"]}
    assert weights_digest(named) == weights_digest(configured)
    configured.config = {"scale": 2}
    assert len({digest, *map(weights_digest, (changed, doubled, strided, configured))}) == 5


# --- devices


@pytest.mark.parametrize("name", NEEDS)
def test_a_missing_package_names_the_extra(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("t2ibench.bench.devices.exported.find_spec", lambda module: None)
    device = make_device(name)
    with pytest.raises(
        BenchError, match=rf"device '{name}' lacks {NEEDS[name][0]}.*: pip install 't2ibench\[devices\]'"
    ):
        device.check()
    (probe,) = type(device).probe(name)
    assert (probe.works, probe.detail.startswith("lacks ")) == (False, True)


@pytest.mark.parametrize("name", RUNTIMES)
def test_what_works_here_is_told_with_versions_and_precisions(name: str) -> None:
    (probe,) = type(make_device(name)).probe(name)
    assert probe.works
    assert "fp32" in probe.detail and "int8" in probe.detail
    make_device(name).check()
    with pytest.raises(BenchError, match=f"{name} takes no argument"):
        make_device(f"{name}:1").check()


@pytest.mark.parametrize(("name", "dtype"), [("onnx", "bf16"), ("litert", "bf16"), ("cpu", "int8")])
def test_a_precision_that_a_device_lacks_is_said_with_those_it_has(name: str, dtype: str) -> None:
    assert f"it has no {dtype} (it has fp32, " in str(make_device(name).lacks(dtype))


@pytest.mark.parametrize("name", [runtime("openvino")])
def test_openvino_takes_the_arithmetic_that_the_processor_has(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(import_openvino().Core, "get_property", lambda *_: ["FP32", "FP16"])
    device = make_device(name)
    assert device.lacks("bf16") == "this processor has no bf16 arithmetic"
    assert [device.lacks(dtype) for dtype in ("fp32", "fp16", "int8")] == [None] * 3


@pytest.mark.parametrize("name", [runtime("openvino")])
def test_openvino_never_chooses_the_precision_itself(name: str, kept: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    openvino = import_openvino()
    asked: list[dict[str, Any]] = []
    compiled = openvino.Core.compile_model

    def compile_model(self: Any, model: Any, device: str, options: dict[str, Any]) -> Any:
        asked.append(options)
        return compiled(self, model, device, {**options, "INFERENCE_PRECISION_HINT": "f32"})

    monkeypatch.setattr(openvino.Core, "compile_model", compile_model)
    monkeypatch.setattr(openvino.Core, "get_property", lambda *_: ["FP32", "BF16"])
    for dtype in ("fp32", "int8", "bf16"):
        loaded(name, dtype)[1].generate(REQUESTS)
    assert {options["INFERENCE_PRECISION_HINT"] for options in asked[:1]} == {"f32"}
    assert [options["INFERENCE_PRECISION_HINT"] for options in asked if options][-1] == "bf16"
    assert all("INFERENCE_PRECISION_HINT" in options for options in asked)


@pytest.mark.parametrize("name", [runtime("openvino")])
def test_openvino_and_nncf_tell_nobody_that_they_are_used(name: str) -> None:
    code = """
import socket
def connect(self, address): raise SystemExit(f"connects to {address}")
socket.socket.connect = socket.create_connection = connect
from t2ibench.bench.devices.openvino_runtime import import_openvino
import_openvino()
import nncf, sys
from nncf.telemetry import telemetry
assert type(telemetry).__name__ == "type" or "Mock" in str(telemetry), telemetry
assert sys.modules["openvino_telemetry"] is None
"""
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert found.returncode == 0, found.stderr


@pytest.mark.parametrize("name", RUNTIMES[:1])
def test_a_method_that_changes_its_networks_inside_is_refused(name: str, kept: Path, tiny_sd: Path) -> None:
    for text, why in {"plug-and-play": "replaces what layers of the UNet give", "unitune": "trains the UNet"}.items():
        method = make_adapter(f"{text}[base=sd15[checkpoint={tiny_sd}]]")
        with pytest.raises(BenchError, match=f"{why}: run it in PyTorch, --device cpu"):
            make_device(name).load(method, "fp32")
    _, method = loaded(name)
    hook = method.net.first.register_forward_hook(lambda *_: None)
    with pytest.raises(BenchError, match="the method changes 1 of its layers"):
        method.generate(REQUESTS)
    hook.remove()
    method.net.requires_grad_(True)
    with torch.enable_grad(), pytest.raises(BenchError, match="the method trains it"):
        method.net(torch.zeros(1, 4, 8, 8), 1)


@pytest.mark.parametrize("name", RUNTIMES[:1])
def test_arguments_that_come_and_go_are_graphs_of_their_own(name: str, kept: Path) -> None:
    device, method = loaded(name, method=Method(feature="yes"))
    assert np.abs(method.generate(REQUESTS) - in_pytorch(Method(feature="yes"))).max() <= 1
    assert len(device.runners["unet"].opened) == 2
    assert np.abs(method.generate(REQUESTS) - in_pytorch(Method())).max() > 1


def test_a_method_without_stages_cannot_be_exported() -> None:
    with pytest.raises(BenchError, match="device 'onnx': the method declares no stages that could be exported"):
        make_device("onnx").load(make_adapter("scenes"), "fp32")


# --- preparing


def order(method: str, dtype: str = "fp32", size: int = 64) -> Any:
    from t2ibench.bench.latency.worker import Order

    return Order(method=method, device="onnx", dtype=dtype, width=size, height=size)


@pytest.mark.slow
@pytest.mark.parametrize("name", RUNTIMES[:1])
def test_what_is_prepared_is_computed_without_pytorchs_weights(
    name: str, kept: Path, tiny_sd: Path, in_process: type[InProcess]
) -> None:
    text, said = f"sd15[checkpoint={tiny_sd},scheduler=ddim,steps=12,guidance=2]", list[str]()
    make_device(name).prepare(order(text), ["picture"], said.append)
    (line,) = said
    assert line.startswith(f"export {text} to onnx in fp32: 0.3 M parameters, up to 4")
    assert line.endswith(" MB of memory and 1 MB of disk")
    requests = [Request(f"p{i}", "a bus", seed=i, height=64, width=64) for i in range(2)]
    device, method = loaded(name, method=make_adapter(text))
    assert {part.device.type for part in method.unet.parameters()} == {"meta"}
    found = method.generate(requests)
    plain = make_adapter(text)
    assert np.abs(found.astype(int) - in_pytorch(plain, requests)).max() <= 1
    assert sorted(device.runners) == ["decoder", "text_encoder", "unet"]
    assert device.failed() == {}
    from t2ibench.adapters.counting import count_macs, count_params, on_meta

    stage, own = method.stages()["unet"], plain.stages()["unet"]
    inputs = stage.inputs(requests[0], "meta")
    assert count_params(stage.module) == count_params(own.module)
    assert count_macs(lambda: on_meta(stage.module)(*inputs)) == count_macs(lambda: on_meta(own.module)(*inputs)) > 0

    make_device(name).prepare(order(text), ["picture"], said.append)  # nothing is left to do
    assert (in_process.started, len(said)) == (1, 1)
    with pytest.raises(BenchError, match=r"was not exported for such a call \(.*sample float32 1×4×4×4"):
        method.generate([Request("p", "a bus", height=32, width=32)])
    shutil.rmtree(next(iter(device.runners["unet"].opened.values())).export.folder)
    make_device(name).prepare(order(text), ["picture"], said.append)  # a file that is gone is made again
    assert in_process.started == 2


@pytest.mark.parametrize("name", RUNTIMES[:1])
def test_latency_times_what_was_exported(name: str, kept: Path, tiny_sd: Path, in_process: type[InProcess]) -> None:
    from t2ibench.bench.latency.worker import Worker

    asked = order(f"sd15[checkpoint={tiny_sd},scheduler=ddim,steps=2]")
    make_device(name).prepare(asked, ["picture", "stages"], lambda line: None)
    worker = Worker()
    known = worker.load(asked)
    assert known.names == ["text_encoder", "unet", "decoder", "end_to_end"]
    assert known.about["onnxruntime"] and 0 < known.about["off_pytorch"]["unet"] <= 1e-4
    assert {part.device.type for part in worker.adapter.unet.parameters()} == {"meta"}
    graphs = {graph.export.folder for runner in worker.device.runners.values() for graph in runner.opened.values()}
    assert len(graphs) == 3  # a stage as it is timed is the graph that makes pictures
    assert known.weights_bytes == sum(file.stat().st_size for folder in graphs for file in folder.glob("*.onnx"))
    assert worker.first() > 0
    assert len(worker.time("unet", 2, 0).seconds) == 2
    facts = worker.stages()
    assert facts["unet"].macs and (facts["unet"].forwards, facts["decoder"].forwards) == (4, 1)


def test_an_export_that_another_process_has_finished_stays(tmp_path: Path) -> None:
    folder = tmp_path / "abc"
    with exports._making(folder) as made:
        (made / "graph").write_text("ours")
        folder.mkdir()
        (folder / "graph").write_text("theirs")
        (folder / exports.FACTS).write_text("{}")
    assert (folder / "graph").read_text() == "theirs" and list(tmp_path.iterdir()) == [folder]


def test_half_an_export_is_made_anew_and_what_a_killed_one_left_goes(tmp_path: Path) -> None:
    folder, fresh, stale = tmp_path / "abc", tmp_path / ".abc.1-1", tmp_path / ".abc.2-2"
    for old in (folder, fresh, stale):
        old.mkdir()
        (old / "weights").write_text("half")
    for path in (stale, stale / "weights"):
        os.utime(path, (0, 0))
    with exports._making(folder) as made:
        (made / "graph").write_text("whole")
    assert sorted(tmp_path.iterdir()) == [fresh, folder] and [file.name for file in folder.iterdir()] == ["graph"]


@pytest.mark.parametrize("name", RUNTIMES[:1])
def test_no_room_is_said_before_anything_is_exported(
    name: str, tiny_sd: Path, in_process: type[InProcess], monkeypatch: pytest.MonkeyPatch
) -> None:
    text, device = f"sd15[checkpoint={tiny_sd},steps=2]", make_device(name)
    monkeypatch.setattr(exports, "available_bytes", lambda: 300_000_000)
    with pytest.raises(BenchError, match=r"takes up to 0.4 GB of memory, and 0.3 are free; --force-export tries it"):
        device.prepare(order(text), ["picture"], lambda line: None)
    assert not exports.exports_dir().exists()
    monkeypatch.setattr(exports, "available_bytes", lambda: None)
    monkeypatch.setattr(exports.shutil, "disk_usage", lambda path: shutil._ntuple_diskusage(0, 0, 1_000_000))
    with pytest.raises(
        BenchError, match=r"takes up to 0.0 GB in .*, and 0.0 are free there: name another folder in T2I"
    ):
        device.prepare(order(text), ["picture"], lambda line: None)
    forced = make_device(name, DeviceOptions(force_export=True))
    forced.prepare(order(text), ["picture"], lambda line: None)
    assert list(exports.exports_dir().glob("*/graph.onnx"))


def test_an_estimate_is_of_the_largest_network_and_of_all_weights() -> None:
    found = exports.estimate({"text_encoder": 123_000_000, "unet": 860_000_000, "decoder": 50_000_000}, Need(14, 4))
    assert found == Estimate(1_033_000_000, 400_000_000 + 4 * 1_033_000_000 + 14 * 860_000_000, 4 * 1_033_000_000)
    assert str(found) == "1,033.0 M parameters, up to 16.6 GB of memory and 4.1 GB of disk"


# --- runs


@pytest.mark.slow
@pytest.mark.parametrize("name", RUNTIMES[:1])
def test_a_run_has_a_row_for_each_device_and_precision(
    name: str, zoo: Path, in_process: type[InProcess], bench: Callable[..., tuple[int, str, str]], tmp_path: Path
) -> None:
    methods = f"scenes,sd15[checkpoint={zoo / 'mini-sd'},steps=2]"
    asked = [
        "run", "--suite", "mini", "--methods", methods, "--limit", 3, "--device", "cpu,onnx", "--dtype", "fp32,int8",
        "--metrics", "mini_kd,caption_accuracy", "--set", "reference_n=4", "--out", tmp_path / "run",
    ]  # fmt: skip
    status, _, err = bench(*asked)
    assert status == 0, err
    assert "device 'cpu' is left out in int8: it has no int8 (it has fp32, bf16, fp16)" in err
    run = json.loads((tmp_path / "run" / "run.json").read_text())
    rows = {(row["settings"]["device"], row["settings"]["dtype"]): row for row in run["results"][1:]}
    assert list(rows) == [("cpu", "fp32"), ("onnx", "fp32"), ("onnx", "int8")]
    assert run["results"][0]["method"] == "scenes"
    assert rows["onnx", "int8"]["method"].endswith(",steps=2,device=onnx,dtype=int8]")
    base, same, near = (row["metrics"] for row in rows.values())
    assert "mini_drift" not in run["results"][0]["metrics"]
    assert base["picture_drift"]["reason"].startswith("these are the pictures that those of the other devices")
    assert 0 <= same["picture_drift"]["value"] < 0.01 < near["picture_drift"]["value"] < 20
    assert 0 <= same["mini_drift"]["value"] < near["mini_drift"]["value"] < 1
    sizes = [row["cost"]["file_bytes"] for row in rows.values()]
    assert 0 < sizes[2] < sizes[1]
    assert any(note.startswith("exported to onnx; off PyTorch by at most") for note in rows["onnx", "int8"]["notes"])
    assert {row["cost"]["params"] for row in rows.values()} == {rows["cpu", "fp32"]["cost"]["params"]}
    report = (tmp_path / "run" / "report.md").read_text()
    for head in ("Computed by", "Drift", "Memory", "Files"):
        assert head in report
    started = in_process.started
    assert bench(*asked)[0] == 0  # all of it is there
    assert in_process.started == started == 2


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--device", "cpu", "--dtype", "int8"], "device 'cpu': it has no int8 (it has fp32, bf16, fp16)"),
        (["--device", "onyx"], "unknown device 'onyx'; did you mean 'onnx'?"),
        (["--device", "cpu,cpu"], "--device names one of 'cpu, cpu' twice"),
        (["--dtype", "int4"], "unknown dtype 'int4'"),
        (["--device", ","], "--device is empty"),
        (["--device", "adb:1"], "device 'adb:1' makes no whole pictures: 'bench latency --device adb:1' times stages"),
        (["--methods", "sd15[checkpoint=zoo:mini-sd,dtype=int3]"], "unknown dtype 'int3'"),
        (["--suite", "decoders", "--device", "cpu,onnx"], "suite 'decoders' takes codecs: in PyTorch"),
    ],
)
def test_places_that_cannot_be(
    options: list[str], message: str, zoo: Path, bench: Callable[..., tuple[int, str, str]], tmp_path: Path
) -> None:
    status, _, err = bench("run", "--suite", "mini", "--limit", 1, "--out", tmp_path / "run", *options)
    assert status == 2
    assert message in err


def test_a_method_may_say_where_it_runs() -> None:
    from t2ibench.bench.places import Place, places_for, put_place, take_place

    text = "controlnet[base=sd15[checkpoint=x,dtype=y],device=onnx,dtype=int8]"
    assert take_place(text) == ("controlnet[base=sd15[checkpoint=x,dtype=y]]", {"device": "onnx", "dtype": "int8"})
    assert take_place("sd15[ steps=2 ]") == ("sd15[ steps=2 ]", {})
    assert put_place("sd15", Place("cuda:1", "bf16")) == "sd15[device=cuda:1,dtype=bf16]"
    here = [Place("cpu", "fp32"), Place("cpu", "bf16")]
    assert places_for({}, here) == here
    assert places_for({"dtype": "fp16"}, here) == [Place("cpu", "fp16")]


def test_an_overhead_is_over_the_base_on_the_same_device() -> None:
    from t2ibench.bench.bases import base_of
    from t2ibench.reports.schema import Result, RunSettings

    class Rows:
        results = [
            Result(method=method, checkpoint=None, n=1, settings=RunSettings(device=device), metrics={})
            for device in ("cpu", "onnx")
            for method in (
                f"sd15[checkpoint=x,device={device},dtype=fp32]",
                f"controlnet[condition=canny,base=sd15[checkpoint=x],device={device},dtype=fp32]",
            )
        ]

    for result in Rows.results[1::2]:
        row = base_of(result, Rows).row  # type: ignore[arg-type]
        assert row is not None and row.settings.device == result.settings.device


def test_latency_leaves_out_a_precision_that_a_device_lacks(capsys: pytest.CaptureFixture[str]) -> None:
    from t2ibench.bench.latency.command import _places_in

    assert _places_in(["cpu", "onnx"], ["fp32", "int8"]) == [("cpu", "fp32"), ("onnx", "fp32"), ("onnx", "int8")]
    assert "device 'cpu' is left out in int8: it has no int8" in capsys.readouterr().err
    assert _places_in(["cpu"], ["int8"]) == [("cpu", "int8")]
