"""Rings and grids: the centres, the arms' games and what the table says."""

import dataclasses

import numpy as np
import pytest

from experiments import rings_and_grids as rings
from gan_mtl import metrics, table

BUDGET = dataclasses.replace(rings.BUDGETS["cpu"], steps=4, batch_size=8)


def test_centres_are_the_papers():
    ring, grid = rings.centres("ring"), rings.centres("grid")
    np.testing.assert_allclose(np.hypot(*ring.T), 1.0, rtol=1e-6)
    angles = np.sort(np.arctan2(ring[:, 1], ring[:, 0]) % (2 * np.pi))
    np.testing.assert_allclose(np.diff(angles), np.pi / 4, rtol=1e-5)
    expected = [(x, y) for x in (-4, -2, 0, 2, 4) for y in (-4, -2, 0, 2, 4)]
    np.testing.assert_allclose(sorted(map(tuple, grid)), expected, atol=1e-6)


@pytest.mark.parametrize("shape", list(rings.SHAPES))
def test_the_data_itself_has_every_mode_and_nearly_all_points_of_high_quality(shape):
    """Within three deviations lie 1 - exp(-4.5) of a plane normal: 98.9 %."""
    make, count, std = rings.SHAPES[shape]
    found = metrics.mode_coverage(make(20_000, 0).images, rings.centres(shape), std)
    assert found.modes == count and found.reverse_kl < 0.01
    assert found.quality == pytest.approx(1 - np.exp(-4.5), abs=0.005)


@pytest.mark.parametrize("arm", list(rings.ARMS))
def test_every_arm_is_a_game_of_its_budget(arm):
    text, build, size = rings.ARMS[arm]
    game = build(BUDGET)
    rendered = table.render(game)
    assert ("d2" in rendered) == ("3 discriminators" in text)
    assert ("gradient_penalty" in rendered) == (arm == "wgan_gp")
    assert size == (int(arm[-1]) if arm.startswith("pacgan") else 1)


def test_equal_trials_differ_only_by_their_seeds():
    """Of one program; the trunk of PacGAN2 takes four numbers."""
    samples, milliseconds = rings.train("pacgan2", "ring", BUDGET, 2)
    assert samples.shape == (2, rings.SAMPLES, 2) and np.isfinite(samples).all()
    assert np.abs(samples[0] - samples[1]).max() > 1e-3
    assert np.isfinite(milliseconds)


def test_the_table_has_means_standard_errors_and_the_papers_row():
    row = {"arm": "pacgan2", "shape": "grid", "milliseconds": 3.0}
    row |= {"modes": [24, 25], "quality": [0.9, 0.8], "reverse_kl": [0.1, 0.3]}
    text = rings.table([row])
    assert "grid, 2 trials" in text
    for part in ("24.5 ± 0.5", "85.0 ± 5.0", "0.20 ± 0.10", "23.8 ± 0.7 / 91.3 ± 0.8"):
        assert part in text


def test_an_unknown_arm_is_refused_by_name():
    with pytest.raises(SystemExit, match=r"--only pac9 is not one of gan, pacgan2"):
        rings.main(argv=["--only", "pac9", "--smoke"])
