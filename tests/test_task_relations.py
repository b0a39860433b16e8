"""The unrelated task of task_relations: fixed, balanced, and about nothing."""

import jax
import jax.numpy as jnp
import numpy as np
from scipy import stats

from experiments import adversarial_multitask, task_relations
from gan_mtl import data
from gan_mtl.types import Context

CONTEXT = Context(jax.random.key(0), jnp.zeros((), jnp.int32))


def test_hashed_labels_are_fixed_balanced_and_independent_of_the_class():
    split = data.digits().train
    images = data.to_float(split.images)
    same, labels = task_relations.hashed(images, CONTEXT, num_classes=10)
    np.testing.assert_array_equal(same, images)
    again = task_relations.hashed(images[::-1], CONTEXT, num_classes=10)[1][::-1]
    np.testing.assert_array_equal(labels, again)
    counts = np.zeros((10, 10))
    np.add.at(counts, (split.labels, np.asarray(labels)), 1)
    assert stats.chisquare(counts.sum(axis=0)).pvalue > 0.001
    assert stats.chi2_contingency(counts).pvalue > 0.001


def test_dark_pixels_count_too():
    images = np.full((64, 8, 8, 1), -1.0, np.float32)
    images[:, 0, 0, 0] = np.linspace(-1, 1, 64)
    labels = task_relations.hashed(jnp.asarray(images), CONTEXT, num_classes=10)[1]
    assert len(np.unique(labels)) > 5


def test_outranking_is_the_share_of_pairs():
    rng = np.random.default_rng(0)
    train, test = rng.integers(0, 9, 40).astype(float), rng.integers(0, 9, 30).astype(float)
    pairs = (train[:, None] > test[None]) + 0.5 * (train[:, None] == test[None])
    np.testing.assert_allclose(adversarial_multitask.outranking(train, test), pairs.mean())
