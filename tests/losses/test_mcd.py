"""The discrepancy of two classifiers: by hand, its range, messages."""

import jax.numpy as jnp
import numpy as np
import pytest

from gan_mtl.losses import classifier_discrepancy


def test_the_mean_over_classes_of_the_distance_of_probabilities():
    p = np.array([[0.2, 0.3, 0.5], [0.6, 0.2, 0.2]])
    q = np.array([[0.4, 0.3, 0.3], [0.6, 0.2, 0.2]])
    found = classifier_discrepancy(jnp.log(p) + 3, jnp.log(q))
    np.testing.assert_allclose(found, [0.4 / 3, 0.0], atol=1e-6)


def test_two_sure_classifiers_that_differ_reach_two_over_the_classes():
    sure = 99 * jnp.eye(4)
    np.testing.assert_allclose(classifier_discrepancy(sure, sure[::-1]), [2 / 4] * 4, rtol=1e-6)
    with pytest.raises(ValueError, match=r"logits_1 and logits_2: shapes must be equal"):
        classifier_discrepancy(sure, sure[:, :3])
