"""What tells the pictures of one version of a method from those of another."""

from __future__ import annotations

from pathlib import Path

import pytest

from t2ibench.adapters import make_adapter
from t2ibench.bench import rows
from t2ibench.datasets.request import Request


def identity(tiny_sd: Path) -> str:
    """As another process would find it."""
    method = f"sd15[checkpoint={tiny_sd}]"
    rows.shared_code.cache_clear()
    try:
        return rows.AdapterRow(method, make_adapter(method), [Request("p0", "a bus")], "cpu", "fp32").key
    finally:
        rows.shared_code.cache_clear()


def test_any_code_beside_the_methods_makes_other_pictures(
    tiny_sd: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert {rows.ADAPTERS / "schedulers.py", rows.ADAPTERS / "networks" / "unet.py"} <= {*rows.ADAPTERS.rglob("*.py")}
    monkeypatch.setattr(rows, "ADAPTERS", tmp_path)
    network = tmp_path / "networks" / "unet.py"
    network.parent.mkdir()
    network.write_text("STEPS = 1\n")
    before = identity(tiny_sd)
    assert identity(tiny_sd) == before
    network.write_text("STEPS = 2\n")
    assert identity(tiny_sd) != before
