import math
import types

import pytest

from gan_mtl.run.preservation import Policy, best_of, rank


@pytest.mark.parametrize(
    ("ranks", "best"),
    [
        ({1: 3.0, 2: 5.0, 3: 4.0}, 2),
        ({1: 5.0, 2: 5.0, 3: 4.0}, 2),  # the later of equals
        ({3: -math.inf, 2: -7.0}, 2),
        ({1: -math.inf, 2: -math.inf}, None),
        ({}, None),
    ],
)
def test_best_of(ranks, best):
    assert best_of(ranks, [1, 2, 3]) == best


def test_rank():
    assert rank({"fid": 3.0}, name="fid", mode="max") == 3.0
    assert rank({"fid": 3.0}, name="fid", mode="min") == -3.0
    for metrics, name in (({"fid": None}, "fid"), ({}, "fid"), ({"fid": 3.0}, None)):
        assert rank(metrics, name=name, mode="max") == -math.inf


def test_policy_reads_the_ranks_anew():
    records = [types.SimpleNamespace(step=step) for step in (10, 20, 30, 40)]
    ranks = {}
    policy = Policy(2, ranks)
    assert policy.should_preserve(records, context=None) == [False, False, True, True]
    ranks[10] = 1.0
    assert policy.should_preserve(records, context=None) == [True, False, True, True]
    assert policy.should_preserve([], context=None) == []
