r"""Choosing a model for a domain without labels: scores of what it says of the unlabelled target.

None of them reads a label of the target. `mean_entropy`, `information_maximisation` and
`soft_neighbourhood_density` take the target's outputs alone; the two risks weigh the labelled
source's validation losses by how much their examples look like the target.

Reference:
    Saito et al., "Tune it the Right Way: Unsupervised Validation of Domain Adaptation via Soft
    Neighborhood Density", ICCV 2021, arXiv 2108.10860; You, Wang, Long, Jordan, "Towards Accurate
    Model Selection in Deep Unsupervised Domain Adaptation", ICML 2019 (DEV); Sugiyama, Krauledat,
    Mueller, "Covariate Shift Adaptation by Importance Weighted Cross Validation", JMLR 2007.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float
from numpy.typing import ArrayLike

BLOCK = 1024  # rows of the similarity matrix that are held at once
LARGEST = float(np.log(np.finfo(np.float64).max))


def mean_entropy(logits: ArrayLike) -> float:
    """The mean entropy of the class distributions, in nats; *lower* is taken for better.

    A model that says one class of everything is best by it: do not use it alone.

    Args:
        logits: of the target's examples, shape [n, k].
    """
    log_p = _log_probabilities(logits)
    return float(_entropy(log_p).mean())


def information_maximisation(logits: ArrayLike) -> float:
    r""":math:`H(E\,p) - E\,H(p)`, in nats and at most log k; *higher* is taken for better.

    The mutual information of example and predicted class: sure, and of all classes.

    Args:
        logits: of the target's examples, shape [n, k].
    """
    log_p = _log_probabilities(logits)
    mean = np.exp(log_p).mean(axis=0)
    return float(-(mean * np.log(np.maximum(mean, 1e-300))).sum() - _entropy(log_p).mean())


def soft_neighbourhood_density(outputs: ArrayLike, *, temperature: float = 0.05) -> float:
    r"""SND: the mean entropy of every example's soft neighbourhood; *higher* is taken for better.

    Of rows of norm one, :math:`P_{ij} \propto \exp(S_{ij} / \tau)` over the others j, with S the
    cosines. Many near neighbours make a dense neighbourhood. An example is no neighbour of its own
    (in the authors' code it stays one, of similarity -1). At most log(n - 1): compare sets of one
    size.

    Args:
        outputs: class *probabilities* of the target's examples (features are another choice of the
            paper's), shape [n, d].
        temperature: tau.
    """
    x = _rows("outputs", outputs)
    if len(x) < 3:
        raise ValueError(f"outputs: a neighbourhood takes three examples or more, got {len(x)}")
    if not temperature > 0:
        raise ValueError(f"temperature: expected a number above 0, got {temperature}")
    norms = np.linalg.norm(x, axis=1, keepdims=True)
    x = x / np.maximum(norms, 1e-12)
    found = []
    for start in range(0, len(x), BLOCK):
        similarity = x[start : start + BLOCK] @ x.T / temperature
        similarity[np.arange(len(similarity)), start + np.arange(len(similarity))] = -np.inf
        found.append(_entropy(_log_softmax(similarity)))
    return float(np.concatenate(found).mean())


def importance_weights(
    domain_logits: ArrayLike, num_source: int, num_target: int
) -> Float[np.ndarray, " n"]:
    r"""How much likelier the target is to give an example than the source is.

    :math:`w(x) = \frac{n_s}{n_t} \frac{p(t | x)}{p(s | x)} = \frac{n_s}{n_t} e^{-l(x)}` by a
    classifier of domains that was trained on other examples than these.

    Args:
        domain_logits: l, the logits of "source" of the source's validation examples, shape [n].
        num_source, num_target: how many examples of both the classifier was trained on.

    Raises:
        ValueError: also for a logit whose weight no float64 holds, below some -700, or NaN.
    """
    logits = np.asarray(domain_logits, np.float64)
    if logits.ndim != 1:
        raise ValueError(f"domain_logits: expected shape [n], got {logits.shape}")
    if min(num_source, num_target) < 1:
        raise ValueError(
            f"num_source and num_target: expected at least 1, got {num_source} and {num_target}"
        )
    log_weights = np.log(num_source / num_target) - logits
    beyond = np.flatnonzero(~(log_weights < LARGEST))
    if len(beyond):
        raise ValueError(
            f"domain_logits: {logits[beyond[0]]} at [{beyond[0]}] is no logit, or one so sure that "
            "its weight is infinite; penalise the weights of the classifier of domains more"
        )
    return np.exp(log_weights)


def importance_weighted_risk(losses: ArrayLike, weights: ArrayLike) -> float:
    """The mean of weighted losses: an estimate of the target's risk; *lower* is better.

    Args:
        losses: of the source's validation examples, shape [n].
        weights: `importance_weights` of the same examples, shape [n].
    """
    losses, weights = _weighted(losses, weights)
    return float((weights * losses).mean())


def deep_embedded_validation(losses: ArrayLike, weights: ArrayLike) -> float:
    r"""DEV: the importance-weighted risk, its variance lowered by a control variate; *lower* is
    better.

    :math:`E[w l] + \eta E[w] - \eta` with :math:`\eta = -\mathrm{Cov}(w l, w) / \mathrm{Var}(w)`:
    the weights' mean should be 1, and where it is not, the risk is corrected by what usually comes
    with that. It may be negative.

    Args:
        losses, weights: as of `importance_weighted_risk`, of two examples or more.
    """
    losses, weights = _weighted(losses, weights)
    if len(losses) < 2:
        raise ValueError(f"losses: a variance takes two examples or more, got {len(losses)}")
    scale = weights.max() or 1.0  # eta has none, and squares of large weights overflow
    w = weights / scale
    covariance = np.cov(w * losses, w)
    eta = -covariance[0, 1] / covariance[1, 1] if covariance[1, 1] > 0 else 0.0
    return float(scale * ((w * losses).mean() + eta * w.mean()) - eta)


def _weighted(losses: ArrayLike, weights: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
    losses, weights = np.asarray(losses, np.float64), np.asarray(weights, np.float64)
    if losses.ndim != 1 or losses.shape != weights.shape:
        raise ValueError(
            "losses and weights: expected one of both per example, shape [n], got "
            f"{losses.shape} and {weights.shape}"
        )
    if (weights < 0).any():
        raise ValueError(f"weights: expected none below 0, got {weights.min()}")
    return losses, weights


def _log_probabilities(logits: ArrayLike) -> Float[np.ndarray, "n k"]:
    return _log_softmax(_rows("logits", logits))


def _log_softmax(x: Float[np.ndarray, "n k"]) -> Float[np.ndarray, "n k"]:
    x = x - x.max(axis=1, keepdims=True)
    return x - np.log(np.exp(x).sum(axis=1, keepdims=True))


def _rows(name: str, array: ArrayLike) -> Float[np.ndarray, "n d"]:
    rows = np.asarray(array, np.float64)
    if rows.ndim != 2 or not len(rows):
        raise ValueError(f"{name}: expected one row per example, shape [n, d], got {rows.shape}")
    return rows


def _entropy(log_p: Float[np.ndarray, "n k"]) -> Float[np.ndarray, " n"]:
    """Entropies in nats; a probability of 0 adds nothing."""
    p = np.exp(log_p)
    return -(p * np.where(p > 0, log_p, 0.0)).sum(axis=1)
