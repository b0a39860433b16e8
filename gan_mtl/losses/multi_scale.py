r"""The multi-scale L1 loss of SegAN, whose critic says no logit but shows its features.

Reference:
    Xue, Xu, Zhang, Long, Huang, "SegAN: Adversarial Network with Multi-scale L1 Loss for Medical
    Image Segmentation", Neuroinformatics 2018, arXiv 1706.01805.
"""

from __future__ import annotations

import jax.numpy as jnp
from jaxtyping import Array, Float

from gan_mtl.losses._inputs import per_example_mean, same_shape, wide
from gan_mtl.losses.adversarial import AdversarialLoss

Features = tuple[Float[Array, "n ..."], ...]


def feature_gap(real_features: Features, fake_features: Features) -> Float[Array, " n"]:
    r"""How far apart the critic sees two label maps of an image, at all its scales.

    :math:`\frac{1}{L} \sum_{i=1}^{L} \mathrm{mae}(f_C^i(x \circ S(x)),\, f_C^i(x \circ y))`, with
    the mean absolute error over all entries of an example (equations 1 and 2). The authors' code
    takes one mean over the entries of all layers together, where large layers weigh more, and
    multiplies the six layers by 1, 2, 2, 2, 2 and 4; its segmenter has a Dice loss beside it.

    Args:
        real_features: of the true map, one array [n, ...] for each of L layers.
        fake_features: of the predicted map, of the same shapes.

    Returns:
        Shape [n], at least 0; 0 where both are seen alike.
    """
    if not isinstance(real_features, tuple) or len(real_features) != len(fake_features):
        raise ValueError(
            "feature_gap: expected two tuples of as many layers' features, got "
            f"{_said(real_features)} and {_said(fake_features)}; let the critic return a tuple, as "
            "nets.MapDiscriminator(outputs='features')"
        )
    gaps = []
    for i, (real, fake) in enumerate(zip(real_features, fake_features, strict=True)):
        real, fake = wide(f"real_features[{i}]", real), wide(f"fake_features[{i}]", fake)
        same_shape(**{f"real_features[{i}]": real, f"fake_features[{i}]": fake})
        gaps.append(per_example_mean(jnp.abs(fake - real)))
    return jnp.stack(gaps).mean(axis=0)


def _said(features: Features) -> str:
    return str(len(features)) if isinstance(features, tuple) else type(features).__name__


def _widen(real_features: Features, fake_features: Features) -> Float[Array, " n"]:
    return -feature_gap(real_features, fake_features)


multi_scale_l1 = AdversarialLoss(_widen, feature_gap, reads="features")
r"""The critic widens the gap between the two maps' features, the segmenter closes it.

The critic's value is unbounded: bound its kernels, by spectral normalisation or as the authors'
code does, which clips them to [-0.05, 0.05] after every step.
"""
