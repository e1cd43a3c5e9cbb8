"""Where serving reaches beneath the public API of skops."""


def trusted_types() -> list[str]:
    """Return the types that skops may build beside those that it trusts by itself: data, nothing that runs.

    Tool: skops
    Reach: private type names of scikit-learn in skops.io.load(trusted=...)
    Why: skops trusts the public estimators only; boosted trees consist of a private class, a Bunch and dtypes, and
    words are selected by a function and categories encoded by folds.
    Upstream: https://github.com/skops-dev/skops/pull/508
    """
    return [
        "numpy.dtype",
        "sklearn.feature_selection._univariate_selection.chi2",
        "sklearn.feature_selection._univariate_selection.f_regression",
        "sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor",
        "sklearn.model_selection._split.KFold",
        "sklearn.utils._bunch.Bunch",
    ]
