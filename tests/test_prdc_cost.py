"""What PRDC costs: that both are given the same features, and the table."""

import dataclasses

import numpy as np

from experiments import prdc_cost
from gan_mtl import metrics

SMALL = dataclasses.replace(prdc_cost.CONFIG, count=60, width=8, rounds=1)


def test_scores_are_those_of_the_drawn_features():
    draw = np.random.default_rng(0)
    real, fake = (draw.standard_normal((60, 8), np.float32) for _ in range(2))
    found = prdc_cost.once("gan_mtl", SMALL)
    assert found["scores"] == metrics.prdc(real, fake, 5)._asdict()
    assert found["seconds"] > 0


def test_a_missing_package_is_said():
    scores = dict.fromkeys(prdc_cost.SCORES, 0.5)
    row = {"name": "gan_mtl", "seconds": 1.0, "cpu_seconds": 2.0, "megabytes": 3.0}
    one = prdc_cost.table([{**row, "scores": scores}])
    assert "`prdc` is not installed" in one and "0.5000" in one
    both = prdc_cost.table([{**row, "scores": scores}, {**row, "name": "prdc", "scores": scores}])
    assert "not installed" not in both
