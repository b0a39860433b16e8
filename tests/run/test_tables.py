"""Means, spreads and paired intervals against SciPy."""

import numpy as np
import pytest
from scipy import stats

from gan_mtl.run import tables

CELLS = [
    {"arm": arm, "labels": 30, "seed": seed, "scores": {"accuracy": value}}
    for arm, found in {"a": [0.5, 0.6, 0.8], "b": [0.7, 0.9, 0.8]}.items()
    for seed, value in enumerate(found)
] + [{"arm": "a", "labels": 30, "seed": 3, "scores": None}]


def test_values_are_those_of_finished_cells():
    assert tables.values(CELLS, "a", "accuracy", 30) == {0: 0.5, 1: 0.6, 2: 0.8}
    assert tables.values(CELLS, "a", "accuracy", 10) == {}
    assert tables.values(CELLS, "a", "f1", 30) == {}


def test_mean_and_sample_standard_deviation():
    found = tables.values(CELLS, "a", "accuracy", 30)
    assert (
        tables.mean_std(found, 100) == f"{100 * 19 / 30:.1f} ± {np.std([50, 60, 80], ddof=1):.1f}"
    )
    assert tables.mean_std({0: 0.5}, 100) == "50.0"
    assert tables.mean_std({}) == "-"


def test_the_paired_interval_is_scipys():
    a, b = (tables.values(CELLS, arm, "accuracy", 30) for arm in "ba")
    found = tables.paired(a, b)
    d = np.array([0.2, 0.3, 0.0])
    low, high = stats.ttest_1samp(d, 0.0).confidence_interval(0.95)
    assert found == pytest.approx((d.mean(), low, high, 3))
    assert tables.paired(a, {0: 1.0}) is None


def test_markdown_is_aligned():
    text = tables.markdown(["row", "x"], [["a", "1.0"], ["long", "10.0"]])
    assert text.splitlines() == [
        "| row  |    x |",
        "| ---- | ---: |",
        "| a    |  1.0 |",
        "| long | 10.0 |",
    ]
