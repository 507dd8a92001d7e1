"""What a gate finds, as planned and as it comes out: seeded simulations of the gate's own rule."""

from __future__ import annotations

import numpy as np
import pytest

from t2ibench.metrics.features import feature_set
from t2ibench.metrics.frechet import frechet, frechet_left_out
from t2ibench.metrics.frechet_interval import GROUPS, group_labels
from t2ibench.metrics.paired import Change, paired_mean_change, simultaneous_level
from t2ibench.metrics.power import Spread, needed, passing, power, visible
from t2ibench.metrics.stats import jackknife_half_width, student
from t2ibench.metrics.timing import rounds_needed, slowdown

LEVEL = simultaneous_level(8)


def fails(own: Change, together: Change, margin: float) -> bool:
    return together.low > 0 and own.estimate > margin


def test_a_change_no_larger_than_the_margin_is_never_sure_to_be_found() -> None:
    spread = Spread(0.1, 100)
    assert needed(0.02, 0.02, spread, LEVEL) is None and needed(0.01, 0.02, spread, LEVEL) is None
    assert power(0.02, 0.02, spread.at(10**8), LEVEL) == pytest.approx(0.5, abs=0.01)


def test_more_pictures_smaller_margins_and_larger_changes_find_more() -> None:
    spread = Spread(0.02, 100)
    base = power(0.05, 0.03, spread, LEVEL)
    assert power(0.05, 0.03, spread.at(200), LEVEL) > base
    assert power(0.06, 0.03, spread, LEVEL) > base
    assert power(0.05, 0.045, spread, LEVEL) < base
    assert power(0.05, 0.03, spread, simultaneous_level(80)) < base


def test_what_is_needed_and_what_is_visible_are_two_sides_of_one_thing() -> None:
    spread = Spread(0.02, 100)
    n = needed(0.05, 0.03, spread, LEVEL)
    assert n is not None
    assert power(0.05, 0.03, spread.at(n), LEVEL) >= 0.8 > power(0.05, 0.03, spread.at(n - 1), LEVEL)
    assert visible(0.03, spread.at(n), LEVEL) == pytest.approx(0.05, rel=0.01)


def test_without_any_spread_the_margin_alone_decides() -> None:
    spread = Spread(0.0, 50)
    assert power(0.03, 0.02, spread, LEVEL) == 1 and power(0.01, 0.02, spread, LEVEL) == 0
    assert passing(0.02, spread) == 1


@pytest.mark.parametrize(("change", "margin"), [(0.05, 0.03), (0.05, 0.0375), (0.05, 0.0)])
def test_the_planned_number_of_pictures_finds_a_change_as_often_as_planned(change: float, margin: float) -> None:
    """Differences of pairs with a heavy tail, as scores have; the gate's own rule on 1,500 gates."""
    random, spread = np.random.default_rng(0), Spread(0.4 / 30**0.5, 30)
    n = needed(change, margin, spread, LEVEL)
    assert n is not None
    found = passed = 0
    for _ in range(1500):
        differences = 0.4 * random.standard_t(8, n) * (6 / 8) ** 0.5
        zeros = np.zeros(n)
        own, together = (paired_mean_change(zeros, differences + change, level) for level in (0.95, LEVEL))
        assert own and together
        found += fails(own, together, margin)
        equal = paired_mean_change(zeros, differences)
        passed += equal is not None and equal.high < margin
    assert found / 1500 == pytest.approx(0.8, abs=0.03)
    assert passed / 1500 == pytest.approx(passing(margin, spread.at(n)), abs=0.04)


def test_it_holds_for_a_frechet_distance_by_the_jackknife_over_groups() -> None:
    """From the spread of one pair of runs at n = 200 to the pictures needed, and 200 gates with so many."""
    random = np.random.default_rng(0)
    reference = feature_set(random.normal(0, 1, (2000, 6)))

    def gate(n: int, level: float) -> Change:
        base = random.normal(0.3, 1.1, (n, 6))
        head = base + 0.25 * random.normal(0, 1, (n, 6)) + 0.03
        sides, labels = [feature_set(side) for side in (base, head)], group_labels(n)
        left = [frechet_left_out(side, reference, labels) for side in sides]
        change = frechet(sides[1], reference).value - frechet(sides[0], reference).value
        half = jackknife_half_width(left[1] - left[0], level=level)
        return Change(change, change - half, change + half)

    at_200 = [gate(200, 0.95) for _ in range(20)]
    truth = float(np.mean([gate(3000, 0.95).estimate for _ in range(4)]))
    errors = [(found.high - found.low) / 2 / student(GROUPS - 1, 0.95) for found in at_200]
    spread = Spread(float(np.sqrt(np.mean(np.square(errors)))), 200, GROUPS - 1)
    n = needed(truth, 0.6 * truth, spread, LEVEL)
    assert n is not None
    gates = [gate(n, LEVEL) for _ in range(200)]
    found = sum(each.low > 0 and each.estimate > 0.6 * truth for each in gates) / 200
    assert 0.7 < found < 0.92


@pytest.mark.parametrize("scatter", [0.01, 0.03])
def test_it_holds_for_rounds_that_both_goes_have_to_find(scatter: float) -> None:
    random, change, margin, level = np.random.default_rng(0), np.log(1.07), np.log(1.05), simultaneous_level(5)
    n = needed(change, margin, Spread(scatter / 10**0.5, 10), level, 0.8**0.5)
    assert n is not None
    rounds = max(n, rounds_needed(5))
    found = 0
    for _ in range(200):
        goes = []
        for _ in range(2):
            ratios = np.exp(random.normal(change, scatter, rounds))
            own, together = (slowdown(np.ones(rounds), ratios, each) for each in (0.95, level))
            assert own and together
            goes.append(fails(own, together, 0.05))
        found += all(goes)
    assert found / 200 >= 0.74
    assert found / 200 <= (0.88 if rounds == n else 1)
