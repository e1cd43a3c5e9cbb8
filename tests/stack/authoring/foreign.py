"""ONNX files as other tools make them."""

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pandas as pd
from onnx import TensorProto, helper

ROWS = 300


def customers(seed: int = 0, rows: int = ROWS) -> pd.DataFrame:
    """Rows with a number, a whole number, a text and an outcome that follows from them."""
    random = np.random.default_rng(seed)
    age, visits = random.normal(40, 12, rows).round(1), random.poisson(3, rows)
    town = random.choice(["Bath", "Cork", "Oban"], rows)
    odds = 0.08 * (age - 40) - 0.5 * (visits - 3) + (town == "Oban")
    left = (random.uniform(size=rows) < 1 / (1 + np.exp(-odds))).astype(int)
    return pd.DataFrame({"Age (years)": age, "visits": visits, "town": town, "left": left})


def pipeline(path: Path, label: Any = "left", seed: int = 0) -> Any:
    """Write a scikit-learn pipeline by skl2onnx: an input a column, a label and dictionaries; return it."""
    from skl2onnx import to_onnx
    from skl2onnx.common.data_types import FloatTensorType, Int64TensorType, StringTensorType
    from sklearn.compose import make_column_transformer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OneHotEncoder, StandardScaler

    rows = customers(seed)
    columns = make_column_transformer(
        (StandardScaler(), ["Age (years)"]), ("passthrough", ["visits"]), (OneHotEncoder(), ["town"])
    )
    outcome = rows["left"] if label == "left" else label(rows)
    model = make_pipeline(columns, LogisticRegression()).fit(rows[["Age (years)", "visits", "town"]], outcome)
    types = [
        ("Age (years)", FloatTensorType([None, 1])),
        ("visits", Int64TensorType([None, 1])),
        ("town", StringTensorType([None, 1])),
    ]
    path.write_bytes(to_onnx(model, initial_types=types, target_opset=18).SerializeToString())
    return model


def booster(path: Path) -> Any:
    """Write a model of LightGBM by onnxmltools: three columns in one input; return it with its rows."""
    from lightgbm import LGBMClassifier
    from onnxmltools import convert_lightgbm
    from onnxmltools.convert.common.data_types import FloatTensorType

    random = np.random.default_rng(1)
    rows = pd.DataFrame(random.normal(size=(ROWS, 3)), columns=["wind", "rain", "sun"])
    outcome = np.where(rows["wind"] > 0.5, "storm", np.where(rows["rain"] > 0, "wet", "dry"))
    model = LGBMClassifier(n_estimators=5, min_child_samples=5, verbose=-1).fit(rows.to_numpy(), outcome)
    converted = convert_lightgbm(model, initial_types=[("input", FloatTensorType([None, 3]))], target_opset=15)
    path.write_bytes(converted.SerializeToString())
    return model, rows


def linear(path: Path, width: int = 3, last: str = "", domain: str = "", batch: Any = "rows", opset: int = 18) -> None:
    """Write ``x @ weights``, two columns in and `width` numbers out, by the functions of the package onnx."""
    weights = np.arange(2 * width, dtype=np.float32).reshape(2, width) - 1
    nodes = [helper.make_node("MatMul", ["x", "weights"], ["scores"], domain=domain)]
    if last:
        nodes = [
            helper.make_node("MatMul", ["x", "weights"], ["inner"]),
            helper.make_node(last, ["inner"], ["scores"]),
        ]
    graph = helper.make_graph(
        nodes,
        "linear",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [batch, 2])],
        [helper.make_tensor_value_info("scores", TensorProto.FLOAT, [batch, width])],
        [onnx.numpy_helper.from_array(weights, "weights")],
    )
    opsets = [helper.make_opsetid("", opset), *([helper.make_opsetid(domain, 1)] if domain else [])]
    model = helper.make_model(graph, opset_imports=opsets, ir_version=8, producer_name="by hand")
    path.write_bytes(model.SerializeToString())
