"""Dynamic weight average: epochs by hand."""

import numpy as np
import pytest
import weightings as w

from gan_mtl.mtl import dwa


def by_hand(losses, epoch_steps, T):
    """All epoch means from the whole history, in float64."""
    expected = np.ones_like(losses)
    for step in range(2 * epoch_steps, len(losses)):
        epoch = step // epoch_steps
        means = losses[: epoch * epoch_steps].reshape(epoch, epoch_steps, -1).mean(axis=1)
        expected[step] = losses.shape[1] * w.softmax(means[-1] / means[-2] / T)
    return expected


@pytest.mark.parametrize(("epoch_steps", "T"), [(1, 2.0), (3, 2.0), (4, 0.5)])
def test_epochs_by_hand(epoch_steps, T):
    losses = w.losses_of(17)
    found, _ = w.double(dwa(epoch_steps, T), losses)
    np.testing.assert_allclose(found, by_hand(losses, epoch_steps, T), rtol=1e-12)
    np.testing.assert_allclose(found.sum(axis=1), 3.0, rtol=1e-12)


def test_the_task_that_falls_slowest_weighs_most():
    losses = np.array([[1.0, 1.0], [0.9, 0.5], [0.9, 0.5]])
    weights = w.double(dwa(1), losses)[0][-1]
    np.testing.assert_allclose(weights, 2 * w.softmax(np.array([0.9, 0.5]) / 2), rtol=1e-12)
    assert weights[0] > weights[1]


def test_units_do_not_matter():
    losses = w.losses_of(9)
    found = w.double(dwa(2), losses * np.array([1e-4, 1.0, 1e3]))[0]
    np.testing.assert_allclose(found, w.double(dwa(2), losses)[0], rtol=1e-10)


def test_laws():
    w.check_laws(lambda: dwa(2), w.losses_of(8))
    assert dwa(1).positive


def test_batches_without_labels_do_not_enter_the_mean():
    losses = np.array([[2.0, 1.0], [0.0, 1.0], [1.0, 1.0], [0.0, 1.0], [1.0, 1.0]])
    found = w.double(dwa(2), losses)[0][-1]
    np.testing.assert_allclose(found, 2 * w.softmax(np.array([0.5, 1.0]) / 2), rtol=1e-12)


def test_an_epoch_without_labels_keeps_the_mean_before_it():
    losses = np.array([[2.0, 1.0], [0.0, 1.0], [9.0, 9.0]])
    np.testing.assert_allclose(w.double(dwa(1), losses)[0][-1], [1.0, 1.0], rtol=1e-12)


@pytest.mark.parametrize(("arguments", "name"), [((0,), "epoch_steps"), ((5, 0.0), "T")])
def test_bad_arguments(arguments, name):
    with pytest.raises(ValueError, match=f"{name}: expected"):
        dwa(*arguments)
