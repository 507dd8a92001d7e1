"""What other folders ask of the metrics without loading anything heavy."""

import subprocess
import sys

from t2ibench.metrics import METRICS
from t2ibench.metrics.extractors import NETWORKS


def test_every_metric_has_its_name_and_a_known_network():
    assert METRICS.names()[0] == "fid"
    for name in METRICS.names():
        metric = METRICS.get(name)
        assert metric.name == name
        assert metric.network is None or metric.network in NETWORKS


def test_directions():
    lower = {name for name in METRICS.names() if not METRICS.get(name).higher_is_better}
    assert lower >= {"fid", "fid_infinity", "rfid", "kid", "lpips"}
    assert not lower & {"clip_score", "psnr", "ssim", "inception_score", "precision", "recall", "density", "coverage"}


def test_directions_and_the_engine_import_nothing_heavy():
    code = """
import sys
from t2ibench.metrics import METRICS
import t2ibench.metrics.engine
[METRICS.get(name).higher_is_better for name in METRICS.names()]
heavy = {"torch", "pandas", "skimage", "open_clip", "scipy", "PIL"} & set(sys.modules)
sys.exit(f"imported: {heavy}" if heavy else 0)
"""
    subprocess.run([sys.executable, "-c", code], check=True)
