"""Errors of depths against scikit-learn's, and streams, unknown pixels, bad input."""

import numpy as np
import pytest
from sklearn.metrics import mean_absolute_percentage_error, mean_squared_error

from gan_mtl.metrics import DepthScores

RNG = np.random.default_rng(5)
TRUE = np.exp(RNG.normal(size=(7, 4, 6)))
FOUND = TRUE * np.exp(0.3 * RNG.normal(size=TRUE.shape))


def test_against_scikit_learn():
    report = DepthScores().add(TRUE, FOUND).report()
    true, found = TRUE.ravel(), FOUND.ravel()
    assert report.absolute_relative == pytest.approx(mean_absolute_percentage_error(true, found))
    assert report.rmse == pytest.approx(mean_squared_error(true, found) ** 0.5)
    assert report.rmse_log == pytest.approx(mean_squared_error(*np.log([true, found])) ** 0.5)
    close = [max(a / b, b / a) < 1.25 for a, b in zip(true, found, strict=True)]
    assert report.delta == pytest.approx(np.mean(close)) and 0.3 < report.delta < 0.8
    assert (report.pixels, report.images) == (7 * 24, 7)


def test_by_hand():
    """Depths 1, 2, 4, of which are said 1.25, 2 and 3: the limit itself is not within."""
    report = DepthScores().add([[[1.0, 2.0, 4.0]]], [[[1.25, 2.0, 3.0]]]).report()
    assert report.absolute_relative == pytest.approx((0.25 + 0 + 0.25) / 3)
    assert report.rmse == pytest.approx(((0.0625 + 1) / 3) ** 0.5)
    assert report.delta == pytest.approx(1 / 3)


@pytest.mark.parametrize("cut", [0, 3, 7])
def test_merged_streams_are_one(cut):
    parts = (DepthScores().add(TRUE[s], FOUND[s]) for s in (np.s_[:cut], np.s_[cut:]))
    first, second = parts
    whole = DepthScores().add(TRUE, FOUND)
    np.testing.assert_allclose(first.merge(second), whole, rtol=1e-12)
    np.testing.assert_allclose(first.add(TRUE[cut:], FOUND[cut:]), whole, rtol=1e-12)


@pytest.mark.parametrize("unknown", [np.nan, 0.0, -2.0, np.inf])
def test_unknown_pixels_count_nowhere_whatever_is_predicted(unknown):
    true, found = TRUE.copy(), FOUND.copy()
    true[:, :, 4:], found[:, :, 4:] = unknown, -1.0
    seen = DepthScores().add(TRUE[:, :, :4], FOUND[:, :, :4])
    np.testing.assert_allclose(DepthScores().add(true, found), seen, rtol=1e-12)


def test_without_a_known_pixel_all_is_nan():
    report = DepthScores().add(np.zeros((2, 3, 3)), np.ones((2, 3, 3))).report()
    assert np.isnan(report[:4]).all() and (report.pixels, report.images) == (0, 2)
    assert np.isnan(DepthScores().report().rmse)


def test_bad_input_is_refused_by_number():
    scores = DepthScores().add(TRUE, FOUND)
    found = FOUND.copy()
    for bad in (0.0, -1.0, np.nan, np.inf):
        found[2, 1, 5] = bad
        with pytest.raises(ValueError, match=rf"sample 9: .* got {bad} at \[1, 5\]; of logar"):
            scores.add(TRUE, found)
    with pytest.raises(ValueError, match=r"got \(7, 4, 6\) and \(7, 4, 5\); resize the pred"):
        scores.add(TRUE, FOUND[..., 1:])
