"""n-grams against SciPy's divergence, known values, shares of a rule, bad input."""

import numpy as np
import pytest
from scipy.spatial.distance import jensenshannon

from gan_mtl import metrics

A, B = ["abab", "ba"], ["aabb", "cb"]


@pytest.mark.parametrize("n", [1, 2, 3])
def test_divergence_against_scipy(n):
    grams = [
        [line[i : i + n] for line in lines for i in range(len(line) - n + 1)] for lines in (A, B)
    ]
    kinds = sorted({*grams[0], *grams[1]})
    p, q = (np.array([g.count(kind) for kind in kinds]) / len(g) for g in grams)
    found = metrics.ngram_divergence(A, B, n)
    assert found == pytest.approx(jensenshannon(p, q, base=2) ** 2)
    assert found == pytest.approx(metrics.ngram_divergence(B, A, n))


def test_divergence_of_equal_and_of_disjoint_lines():
    assert metrics.ngram_divergence(A, A[::-1], 2) == 0.0
    assert metrics.ngram_divergence(["ab"], ["cd"], 1) == pytest.approx(1.0)


def test_shares_of_a_rule():
    lines = ["one", "two", "two", "owt"]
    found = metrics.rule_shares(lines, every=["one", "two", "ten"], training=["one", "ten"])
    assert found == (0.75, 0.5, 0.75)


def test_bad_input_is_refused_by_name():
    with pytest.raises(ValueError, match="n=0: an n-gram has at least one character"):
        metrics.ngram_divergence(A, B, 0)
    with pytest.raises(ValueError, match="n=5: there are 0 and 0 kinds of n-grams"):
        metrics.ngram_divergence(A, B, 5)
    with pytest.raises(ValueError, match="lines: there are none"):
        metrics.rule_shares([], ["a"], [])
