"""The segmentation network with a class more: sizes of the authors' code, places, errors."""

import itertools

import jax
import jax.numpy as jnp
import pytest
from nets.checks import (
    CONTEXT,
    KEY,
    check_bfloat16,
    check_gradients,
    count,
    out_shape,
    spectral_kernels,
)
from nets.compiled import compiled

from gan_mtl import nets

X = jax.random.normal(KEY, (2, 4, 8, 2))
SMALL = nets.OASISDiscriminator(3, (4, 3), 5, spectral=False)


def test_parameters_are_those_of_the_authors_code_but_for_shortcuts():
    widths = [3, 128, 128, 256, 256, 512, 512]
    into, out_of = [512, 1024, 512, 512, 256, 256], [512, 256, 256, 128, 128, 64]

    def block(a, b):
        return 9 * a * b + b + 9 * b * b + b + a * b + b

    expected = sum(block(a, b) for a, b in itertools.pairwise(widths))
    expected += sum(block(a, b) for a, b in zip(into, out_of, strict=True))
    expected += 64 * 152 + 152
    assert count(nets.OASISDiscriminator(151), jnp.ones((1, 64, 128, 3))) == expected
    assert out_shape(nets.OASISDiscriminator(151), jnp.ones((1, 64, 128, 3))) == (1, 64, 128, 152)


def test_logits_of_every_pixel_of_its_own_image():
    network = compiled(SMALL)
    variables = network.init(KEY, X)
    logits, _ = network.apply(variables, X, context=CONTEXT)
    assert logits.shape == (2, 4, 8, 4)
    moved, _ = network.apply(variables, X.at[0, 1, 1].add(1.0), context=CONTEXT)
    assert bool((moved[0, 1, 1] != logits[0, 1, 1]).all()) and bool((moved[1] == logits[1]).all())


def test_gradients_dtypes_and_spectral_norm():
    check_gradients(SMALL, X)
    check_bfloat16(SMALL, X)
    assert spectral_kernels(SMALL.clone(spectral=True), X) == (12 + 1, 12)


def test_errors_name_value_and_remedy():
    with pytest.raises(ValueError, match=r"images of shape \(2, 4, 7, 2\) with 2 halvings"):
        compiled(SMALL).init(KEY, X[:, :, :7])
