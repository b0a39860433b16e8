"""GANSpace's directions against scikit-learn and a generator whose directions are known."""

import numpy as np
import pytest
from sklearn.decomposition import PCA

from gan_mtl.sampling import latent_directions

RNG = np.random.default_rng(0)


def test_components_are_those_of_pca():
    w = RNG.normal(size=(200, 8)) @ RNG.normal(size=(8, 8)) + 3
    pca = PCA(3).fit(w)
    got = latent_directions(w, 3)
    signs = np.sign((got.components * pca.components_).sum(axis=1))
    np.testing.assert_allclose(got.components, pca.components_ * signs[:, None], atol=1e-9)
    np.testing.assert_allclose(got.std, np.sqrt(pca.explained_variance_), rtol=1e-10)
    np.testing.assert_allclose(got.mean, pca.mean_)
    np.testing.assert_allclose(got.latent, got.components * got.std[:, None])
    assert (
        np.take_along_axis(got.components, np.abs(got.components).argmax(axis=1)[:, None], axis=1)
        > 0
    ).all()


def test_directions_of_a_linear_generator_are_recovered():
    """Activations z A with A = diag(s) Q: the i-th direction of z is along the i-th axis."""
    scales = np.array([5.0, 3.0, 1.0, 0.2])
    q = np.linalg.qr(RNG.normal(size=(9, 9)))[0][:4]
    z = RNG.normal(size=(20_000, 4))
    activations = (z * scales) @ q + 2
    got = latent_directions(activations.reshape(-1, 3, 3), 2, z)
    np.testing.assert_allclose(np.abs(got.latent), np.eye(4)[:2], atol=0.05)
    moved = (got.latent * scales) @ q
    np.testing.assert_allclose(moved, got.components * got.std[:, None], atol=0.25)


def test_bad_input_is_refused_by_name():
    with pytest.raises(ValueError, match=r"k: expected 1 to 4 with activations \(5, 6\), got 5"):
        latent_directions(np.ones((5, 6)), 5)
    with pytest.raises(ValueError, match=r"latents: expected shape \[5, d\], got \(4, 2\)"):
        latent_directions(RNG.normal(size=(5, 6)), 1, np.ones((4, 2)))
