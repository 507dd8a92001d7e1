"""Changes and their intervals: against brute force and published examples, and how often they hold the truth."""

from __future__ import annotations

from itertools import product
from math import factorial

import numpy as np
import pytest
import scipy.stats

from t2ibench.metrics.cmmd import cmmd, cmmd_left_out
from t2ibench.metrics.features import FeatureSet, feature_set
from t2ibench.metrics.frechet import frechet, frechet_distance, frechet_left_out, gaussian, moments
from t2ibench.metrics.frechet_interval import GROUPS, group_labels
from t2ibench.metrics.kernel import discrepancy, kernel_left_out
from t2ibench.metrics.manifold import density_left_out, precision_left_out
from t2ibench.metrics.paired import (
    are_coarse,
    are_shares,
    feature_drift,
    mean_change,
    median_drift,
    paired_coarse_change,
    paired_mean_change,
    paired_share_change,
    share_change,
    simultaneous_level,
)
from t2ibench.metrics.stats import jackknife_half_width, mean_interval, rest_means

SPECTRUM = np.arange(1, 13) ** -0.7


def within_binomial(hits: int, n: int, level: float) -> bool:
    """Whether so many hits are what a rate of at least ``level`` gives, by an exact test at 0.001."""
    return scipy.stats.binomtest(hits, n, level, alternative="less").pvalue > 0.001


# --- means


def test_a_paired_change_is_the_mean_of_the_differences():
    base, head = np.random.default_rng(1).normal(0, 1, (2, 30))
    change = paired_mean_change(base, head, 0.99)
    assert change.estimate == pytest.approx(np.mean(head) - np.mean(base))
    assert (change.low, change.high) == pytest.approx(mean_interval(head - base, 0.99))
    assert paired_mean_change([1.0], [2.0]) is None


def test_pairs_tell_more_than_two_sets_where_prompts_differ():
    random = np.random.default_rng(2)
    prompts = random.normal(0, 10, 200)
    base, head = prompts + random.normal(0, 0.1, 200), prompts + 0.05 + random.normal(0, 0.1, 200)
    paired, unpaired = paired_mean_change(base, head), mean_change(base, head)
    assert paired.estimate == pytest.approx(unpaired.estimate)
    assert (unpaired.high - unpaired.low) > 50 * (paired.high - paired.low)


def test_two_sets_equal_scipys_welch_interval():
    base, head = np.random.default_rng(3).normal(1, 2, 9), np.random.default_rng(4).normal(0, 1, 21)
    expected = scipy.stats.ttest_ind(head, base, equal_var=False).confidence_interval(0.9)
    assert mean_change(base, head, 0.9)[1:] == pytest.approx(tuple(expected))
    assert mean_change([1, 1], [1, 1]) == (0, 0, 0)
    assert mean_change([1], [1, 2]) is None


@pytest.mark.parametrize("level", [0.95, 0.99])
def test_equal_runs_are_called_different_as_seldom_as_said(level: float):
    random, holds = np.random.default_rng(5), [0, 0]
    for _ in range(1000):
        prompts = random.exponential(1, 25)
        base, head, other = prompts + random.normal(0, 0.3, (3, 25))
        holds[0] += (change := paired_mean_change(base, head, level)).low < 0 < change.high
        holds[1] += (change := mean_change(base, random.permutation(other) * 1.0, level)).low < 0 < change.high
    assert all(within_binomial(held, 1000, level) for held in holds)


# --- shares


def test_tangos_published_example():
    """44 patients, one of whom had a success under one treatment alone: 90 % interval of Tango 1998, section 5."""
    change = paired_share_change([1] * 43 + [0], [1] * 44, level=0.9)
    assert change.estimate == pytest.approx(1 / 44)
    assert (change.low, change.high) == pytest.approx((-0.037, 0.096), abs=5e-4)


def test_newcombes_published_example():
    """56 of 70 against 48 of 80: 0.0524 to 0.3339 (Newcombe 1998, example a, method 10)."""
    change = share_change([1] * 48 + [0] * 32, [1] * 56 + [0] * 14)
    assert change[1:] == pytest.approx((0.0524, 0.3339), abs=5e-5)


@pytest.mark.parametrize("level", [0.95, 0.9975])
@pytest.mark.parametrize("n", [20, 128])
def test_where_all_pairs_agree_the_interval_is_no_point(n: int, level: float):
    z = scipy.stats.norm.ppf((1 + level) / 2)
    change = paired_share_change([1] * n, [1] * n, level)
    assert change[1:] == pytest.approx((-(z**2) / (n + z**2), z**2 / (n + z**2)))
    width = share_change([1] * n, [1] * n, level)
    assert width.low < 0 < width.high


@pytest.mark.parametrize(("n", "level"), [(24, 0.95), (128, 0.999)])
def test_scores_of_few_values_that_all_agree_are_as_unsure_as_shares(n: int, level: float):
    halves = np.resize([0, 0.5, 1, 1], n)
    assert are_coarse(halves, halves) and not are_coarse(np.linspace(0, 1, n), halves)
    assert not are_coarse(2 * halves, halves) and not are_coarse(halves[:8], halves[:8])
    assert paired_mean_change(halves, halves, level) == (0, 0, 0)
    change = paired_coarse_change(halves, halves, level)
    assert change == pytest.approx(paired_share_change(halves == 1, halves == 1, level), abs=1e-9)
    assert change.high == -change.low > 0


def test_where_many_pairs_differ_scores_of_few_values_have_students_interval():
    random = np.random.default_rng(3)
    base, head = random.choice([0, 0.5, 1], (2, 200))
    assert are_coarse(base, head)
    assert paired_coarse_change(base, head) == paired_mean_change(base, head)
    assert paired_coarse_change(base[:1], head[:1]) is None


def test_the_ends_of_a_share():
    assert paired_share_change([0] * 9, [1] * 9).high == 1
    assert paired_share_change([1] * 9, [0] * 9).low == -1
    assert paired_share_change([], []) is None
    assert share_change([], [1]) is None
    gained, lost = paired_share_change([0] * 5 + [1] * 20, [1] * 25), paired_share_change([1] * 25, [0] * 5 + [1] * 20)
    assert (gained.low, gained.high) == pytest.approx((-lost.high, -lost.low))


@pytest.mark.parametrize(("gains", "losses"), [(0.02, 0.02), (0.1, 0.1), (0.05, 0.15), (0.001, 0.001)])
def test_shares_of_pairs_hold_the_truth_by_enumeration(gains: float, losses: float):
    """Every outcome of 40 pairs with its probability: at 95 %, Tango's interval covers at least 93 %."""
    n, held = 40, 0.0
    for gained, lost in product(range(n + 1), repeat=2):
        if gained + lost > n:
            continue
        ways = factorial(n) / (factorial(gained) * factorial(lost) * factorial(n - gained - lost))
        probability = ways * gains**gained * losses**lost * (1 - gains - losses) ** (n - gained - lost)
        if probability < 1e-7:
            continue
        base = [0] * gained + [1] * (n - gained)
        head = [1] * gained + [0] * lost + [1] * (n - gained - lost)
        change = paired_share_change(base, head)
        held += probability * (change.low <= gains - losses <= change.high)
    assert held > 0.93


def test_what_is_a_share():
    assert are_shares([0, 1, 1], [1.0])
    assert not are_shares([0, 1], [0.5])


# --- distances


def draw(seed: int, n: int, scale: float = 1.0, shift: float = 0.0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(n, len(SPECTRUM))) * SPECTRUM * scale + shift


def recomputed(rows: np.ndarray, reference: FeatureSet, labels: np.ndarray) -> np.ndarray:
    sides = (gaussian(moments(rows[labels != group])) for group in range(GROUPS))
    return np.array([frechet_distance(side, reference.gaussian) for side in sides])


@pytest.mark.parametrize(("n", "within"), [(12, 1e-6), (60, 0.2), (400, 0.05)])
def test_a_paired_distance_agrees_with_the_whole_recomputation(n: int, within: float):
    """20 groups of the same pictures left out before and after; by derivatives above n = d, exactly up to there."""
    n, labels = max(n, GROUPS), group_labels(max(n, GROUPS))
    rows = draw(1, n)
    moved = rows * 1.05 + draw(2, n, 0.1) + 0.02
    reference = feature_set(draw(3, 300, 1.1, 0.05))
    ours, full = (
        take(moved) - take(rows)
        for take in (
            lambda side: frechet_left_out(feature_set(side), reference, labels),
            lambda side: recomputed(side, reference, labels),
        )
    )
    assert jackknife_half_width(ours) == pytest.approx(jackknife_half_width(full), rel=max(within, 0.2))
    if n > 100:
        assert np.corrcoef(ours, full)[0, 1] > 0.98


def test_a_pair_of_equal_methods_is_told_apart_as_seldom_as_said():
    """Both sides perturb the same pictures: the interval holds 0, and is far narrower than that of two sets."""
    reference, held, widths = feature_set(draw(0, 400, 1.1, 0.05)), 0, []
    labels = group_labels(80)
    for seed in range(200):
        rows = draw(1000 + seed, 80)
        sides = [feature_set(rows + draw(5000 + 2 * seed + side, 80, 0.2)) for side in range(2)]
        left = [frechet_left_out(side, reference, labels) for side in sides]
        change = frechet_distance(sides[1].gaussian, reference.gaussian) - frechet_distance(
            sides[0].gaussian, reference.gaussian
        )
        half = jackknife_half_width(left[1] - left[0])
        held += abs(change) < half
        widths.append(half / jackknife_half_width(*left))
    assert within_binomial(held, 200, 0.95)
    assert np.mean(widths) < 0.5


def test_a_real_change_is_found():
    rows, reference, labels = draw(1, 200), feature_set(draw(2, 300)), group_labels(200)
    sides = [feature_set(rows), feature_set(rows + 0.05)]
    left = [frechet_left_out(side, reference, labels) for side in sides]
    change = frechet(sides[1], reference).value - frechet(sides[0], reference).value
    assert change > jackknife_half_width(left[1] - left[0])
    assert change < jackknife_half_width(*left)  # which two runs by themselves would not show


def test_kernel_distances_leave_out_groups_to_first_order():
    x, y = (draw(seed, 120, shift=seed / 20).astype(np.float32) for seed in (1, 2))
    labels = group_labels(120)

    def unbiased(rows: np.ndarray) -> float:
        n, m = len(rows), len(y)
        kernel = lambda a, b: (a @ b.T / a.shape[1] + 1.0) ** 3  # noqa: E731
        own, other = kernel(rows, rows), kernel(y, y)
        spread = (own.sum() - np.trace(own)) / (n * (n - 1)) + (other.sum() - np.trace(other)) / (m * (m - 1))
        return float(spread - 2 * kernel(rows, y).mean())

    assert unbiased(x) == pytest.approx(discrepancy(x, y).value, rel=1e-3)
    full = np.array([unbiased(x[labels != group]) for group in range(GROUPS)])
    ours = kernel_left_out(feature_set(x), feature_set(y), labels)
    assert jackknife_half_width(ours) == pytest.approx(jackknife_half_width(full), rel=0.1)
    assert np.corrcoef(ours, full)[0, 1] > 0.98


def test_cmmd_leaves_out_groups_to_first_order():
    x, y, labels = draw(1, 120) + 1, draw(2, 100, 1.2) + 1, group_labels(120)
    full = np.array([cmmd(x[labels != group], y) for group in range(GROUPS)])
    ours = cmmd_left_out(feature_set(x), feature_set(y), labels)
    assert np.corrcoef(ours, full)[0, 1] > 0.98
    assert jackknife_half_width(ours) == pytest.approx(jackknife_half_width(full), rel=0.1)


def test_precision_and_density_leave_out_groups_exactly():
    from t2ibench.metrics.manifold import density, precision

    x, reference, labels = draw(1, 100, 1.3), feature_set(draw(2, 100)), group_labels(100)
    for left_out, metric in ((precision_left_out, precision), (density_left_out, density)):
        full = [metric(feature_set(x[labels != group]), reference).value for group in range(GROUPS)]
        np.testing.assert_allclose(left_out(feature_set(x), reference, labels), full, rtol=1e-9)


def test_rest_means():
    values, labels = np.arange(7.0), np.array([0, 1, 2, 0, 1, 2, 0])
    expected = [values[labels != group].mean() for group in range(3)]
    np.testing.assert_allclose(rest_means(values, labels), expected)


# --- drift


def test_drift_is_0_for_equal_pictures_and_1_for_those_of_other_prompts():
    base = draw(1, 4000)
    assert feature_drift(base, base) == (0, 0, 0)
    change = feature_drift(base, draw(2, 4000))
    assert change.low < 1 < change.high
    assert feature_drift(base, base[:, ::-1] * 100).estimate > 1
    assert feature_drift(np.ones((5, 3)), np.ones((5, 3))) is None
    assert feature_drift(base[:1], base[:1]) is None


def test_drift_by_definition():
    base, head = draw(1, 30), draw(2, 30)
    others = np.mean([np.sum((base[i] - base[j]) ** 2) for i in range(30) for j in range(30) if i != j])
    assert feature_drift(base, head).estimate == pytest.approx(np.mean(np.sum((head - base) ** 2, axis=1)) / others)


def test_drift_tells_no_direction():
    """Pictures that come nearer to the reference have drifted as far as those that move away."""
    base, reference = draw(1, 200, shift=0.5), feature_set(draw(2, 300))
    nearer, further = base - 0.2, base + 0.2
    distances = [frechet(feature_set(side), reference).value for side in (nearer, base, further)]
    assert distances[0] < distances[1] < distances[2]
    assert feature_drift(base, nearer).estimate == pytest.approx(feature_drift(base, further).estimate)


def test_the_interval_of_drift_holds_the_truth():
    random, held = np.random.default_rng(7), 0
    truth = 0.3**2 / 2
    for _ in range(400):
        base = random.normal(size=(60, 12))
        change = feature_drift(base, base + 0.3 * random.normal(size=(60, 12)))
        held += change.low < truth < change.high
    assert within_binomial(held, 400, 0.94)


def test_pictures_of_one_prompt_count_as_one():
    base, head = draw(1, 40), draw(1, 40) + draw(2, 40, 0.2)
    once = feature_drift(base, head)
    thrice = feature_drift(*(np.tile(side, (3, 1)) for side in (base, head)), prompts=np.tile(np.arange(40), 3))
    assert thrice.high - thrice.estimate == pytest.approx(once.high - once.estimate, rel=0.02)


def test_the_median_drift_is_of_the_pictures_that_are_not_turned_into_others():
    base = draw(1, 64)
    rounded = base + draw(2, 64, 0.001)
    rounded[:3] = draw(3, 3)
    fault = base + draw(4, 64, 0.03)
    assert feature_drift(base, rounded).estimate > 10 * feature_drift(base, fault).estimate
    assert 100 * median_drift(base, rounded).high < median_drift(base, fault).low


def test_the_median_drift_by_definition():
    base, head = draw(1, 30), draw(2, 30)
    others = np.mean([np.sum((base[i] - base[j]) ** 2) for i in range(30) for j in range(30) if i != j])
    change = median_drift(base, head)
    assert change.estimate == pytest.approx(np.median(np.sum((head - base) ** 2, axis=1)) / others)
    assert change.low < change.estimate < change.high
    assert median_drift(base, base) == (0, 0, 0)
    assert median_drift(np.ones((9, 3)), np.ones((9, 3))) is None
    thrice = median_drift(*(np.tile(side, (3, 1)) for side in (base, head)), prompts=np.tile(np.arange(30), 3))
    assert thrice.estimate == pytest.approx(change.estimate, rel=0.03)  # the mean distance of others is another
    assert thrice.high / thrice.low == pytest.approx(change.high / change.low)


def test_few_pictures_tell_little_of_a_median():
    base, head = draw(1, 8), draw(2, 8)
    assert median_drift(base[:5], head[:5]) is None
    usual, careful = median_drift(base, head), median_drift(base, head, 0.9999)
    assert 0 < usual.low < usual.high == careful.high
    assert careful.low == 0


# --- many rows


def test_all_intervals_hold_together():
    """20 rows of equal runs, 300 times: in at least 95 % of them no row is called different."""
    random, level = np.random.default_rng(8), simultaneous_level(20)
    assert level == pytest.approx(0.9975)
    assert simultaneous_level(0) == 0.95
    clean = 0
    for _ in range(300):
        rows = random.normal(0, 1, (20, 30))
        clean += all(low < 0 < high for low, high in (mean_interval(row, level) for row in rows))
    assert within_binomial(clean, 300, 0.95)
