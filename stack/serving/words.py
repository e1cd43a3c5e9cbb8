"""The words of a text, found by the same function in training and in serving.

An ONNX graph cuts a text into words by other rules than scikit-learn, and folds the case of ASCII only. Both are given
words that are found here, in lower case and with blanks between them.
"""

import re
import unicodedata
from typing import Any

WORD = re.compile(r"[^\W_]+")
NONE = "_"
"""The word of a text without any: one that is empty, missing, or of other signs alone."""


def of(text: Any) -> str:
    """Return the words of a text, runs of letters and digits, in lower case with a blank between them.

    Forms of a letter that look alike (NFKC) are the same; None and NaN are texts without words.
    """
    if not isinstance(text, str):
        return NONE
    return " ".join(WORD.findall(unicodedata.normalize("NFKC", text).lower())) or NONE
