"""The tensors of a model that another tool has made: which columns each input takes, and what its output means."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

DTYPES: dict[str, type] = {
    "tensor(float)": np.float32,
    "tensor(double)": np.float64,
    "tensor(int64)": np.int64,
    "tensor(int32)": np.int32,
    "tensor(bool)": np.bool_,
    "tensor(string)": np.object_,
}
"""Type of an input in ONNX Runtime's words -> its dtype."""


def laid_out(
    inputs: Sequence[Any], columns: Mapping[str, Sequence[str]], values: Mapping[str, np.ndarray]
) -> dict[str, np.ndarray]:
    """Return the tensor of each input.

    Args:
        inputs: the inputs of an ONNX Runtime session, each of one or two dimensions.
        columns: of each input.
        values: of each column, (n,).

    Raises:
        ValueError: an input of whole numbers or truth values lacks one.
    """
    tensors: dict[str, np.ndarray] = {}
    for tensor in inputs:
        packed, dtype = np.column_stack([values[name] for name in columns[tensor.name]]), DTYPES[tensor.type]
        if dtype in (np.int64, np.int32, np.bool_) and not np.isfinite(packed).all():
            raise ValueError(f"input {tensor.name} of the model takes no missing values")
        tensors[tensor.name] = (packed[:, 0] if len(tensor.shape) == 1 else packed).astype(dtype)
    return tensors


def _sigmoid(logits: np.ndarray) -> np.ndarray:
    return np.asarray(0.5 * (1 + np.tanh(logits / 2)))


def _softmax(logits: np.ndarray) -> np.ndarray:
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    return np.asarray(powers / powers.sum(axis=1, keepdims=True))


LINKS: dict[str, Callable[[np.ndarray], np.ndarray]] = {"": np.asarray, "sigmoid": _sigmoid, "softmax": _softmax}
"""How the outputs of a model, (n, outputs), become probabilities; as they are where the name is empty."""
