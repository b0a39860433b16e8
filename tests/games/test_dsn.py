"""Domain separation networks: table, the rows by hand, both similarities, bad input."""

import jax.numpy as jnp
import numpy as np
import optax
import pytest
import two_domains as two
from linear import linear

from gan_mtl import games, losses


def game(domain=True, dec=4, private=3):
    return games.dsn(
        linear(3),
        linear(private),
        linear(dec),
        (two.CLASS,),
        linear(None) if domain else None,
        optax.sgd(0.1),
        domains=two.DOMAINS,
    )


def test_its_table():
    header, lines = two.rows(game())
    groups = ["trunk", "heads/class", "private/a", "private/b", "dec", "domain"]
    assert header == ["turn", "objective", *groups]
    assert lines == [
        ["model", "class", "1", "1", ".", ".", ".", "."],
        ["model", "reconstruction", "0.01", ".", "0.01", "0.01", "0.01", "."],
        ["model", "difference", "0.075", ".", "0.075", "0.075", ".", "."],
        ["model", "domain", "-0.25", ".", ".", ".", ".", "1"],
    ]
    header, lines = two.rows(game(domain=False))
    assert lines[-1][1:] == ["alignment", "0.25", ".", ".", ".", "."] and "domain" not in header


@pytest.mark.parametrize("domain", [True, False])
def test_the_rows_by_hand(domain):
    data = two.batch(6, 4)
    (found,), w = two.outcomes(game(domain), data)
    reconstruction = difference = told = 0.0
    shared = {}
    for d, sign in (("a", -1), ("b", 1)):
        images = np.asarray(data[f"images/{d}"])
        shared[d], own = images @ w["trunk"], images @ w[f"private/{d}"]
        error = (shared[d] + own) @ w["dec"] - images
        reconstruction += error.var(axis=1).mean()
        difference += float(losses.orthogonality(jnp.asarray(shared[d]), jnp.asarray(own)))
        if domain:
            told += two.softplus(sign * shared[d] @ w["domain"]).mean()
    np.testing.assert_allclose(two.value(found.losses["reconstruction"]), reconstruction, rtol=1e-4)
    np.testing.assert_allclose(two.value(found.losses["difference"]), difference, rtol=1e-4)
    if domain:
        np.testing.assert_allclose(two.value(found.losses["domain"]), told, rtol=1e-4)
    else:
        features = jnp.asarray(shared["a"]), jnp.asarray(shared["b"])
        wanted = losses.multi_kernel_mmd(*features, kernel=losses.mmd.DSN_WIDTHS)
        np.testing.assert_allclose(found.losses["alignment"].values, wanted, rtol=1e-3)


def test_bad_input_is_refused_by_name():
    with pytest.raises(ValueError, match=r"private gives shape \(2,\).*features have \(3,\)"):
        game(private=2).init(two.KEY, two.BATCH)
    with pytest.raises(ValueError, match=r"dec gives shape \(5,\), but the images have \(4,\)"):
        game(dec=5).init(two.KEY, two.BATCH)
