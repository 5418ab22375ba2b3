"""Text similarity for choosing demos: TF-IDF over words and cosine. The home of scikit-learn."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


def similarity(left: Sequence[str], right: Sequence[str]) -> Floats:
    """Cosine similarity of TF-IDF vectors, shape (len(left), len(right)), in [0, 1].

    The vocabulary is fitted on both sides; sublinear term frequency and smoothed idf as in
    scikit-learn's ``TfidfVectorizer``.
    """
    from sklearn.feature_extraction.text import TfidfVectorizer

    if not left or not right:
        return np.zeros((len(left), len(right)))
    vectorizer = TfidfVectorizer(token_pattern=r"(?u)\b\w+\b", sublinear_tf=True)
    try:
        vectors = vectorizer.fit_transform([*left, *right])
    except ValueError:  # no text holds a word: nothing resembles anything
        return np.zeros((len(left), len(right)))
    product = vectors[: len(left)] @ vectors[len(left) :].T
    return np.asarray(product.todense(), dtype=np.float64)


def cover(similar_RC: Floats, size: int, weights_R: Floats | None = None) -> list[int]:
    """Greedy facility location: which columns stand for the rows best.

    Args:
        similar_RC: similarity of each row (R) to each choice (C).
        size: how many choices to take.
        weights_R: how much each row counts; all alike by default.

    Returns:
        At most ``size`` column indices in the order taken. The greedy set reaches at least 1 - 1/e
        of the best coverage (Nemhauser, Wolsey and Fisher 1978).
    """
    rows, choices = similar_RC.shape
    weights = np.ones(rows) if weights_R is None else weights_R
    best_R = np.zeros(rows)
    taken: list[int] = []
    for _ in range(min(size, choices)):
        gain_C = (np.maximum(similar_RC, best_R[:, None]) - best_R[:, None]).T @ weights
        gain_C[taken] = -1.0
        pick = int(np.argmax(gain_C))
        taken.append(pick)
        best_R = np.maximum(best_R, similar_RC[:, pick])
    return taken
