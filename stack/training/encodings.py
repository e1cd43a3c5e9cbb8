"""Categories that a fitted pipeline encodes by the target."""

import numpy as np
from sklearn.compose import ColumnTransformer
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import TargetEncoder


def round_encodings(pipeline: Pipeline) -> None:
    """Round the encodings to float32, in place: rounded by the served form, one could pass a threshold of a tree."""
    for columns in (step for _, step in pipeline.steps if isinstance(step, ColumnTransformer)):
        for part in columns.named_transformers_.values():
            encoder = part[0] if isinstance(part, Pipeline) else part
            if isinstance(encoder, TargetEncoder):
                encoder.encodings_ = [np.float64(np.float32(values)) for values in encoder.encodings_]
                encoder.target_mean_ = np.float64(np.float32(encoder.target_mean_))
