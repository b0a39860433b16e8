r"""Of generated lines: how far their n-grams are from real ones, and how many keep to a rule.

Reference:
    Gulrajani et al., "Improved Training of Wasserstein GANs", NeurIPS 2017, section 5.5 (the
    Jensen-Shannon divergence of n-grams).
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Collection, Sequence
from typing import NamedTuple


def ngram_divergence(a: Sequence[str], b: Sequence[str], n: int) -> float:
    r"""The Jensen-Shannon divergence between the n-grams of two lists of lines, in bits, 0 .. 1.

    :math:`\tfrac12 \mathrm{KL}(p \| m) + \tfrac12 \mathrm{KL}(q \| m)` with
    :math:`m = (p + q) / 2`. Two samples of one law differ too, the more so the longer the n-grams
    and the fewer the lines: print that of held-out lines beside.

    Args:
        a, b: lines; n-grams do not reach from one to the next.
        n: characters of an n-gram.

    Raises:
        ValueError: for n below 1, or lines without an n-gram.

    Example:
        >>> ngram_divergence(["ab"], ["ac"], 1)
        0.5
    """
    if n < 1:
        raise ValueError(f"n={n}: an n-gram has at least one character")
    p, q = (_frequencies(lines, n) for lines in (a, b))
    if not p or not q:
        raise ValueError(f"n={n}: there are {len(p)} and {len(q)} kinds of n-grams; give lines")
    total = 0.0
    for gram in p.keys() | q.keys():
        middle = (p.get(gram, 0.0) + q.get(gram, 0.0)) / 2
        for law in (p, q):
            if gram in law:
                total += law[gram] * math.log2(law[gram] / middle) / 2
    return total


def _frequencies(lines: Sequence[str], n: int) -> dict[str, float]:
    counts = Counter(line[i : i + n] for line in lines for i in range(len(line) - n + 1))
    total = counts.total()
    return {gram: count / total for gram, count in counts.items()}


class Rule(NamedTuple):
    """Shares of generated lines, 0 .. 1.

    valid: that are among all lines of the rule; new: valid and not among the training lines;
    distinct: of all lines, how many kinds there are.
    """

    valid: float
    new: float
    distinct: float


def rule_shares(lines: Sequence[str], every: Collection[str], training: Collection[str]) -> Rule:
    """How many of the lines keep to a rule, whose lines are known.

    Raises:
        ValueError: if there are no lines.
    """
    if not lines:
        raise ValueError("lines: there are none; give at least one")
    good, seen = set(every), set(training)
    valid = [line for line in lines if line in good]
    new = sum(line not in seen for line in valid)
    return Rule(len(valid) / len(lines), new / len(lines), len(set(lines)) / len(lines))
