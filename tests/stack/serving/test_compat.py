"""What serving reaches into skops for is still as it was: a failure here names what has changed."""

from importlib.metadata import version

import numpy as np
import skops.io
from sklearn.ensemble import HistGradientBoostingClassifier

from stack.kit.text import TELLING, counts
from stack.serving import _compat


def test_words_are_selected_by_functions_that_are_trusted() -> None:
    for numeric in (True, False):
        untrusted = skops.io.get_untrusted_types(data=skops.io.dumps(counts(TELLING, numeric=numeric)))
        assert len(untrusted) == 1
        assert {*untrusted} <= {*_compat.trusted_types()}


def test_the_trusted_types_are_those_of_boosted_trees() -> None:
    model = HistGradientBoostingClassifier(max_iter=2).fit(np.arange(40.0).reshape(-1, 1), np.arange(40) % 2)
    wanted = set(skops.io.get_untrusted_types(data=skops.io.dumps(model)))
    trusted = {*_compat.trusted_types(), "numpy.dtype"}
    assert wanted <= trusted, (
        f"skops {version('skops')} or scikit-learn {version('scikit-learn')} has changed, "
        f"see stack/serving/_compat.py: boosted trees also need {wanted - trusted}"
    )
