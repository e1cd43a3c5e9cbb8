"""A package of a project's own for tests: a wheel, a model.py with a candidate of it, and its requirements.txt."""

import zipfile
from pathlib import Path

from stack.training import packages

REQUIREMENT = "--find-links .\ntiny-trees==1.0"
LIBRARY = """
from skl2onnx import update_registered_converter
from skl2onnx.common.shape_calculator import calculate_linear_classifier_output_shapes as shapes
from skl2onnx.operator_converters.linear_classifier import convert_sklearn_linear_classifier as convert
from sklearn.linear_model import LogisticRegression

class Tiny(LogisticRegression):
    pass

class Unknown(LogisticRegression):
    pass

options = {"zipmap": [True, False, "columns"], "nocl": [True, False], "output_class_labels": [False, True],
           "raw_scores": [True, False]}
update_registered_converter(Tiny, "TinyClassifier", shapes, convert, options=options)
"""
MODEL = """
from sklearn.impute import SimpleImputer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder
from stack.kit.models import Candidate

def tiny(columns, seed):
    from {package} import {estimator}
    return make_pipeline(columns.through(SimpleImputer(), OneHotEncoder(handle_unknown="ignore")), {estimator}())

CANDIDATES = {{"tiny": Candidate(tiny)}}
"""


def bring(folder: Path, estimator: str = "Tiny", requirement: str = REQUIREMENT) -> None:
    """Write a candidate `tiny` into a project's folder, and the wheel of the package that it needs.

    Args:
        estimator: `Tiny`, or `Unknown`, which has no converter to ONNX.
        requirement: the lines of requirements.txt.
    """
    (folder / "model.py").write_text(MODEL.format(package="tiny_trees", estimator=estimator))
    wheel(folder, "tiny_trees", LIBRARY)
    (folder / packages.REQUIREMENTS).write_text(f"{requirement}\n")


def wheel(folder: Path, name: str, source: str) -> None:
    """Write a wheel of one module."""
    info = f"{name}-1.0.dist-info"
    with zipfile.ZipFile(folder / f"{name}-1.0-py3-none-any.whl", "w") as archive:
        archive.writestr(f"{name}.py", source)
        archive.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
        archive.writestr(
            f"{info}/WHEEL", "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        archive.writestr(f"{info}/RECORD", "")
