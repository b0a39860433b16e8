"""Log-likelihoods of variational autoencoders on test images, in nats."""

from __future__ import annotations

from typing import Any

import numpy as np

from gan_mtl.data import Split
from gan_mtl.metrics import ImportanceSums
from gan_mtl.run.evaluate import Evaluation

LOG_WEIGHTS = "log_weights"


def bound_scores(
    e: Evaluation, split: Split | None = None, *, codes: int = 5000, images: int | None = None
) -> dict[str, Any]:
    """-ELBO and the importance-weighted bound on -log p(x) of a `vae`'s test images.

    The device holds as many codes of a batch of images as the game's `asked`, the host the running
    sums of `metrics.ImportanceSums`: memory does not depend on `codes`.

    Args:
        split: in place of the test split; its pixels are taken as the likelihood takes them, so
            that a Bernoulli one wants a binarised set.
        codes: k, rounded up to a multiple of the game's `asked`.
        images: how many of the split, from the first on, are given k codes; all by default.

    Returns:
        `negative_elbo` of the whole split, with one code an image as is usual; of the chosen images
        `negative_elbo_of_these`, `iwae_nll` and `iwae_error`, the standard error of its mean over
        images; `iwae_codes` k, `iwae_images`, and `effective_codes`, the median over images.

    Raises:
        ValueError: for a game that predicts no log weights (a `vae` under the "optimal" likelihood
            does not: it is no density), or numbers below 1.
    """
    if LOG_WEIGHTS not in e.game.predict:
        raise ValueError(
            f"bound_scores: the game predicts {sorted(e.game.predict)} and no 'log_weights': take "
            "games.vae, with another likelihood than 'optimal' (no density: images choose sigma)."
        )
    if codes < 1 or (images is not None and images < 1):
        raise ValueError(f"bound_scores: codes={codes}, images={images}: give 1 or more.")
    split = split or e.dataset.test
    elbo = e.predict("elbo", split.images).astype(np.float64)
    chosen = split.images[:images]
    sums, draw = ImportanceSums.empty(len(chosen)), 0
    while sums.count < codes:
        sums = sums.add(e.predict(LOG_WEIGHTS, chosen, draw))
        draw += 1
    nll = -sums.log_likelihood()
    return {
        "negative_elbo": float(-elbo.mean()),
        "negative_elbo_of_these": float(-elbo[: len(chosen)].mean()),
        "iwae_nll": float(nll.mean()),
        "iwae_error": float(nll.std() / len(nll) ** 0.5),
        "iwae_codes": sums.count,
        "iwae_images": len(chosen),
        "effective_codes": float(np.median(sums.effective_codes())),
    }
