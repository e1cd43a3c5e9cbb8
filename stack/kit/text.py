"""Features of a text column: its words, which come in lower case with a blank between them, are counted."""

from collections.abc import Iterable

import numpy as np
from sklearn.feature_extraction.text import CountVectorizer, TfidfVectorizer
from sklearn.feature_selection import SelectKBest, chi2, f_regression
from sklearn.pipeline import Pipeline

__all__ = ["counts", "telling", "tfidf"]

VOCABULARY = 2000
"""The most frequent words, which are counted."""
TELLING = 100
"""Of these, the words that say most about the outcome, for models that take no sparse matrix."""
OPTIONS = {"lowercase": False, "token_pattern": r"\S+", "max_features": VOCABULARY, "dtype": np.float32}


def tfidf() -> TfidfVectorizer:
    """Return what gives the weights of the most frequent words, a sparse matrix."""
    return TfidfVectorizer(**OPTIONS)


def counts(words: int, *, numeric: bool) -> CountVectorizer | Pipeline:
    """Return what counts so many words: all of a column, or those that say most about a number or a class.

    Counts are whole numbers: a tree splits them as its ONNX form does, which computes weights in 32 bits.
    """
    count = CountVectorizer(**OPTIONS)
    if words < TELLING:
        return count
    return Pipeline([("count", count), ("select", SelectKBest(f_regression if numeric else chi2, k=words))])


def telling(values: Iterable[str]) -> int:
    """Return how many words of a column :func:`counts` can count."""
    return min(TELLING, len(set(" ".join(values).split())))
