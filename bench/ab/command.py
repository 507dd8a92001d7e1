"""``bench ab``: what it was asked, checked before anything is started, and what it prints and writes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from ...adapters import make_adapter
from ...adapters.spec import split_list
from ...core.errors import BenchError
from ...core.files import write_atomic
from ...reports.ab import AbRun
from ...reports.latency import Protocol
from ..gating.command import check_form
from ..gating.gate import STATUS
from ..latency.command import device_name, size_of
from ..latency.worker import Order
from ..startup import INTERRUPTED, dtype_of, ends_as_ctrl_c, quiet_libraries, say
from ..suites import Suite, find_suite
from .measure import LEAST_ROUNDS, Asked, ab, rounds_for
from .versions import find_version


def ab_command(asked: Mapping[str, Any]) -> int:
    """Measure, print and write; return the exit status: 0 not slower, 1 slower, 2 could not be measured."""
    quiet_libraries()
    ends_as_ctrl_c()
    try:
        run = ab(asked_of(asked), say)
    except KeyboardInterrupt:
        say("stopped: latencies are of one go, so nothing is kept")
        raise SystemExit(INTERRUPTED) from None
    file = (asked["out"] or Path("runs") / "ab") / "ab.json"
    write_atomic(file, run.to_json())
    say(f"latencies: {file}; 'bench gate BASE HEAD --ab {file}' judges by them")
    _print(run, asked)
    return STATUS[run.verdict]


def asked_of(asked: Mapping[str, Any]) -> Asked:
    """Return what the command line asks for; BenchError for what cannot be understood."""
    check_form(asked)
    versions = find_version("base", asked["base"]), find_version("head", asked["head"])
    suite = None if asked["methods"] is not None and asked["suite"] is None else find_suite(asked["suite"] or "mini")
    methods = list(_methods(asked["methods"], suite))
    width, height = _size(asked["size"], methods, suite)
    dtype_of(asked["dtype"])
    rounds = asked["rounds"]
    if rounds is not None and rounds < LEAST_ROUNDS:
        raise BenchError(f"--rounds {rounds}: fewer than {LEAST_ROUNDS} paired rounds tell nothing for sure")
    protocol = Protocol(
        iterations=asked["iterations"],
        min_seconds=asked["min_seconds"],
        rounds=rounds or rounds_for(len(methods)),
        seed=asked["seed"],
        end_to_end=asked["end_to_end"],
        width=width,
        height=height,
    )
    names = {"scheduler", "steps", "guidance"}
    sampling = suite.sampling.model_dump(include=names, exclude_none=True) if suite else {}
    orders = [
        Order(
            method=method, device=device_name(asked["device"]), dtype=asked["dtype"], width=width, height=height,
            seed=protocol.seed, end_to_end=protocol.end_to_end, offline=asked["offline"], sampling=sampling,
        )
        for method in methods
    ]  # fmt: skip
    return Asked(versions, orders, protocol, _share(asked["margin"]), asked["threads"], asked["methods"] is not None)


def _share(text: str) -> float:
    try:
        value = float(text.strip().removesuffix("%")) / (100 if text.strip().endswith("%") else 1)
    except ValueError:
        value = -1.0
    if not 0 < value < 1:
        raise BenchError(f"--margin {text}: write a share of base's seconds, such as 5%")
    return value


def _size(text: str | None, methods: Sequence[str], suite: Suite | None) -> tuple[int, int]:
    if text is None and suite:
        return suite.sampling.width or suite.sampling.size, suite.sampling.size
    return size_of(text, ",".join(methods))


def _methods(named: str | None, suite: Suite | None) -> Iterator[str]:
    """Those named, else those of the suite that sample: what draws a scene has no latency to speak of."""
    if named is not None:
        methods = split_list(named)
        if not methods or len(set(methods)) < len(methods):
            raise BenchError("--methods names none, or one of them twice: write 'sd15,controlnet[condition=canny]'")
        yield from methods
        return
    assert suite is not None
    if suite.kind != "generate" or suite.sweep:
        raise BenchError(f"suite '{suite.name}' is of codecs or a sweep: name methods by --methods")
    plain = (method.method for method in suite.methods if method.dataset is None)  # the others are of other sizes
    found = [method for method in plain if _samples(method)]
    if not found:
        raise BenchError(f"suite '{suite.name}' has no method that samples: name some by --methods")
    yield from found


def _samples(method: str) -> bool:
    try:
        return make_adapter(method).traits.sampled
    except BenchError:  # a module or an option that only the versions know
        return True


def _print(run: AbRun, asked: Mapping[str, Any]) -> None:
    from ...reports.console import print_table
    from .text import ab_markdown, ab_table

    if asked["json_"]:
        print(run.to_json(), end="")
    elif asked["markdown"]:
        print(ab_markdown(run), end="")
    else:
        print_table(ab_table(run))
