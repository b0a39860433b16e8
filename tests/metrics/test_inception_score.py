"""The inception score against SciPy's entropies, its bounds, and its conventions."""

import numpy as np
import pytest
from scipy import special, stats

from gan_mtl.metrics import inception_score

LOGITS = 3 * np.random.default_rng(0).normal(size=(103, 7))


def by_scipy(p):
    return np.exp(stats.entropy(p, p.mean(axis=0, keepdims=True), axis=1).mean())


@pytest.mark.parametrize("splits", [1, 4, 10])
def test_against_scipy(splits):
    p = special.softmax(LOGITS, axis=1)
    parts = [p[i * 103 // splits : (i + 1) * 103 // splits] for i in range(splits)]
    scores = [by_scipy(part) for part in parts]
    got = inception_score(p, splits)
    assert sum(map(len, parts)) == 103
    np.testing.assert_allclose(got[:2], [np.mean(scores), np.std(scores)], rtol=1e-10, atol=1e-12)
    assert got[2:] == (splits, 103)
    assert inception_score(LOGITS, splits, logits=True) == pytest.approx(got, abs=1e-12)


def test_bounds_are_reached():
    sure = np.eye(6)[np.arange(60) % 6]
    assert inception_score(sure, 10).mean == pytest.approx(6)
    assert inception_score(np.full((60, 6), 1 / 6), 10).mean == pytest.approx(1)
    assert inception_score(sure[:1].repeat(60, axis=0), 10).mean == pytest.approx(1)


def test_sorted_classes_are_the_trap_and_the_seed_its_remedy():
    p = np.eye(10)[np.repeat(np.arange(10), 100)]
    assert inception_score(p).mean == pytest.approx(1)
    assert inception_score(p, seed=0).mean > 9
    assert inception_score(p, seed=0) == inception_score(p, seed=0)


def test_large_logits_do_not_overflow():
    got = inception_score(1e4 * np.eye(5)[np.arange(50) % 5], 5, logits=True)
    assert got.mean == pytest.approx(5)


def test_float32_probabilities_are_taken():
    p = special.softmax(LOGITS, axis=1)
    assert inception_score(p.astype(np.float32)).mean == pytest.approx(
        inception_score(p).mean, rel=1e-6
    )


def test_bad_input_is_refused_by_name():
    with pytest.raises(ValueError, match=r"sums to .* of logits say logits=True"):
        inception_score(LOGITS)
    with pytest.raises(ValueError, match="splits: expected 1 to 103, the samples, got 104"):
        inception_score(LOGITS, 104, logits=True)
    with pytest.raises(ValueError, match=r"\(103,\)"):
        inception_score(LOGITS[:, 0])
    with pytest.raises(ValueError, match="found inf or nan"):
        inception_score(np.full((20, 2), np.nan))
