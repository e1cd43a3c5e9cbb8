"""Features of the projects that have no module here: their Feast definitions follow from project.yaml."""

from stack.core.settings import settings
from stack.features import declared
from stack.specification import specs

for spec in specs.load_valid(lambda _: None):
    if spec.columns and not (specs.DEFINITIONS / f"{spec.name}.py").is_file():
        globals().update({f"{type(one).__name__}_{one.name}": one for one in declared.definitions(settings(), spec)})
