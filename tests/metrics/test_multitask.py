"""Delta-m against the printed tables, ranks against SciPy, areas against counting cells."""

import numpy as np
import pytest
import scipy.stats

from gan_mtl.metrics import delta_m, hypervolume_2d, mean_rank, relative_changes, task_means

# NYUv2: mIoU, pixel accuracy, absolute and relative depth error, mean and median angle, share of
# normals within 11.25, 22.5 and 30 degrees; then Delta-m over metrics as printed by the papers
# (2202.01017, 2306.03792 and after), and over tasks, recomputed in NumPy.
NYU_SINGLE = (38.30, 63.76, 0.6754, 0.2780, 25.01, 19.21, 30.14, 57.20, 69.15)
NYU_HIGHER = (True, True, False, False, False, False, True, True, True)
NYU_TASKS = ("segmentation",) * 2 + ("depth",) * 2 + ("normals",) * 5
NYU = {
    "LS": (39.29, 65.33, 0.5493, 0.2263, 28.15, 23.96, 22.09, 47.50, 61.08, 5.59, -0.88),
    "SI": (38.45, 64.27, 0.5354, 0.2201, 27.60, 23.37, 22.53, 48.57, 62.32, 4.39, -1.64),
    "RLW": (37.17, 63.77, 0.5759, 0.2410, 28.27, 24.18, 22.26, 47.05, 60.62, 7.78, 2.16),
    "DWA": (39.11, 65.31, 0.5510, 0.2285, 27.61, 23.18, 24.17, 50.18, 62.39, 3.57, -1.93),
    "UW": (36.87, 63.17, 0.5446, 0.2260, 27.04, 22.61, 23.54, 49.05, 63.65, 4.05, -0.91),
    "MGDA": (30.47, 59.90, 0.6070, 0.2555, 24.88, 19.45, 29.18, 56.88, 69.36, 1.38, 1.66),
    "PCGrad": (38.06, 64.64, 0.5550, 0.2325, 27.41, 22.80, 23.86, 49.83, 63.14, 3.97, -1.11),
    "GradDrop": (39.39, 65.12, 0.5455, 0.2279, 27.48, 22.96, 23.38, 49.44, 62.87, 3.58, -2.07),
    "CAGrad": (39.79, 65.49, 0.5486, 0.2250, 26.31, 21.58, 25.61, 52.36, 65.58, 0.20, -4.33),
    "IMTL-G": (39.35, 65.60, 0.5426, 0.2256, 26.02, 21.19, 26.20, 53.13, 66.24, -0.76, -4.77),
    "MoCo": (40.30, 66.07, 0.5575, 0.2135, 26.67, 21.83, 25.61, 51.78, 64.85, 0.16, -4.85),
    "Nash": (40.13, 65.93, 0.5261, 0.2171, 25.26, 20.08, 28.40, 55.47, 68.15, -4.04, -7.65),
    "Aligned": (40.15, 66.05, 0.5520, 0.2291, 25.37, 19.89, 28.30, 55.29, 67.95, -3.12, -6.30),
    "FAMO": (38.88, 64.90, 0.5474, 0.2194, 25.06, 19.57, 29.21, 56.61, 68.98, -4.10, -6.79),
    "SDMGrad": (40.47, 65.90, 0.5225, 0.2084, 25.07, 19.99, 28.54, 55.74, 68.53, -4.84, -8.58),
    "DB-MTL": (41.42, 66.45, 0.5251, 0.2160, 25.03, 19.50, 28.72, 56.17, 68.73, -5.36, -8.91),
    "STCH": (41.35, 66.07, 0.4965, 0.2010, 26.55, 21.81, 24.84, 51.39, 64.86, -1.35, -7.39),
    "FairGrad": (39.74, 66.01, 0.5377, 0.2236, 24.84, 19.60, 29.26, 56.58, 69.16, -4.66, -7.52),
    "GO4Align": (40.42, 65.37, 0.5492, 0.2167, 24.76, 18.94, 30.54, 57.87, 69.84, -6.08, -8.53),
    "NTKMTL": (39.68, 65.43, 0.5296, 0.2168, 24.24, 18.63, 30.74, 58.72, 70.78, -6.99, -9.18),
}
# Cityscapes: mIoU, pixel accuracy, absolute and relative depth error; Delta-m as printed.
CITY_SINGLE = (74.01, 93.16, 0.0125, 27.77)
CITY_HIGHER = (True, True, False, False)
CITY = {
    "LS": (75.18, 93.49, 0.0155, 46.77, 22.60),
    "SI": (70.95, 91.73, 0.0161, 33.83, 14.11),
    "RLW": (74.57, 93.41, 0.0158, 47.79, 24.38),
    "DWA": (75.24, 93.52, 0.0160, 44.37, 21.45),
    "UW": (72.02, 92.85, 0.0140, 30.13, 5.89),
    "MGDA": (68.84, 91.54, 0.0309, 33.50, 44.14),
    "PCGrad": (75.13, 93.48, 0.0154, 42.07, 18.29),
    "CAGrad": (75.16, 93.48, 0.0141, 37.60, 11.64),
    "IMTL-G": (75.33, 93.49, 0.0135, 38.41, 11.10),
    "Nash": (75.41, 93.66, 0.0129, 35.02, 6.82),
    "FAMO": (74.54, 93.29, 0.0145, 32.59, 8.13),
    "Aligned": (75.77, 93.69, 0.0133, 32.66, 5.27),
    "SDMGrad": (74.53, 93.52, 0.0137, 34.01, 7.74),
    "FairGrad": (75.72, 93.68, 0.0134, 32.25, 5.18),
    "NTKMTL": (73.71, 92.71, 0.0136, 27.21, 1.92),
}


@pytest.mark.parametrize("name", NYU)
def test_nyu_as_printed(name):
    *values, over_metrics, over_tasks = NYU[name]
    printed = 0.17 if name == "IMTL-G" else 0.01  # the papers' inputs had more digits
    found = delta_m(values, NYU_SINGLE, NYU_HIGHER)
    np.testing.assert_allclose(found, over_metrics, atol=printed)
    found = delta_m(values, NYU_SINGLE, NYU_HIGHER, NYU_TASKS)
    np.testing.assert_allclose(found, over_tasks, atol=0.0051)


@pytest.mark.parametrize("name", CITY)
def test_cityscapes_as_printed(name):
    *values, printed = CITY[name]
    found = delta_m(values, CITY_SINGLE, CITY_HIGHER)
    np.testing.assert_allclose(found, printed, atol=0.11)  # errors of 0.0125 have three digits


def test_the_two_variants_rank_methods_differently():
    def order(tasks):
        return sorted(NYU, key=lambda n: delta_m(NYU[n][:9], NYU_SINGLE, NYU_HIGHER, tasks))

    assert order(None).index("MGDA") < order(None).index("LS")
    assert order(NYU_TASKS).index("LS") < order(NYU_TASKS).index("MGDA")


def test_by_hand():
    changes = relative_changes([0.9, 1.1, 2.0], [1.0, 1.0, 4.0], (True, True, False))
    np.testing.assert_allclose(changes, [10.0, -10.0, -50.0])
    assert task_means(changes, ("a", "b", "a")) == pytest.approx({"a": -20.0, "b": -10.0})
    assert delta_m([1.0, 2.0], [1.0, 2.0], (True, False)) == 0.0


def test_bad_metrics_are_refused_by_name():
    with pytest.raises(ValueError, match=r"one entry per metric, got shapes \(2,\), \(3,\)"):
        delta_m([1.0, 2.0], [1.0, 2.0, 3.0], (True, True))
    with pytest.raises(ValueError, match="baseline: expected metrics > 0"):
        delta_m([1.0, 2.0], [1.0, 0.0], (True, True))
    with pytest.raises(ValueError, match="tasks: expected 2 names"):
        delta_m([1.0, 2.0], [1.0, 2.0], (True, True), ("a",))


def test_ranks_against_scipy():
    draw = np.random.default_rng(0)
    values = draw.integers(0, 4, size=(7, 5)).astype(float)  # with ties
    higher = np.array([True, False, True, True, False])
    cost = np.where(higher, -values, values)
    expected = scipy.stats.rankdata(cost, method="average", axis=0).mean(axis=1)
    np.testing.assert_allclose(mean_rank(values, tuple(higher)), expected)
    np.testing.assert_allclose(mean_rank([[1.0], [1.0], [2.0]], (True,)), [2.5, 2.5, 1.0])


def test_bad_ranks_are_refused():
    with pytest.raises(ValueError, match=r"values: expected shape \[methods, 2\]"):
        mean_rank([[1.0, 2.0, 3.0]], (True, False))
    with pytest.raises(ValueError, match="finite"):
        mean_rank([[1.0, np.nan]], (True, False))


@pytest.mark.parametrize("seed", range(5))
def test_areas_by_counting_cells(seed):
    """On a grid of integers the dominated area is a number of cells."""
    points = np.random.default_rng(seed).integers(0, 13, size=(8, 2))
    x, y = np.meshgrid(np.arange(10) + 0.5, np.arange(10) + 0.5)
    covered = np.any([(x > a) & (y > b) for a, b in points], axis=0).sum()
    assert hypervolume_2d(points, (10, 10)) == covered
    assert hypervolume_2d(10 - points, (0, 0), maximise=True) == covered


def test_areas_by_hand():
    assert hypervolume_2d([[0.5, 0.5]], (2.0, 2.0)) == 2.25
    assert hypervolume_2d([[0.5, 0.5], [0.6, 0.6], [0.5, 0.7]], (2.0, 2.0)) == 2.25
    assert hypervolume_2d([[3.0, 0.0], [2.0, 1.0]], (2.0, 2.0)) == 0.0
    assert hypervolume_2d(np.zeros((0, 2)), (2.0, 2.0)) == 0.0
    with pytest.raises(ValueError, match=r"\[n, 2\]"):
        hypervolume_2d([1.0, 2.0], (2.0, 2.0))
