"""Whether the mean difference between two runs could be chance: paired tests over queries, and their correction.

With differences d_1 ... d_n of a measure, one a query, and their mean m:

    paired t-test       t = m / (s / sqrt(n)), s the standard deviation of d (n - 1); two-sided p of Student's t with
                        n - 1 degrees of freedom
    randomisation test  were the runs alike, each d_i could as well have the other sign: p is the share of assignments
                        of signs with a mean at least as far from 0 as m (Fisher 1935; Smucker et al. 2007)
    interval of m       the middle `level` of the means of n queries drawn again with replacement (Efron's percentiles)

Over k comparisons with p-values in rising order p_(1) ... p_(k):

    Bonferroni          k p
    Holm                max over j <= i of (k - j + 1) p_(j), which rejects all that Bonferroni does, and more
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import accumulate

import numpy as np
from numpy.typing import NDArray

from opensearch_multivector.errors import InputError

CORRECTIONS = ("holm", "bonferroni", "none")
SAMPLES = 10_000
SEED = 7
# Differences smaller than this are the rounding of measures that are equal.
TIE = 1e-9

_CELLS = 1 << 22  # samples times queries held at a time

Differences = NDArray[np.float64]


def t_test(differences: Differences) -> float | None:
    """Two-sided p of the paired t-test; 1 where nothing differs. None without SciPy, or for a single query."""
    try:
        from scipy.stats import ttest_1samp  # type: ignore[import-untyped]
    except ImportError:
        return None
    if len(differences) < 2:
        return None
    if np.ptp(differences) < TIE:  # no spread: t is 0/0, or infinite
        return 1.0 if abs(differences[0]) < TIE else 0.0
    return float(ttest_1samp(differences, 0.0).pvalue)


def randomisation_test(differences: Differences, samples: int = SAMPLES, seed: int = SEED) -> float:
    """Two-sided p of the randomisation test.

    Over all assignments of signs where there are at most ``samples`` of them, else over that many drawn ones and the
    observed one, so that p is never 0.
    """
    changed = differences[np.abs(differences) >= TIE]  # the sign of 0 is of no matter
    observed = abs(changed.sum()) * (1 - 1e-12)  # equal sums may differ by the order of their terms
    if len(changed) < 63 and 2 ** len(changed) <= samples:
        patterns = np.arange(2 ** len(changed))[:, None] >> np.arange(len(changed)) & 1
        return float(np.mean(np.abs((2.0 * patterns - 1) @ changed) >= observed))
    random = np.random.default_rng(seed)
    extreme = sum(
        int(np.count_nonzero(np.abs((2.0 * random.integers(0, 2, (count, len(changed))) - 1) @ changed) >= observed))
        for count in _portions(samples, len(changed))
    )
    return (extreme + 1) / (samples + 1)


def bootstrap_interval(
    differences: Differences, level: float = 0.95, samples: int = SAMPLES, seed: int = SEED
) -> tuple[float, float]:
    """Lower and upper end of the confidence interval of the mean difference."""
    random = np.random.default_rng(seed)
    n = len(differences)
    means = np.concatenate(
        [differences[random.integers(0, n, (count, n))].mean(axis=1) for count in _portions(samples, n)]
    )
    low, high = np.quantile(means, ((1 - level) / 2, (1 + level) / 2))
    return float(low), float(high)


def corrected(p_values: Sequence[float], correction: str = "holm") -> list[float]:
    """The p-values of all comparisons, each as if it were the only one. Raises InputError on another correction."""
    k = len(p_values)
    if correction == "none":
        return list(p_values)
    if correction == "bonferroni":
        return [min(1.0, k * p) for p in p_values]
    if correction != "holm":
        raise InputError(f"{correction!r} is no correction; there are {', '.join(CORRECTIONS)}.")
    rising = sorted(range(k), key=p_values.__getitem__)
    steps = accumulate((min(1.0, (k - i) * p_values[at]) for i, at in enumerate(rising)), max)
    by_place = dict(zip(rising, steps, strict=True))
    return [by_place[at] for at in range(k)]


def _portions(samples: int, queries: int) -> Iterator[int]:
    """How many samples to draw at a time, for a bounded memory."""
    most = max(1, _CELLS // max(1, queries))
    for first in range(0, samples, most):
        yield min(most, samples - first)
