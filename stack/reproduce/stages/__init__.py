"""The pipeline of a project in four steps between files, without any server: fetch, features, train, evaluate.

Each module is a command of its own, ``python -m stack.reproduce.stages.fetch``, and a function. `dvc repro` runs
them by ``dvc.yaml``, `mlflow run` by ``MLproject``, and a Kubeflow pipeline each in its own container.
"""
