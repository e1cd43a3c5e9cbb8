"""The graph of an ONNX file: what goes in, what comes out, and what keeps it from being served."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import onnx
from google.protobuf.message import DecodeError
from onnx import GraphProto, ModelProto, NodeProto, TensorProto, helper
from onnx.external_data_helper import load_external_data_for_model, uses_external_data

from stack.core.errors import StackError

DOMAINS = frozenset({"", "ai.onnx", "ai.onnx.ml"})
TYPES = {
    TensorProto.FLOAT: "float",
    TensorProto.DOUBLE: "double",
    TensorProto.INT64: "int64",
    TensorProto.INT32: "int32",
    TensorProto.BOOL: "bool",
    TensorProto.STRING: "string",
}
"""Types of inputs that rows of a table can fill, by their names in ONNX."""
CLASSES = ("classlabels_int64s", "classlabels_ints", "classlabels_strings")
FREE_AXIS = (
    "export it again with a free first axis: FloatTensorType([None, k]) in skl2onnx and onnxmltools, "
    "dynamic_shapes or dynamic_axes in torch.onnx.export"
)


@dataclass(frozen=True)
class Tensor:
    """An input or output: its name, its type, and the columns that it has."""

    name: str
    type: str
    width: int | None
    """None where the file does not say."""


@dataclass(frozen=True)
class Graph:
    """A checked model."""

    content: bytes
    """The file, without what turns probabilities into dictionaries."""
    made_by: str
    inputs: tuple[Tensor, ...]
    output: Tensor
    """The output with the answer."""
    label: str
    """The output with the class itself; empty where there is none."""
    ends_with: str
    """The operator that gives the answer."""
    classes: tuple[int | str, ...]
    """The classes that the file names."""


def read(path: Path, output: str = "", data: Path | None = None) -> Graph:
    """Read and check an ONNX file.

    Args:
        path: the file.
        output: name of the output with the answer, of several.
        data: folder with the files that hold the weights of the model; none may when omitted.

    Raises:
        StackError: it is no ONNX, or cannot be served.
    """
    model = _loaded(path, data)
    _require_known_operators(path, model)
    try:
        onnx.checker.check_model(model)
    except onnx.checker.ValidationError as error:
        raise _refusal(path, str(error), "a model that onnx.checker accepts", "export it again") from None
    inputs = tuple(_input(path, value) for value in _inputs(model.graph))
    zipped = [_without_zipmap(model.graph, node) for node in list(model.graph.node) if node.op_type == "ZipMap"]
    answer, label = _output(path, model.graph, output)
    producer = {name: node for node in model.graph.node for name in node.output}
    return Graph(
        model.SerializeToString(),
        " ".join(filter(None, (model.producer_name, model.producer_version))) or "an unnamed tool",
        inputs,
        answer,
        label,
        producer[answer.name].op_type if answer.name in producer else "",
        next(filter(None, [*zipped, *map(_classes, reversed(model.graph.node))]), ()),
    )


def _refusal(path: Path, found: str, expected: str, todo: str = "") -> StackError:
    return StackError(f"MODEL={path}", found=found, expected=expected, todo=todo)


def _loaded(path: Path, data: Path | None) -> ModelProto:
    try:
        model = onnx.load(str(path), load_external_data=False)
    except OSError as error:
        raise _refusal(path, str(error.strerror or error), "an ONNX file") from None
    except DecodeError:
        found, todo = "no ONNX", "convert the model, with skl2onnx, onnxmltools or torch.onnx.export"
        raise _refusal(path, found, "an ONNX file", todo) from None
    if not model.graph.node:
        raise _refusal(path, "a graph without operators", "an ONNX file with a model")
    outside = [tensor.name for tensor in _weights(model.graph) if uses_external_data(tensor)]
    if outside and data is None:
        todo = f"onnx.save(onnx.load({path.name!r}), 'one.onnx'), then import that"
        raise _refusal(path, f"weights in other files, as of {outside[0]}", "one file with all weights", todo)
    if outside:
        load_external_data_for_model(model, str(data))
    return model


def _require_known_operators(path: Path, model: ModelProto) -> None:
    own = {function.domain for function in model.functions}
    for node in _nodes(model.graph):
        if node.domain not in DOMAINS | own:
            found = f"operator {node.op_type} of the domain {node.domain}"
            expected, todo = "operators of ONNX and ONNX-ML alone", "export it without operators of one runtime"
            raise _refusal(path, found, expected, todo)
    newest = onnx.defs.onnx_opset_version()
    opset = max((each.version for each in model.opset_import if each.domain in ("", "ai.onnx")), default=1)
    if opset > newest:
        todo = f"export it again with target_opset or opset_version {newest} or less"
        raise _refusal(path, f"opset {opset}", f"opset {newest} or less", todo)


def _nodes(graph: GraphProto) -> Iterator[NodeProto]:
    for node in graph.node:
        yield node
        for attribute in node.attribute:
            for part in (*attribute.graphs, *([attribute.g] if attribute.HasField("g") else [])):
                yield from _nodes(part)


def _weights(graph: GraphProto) -> Iterator[TensorProto]:
    yield from graph.initializer
    for attribute in (attribute for node in _nodes(graph) for attribute in node.attribute):
        yield from (*attribute.tensors, *attribute.g.initializer, *([attribute.t] if attribute.HasField("t") else []))


def _inputs(graph: GraphProto) -> list[Any]:
    """Return the inputs; files of old list the weights among them."""
    weights = {tensor.name for tensor in graph.initializer}
    return [value for value in graph.input if value.name not in weights]


def _input(path: Path, value: Any) -> Tensor:
    """Return an input that rows of a table can fill, however many they are."""
    tensor, name = value.type.tensor_type, value.name
    kind, shape = TYPES.get(tensor.elem_type, ""), list(tensor.shape.dim)
    if not kind or len(shape) not in (1, 2):
        is_tensor = value.type.HasField("tensor_type")
        what = f"{len(shape)} dimensions of type {_type_name(tensor.elem_type)}" if is_tensor else "no tensor"
        expected = f"one or two dimensions, the rows and the columns, of {', '.join(TYPES.values())}"
        raise _refusal(path, f"input {name}: {what}", expected, "tables alone are served")
    if shape[0].dim_value:
        found = f"input {name}: a first axis of {shape[0].dim_value}"
        raise _refusal(path, found, "a free first axis, for any number of rows", FREE_AXIS)
    return Tensor(name, kind, 1 if len(shape) == 1 else shape[1].dim_value or None)


def _type_name(kind: int) -> str:
    return TensorProto.DataType.Name(kind).lower() if kind in TensorProto.DataType.values() else str(kind)


def _without_zipmap(graph: GraphProto, node: NodeProto) -> tuple[int | str, ...]:
    """Take a node out that makes dictionaries of an array of probabilities; return the classes that it names."""
    array = helper.make_tensor_value_info(node.input[0], TensorProto.FLOAT, [None, None])
    outputs = [array if value.name == node.output[0] else value for value in graph.output]
    graph.node.remove(node)
    del graph.output[:]
    graph.output.extend(outputs)
    return _classes(node)


def _classes(node: NodeProto) -> tuple[int | str, ...]:
    found = (helper.get_attribute_value(attribute) for attribute in node.attribute if attribute.name in CLASSES)
    named = next(filter(len, found), ())
    return tuple(name.decode() if isinstance(name, bytes) else int(name) for name in named)


def _output(path: Path, graph: GraphProto, wanted: str) -> tuple[Tensor, str]:
    """Return the output with the answer, numbers, and the name of the one with the class itself."""
    outputs = [_tensor(value) for value in graph.output]
    numbers = [tensor for tensor in outputs if tensor.type in ("float", "double")]
    if wanted or len(numbers) > 1:
        numbers = [tensor for tensor in numbers if tensor.name == wanted]
    if len(numbers) != 1:
        names = ", ".join(f"{tensor.name} ({tensor.type})" for tensor in outputs)
        raise _refusal(path, f"outputs {names}", "one output of numbers", "name it: OUTPUT=<name>")
    whole = ("int64", "int32", "string")
    return numbers[0], next((tensor.name for tensor in outputs if tensor.type in whole), "")


def _tensor(value: Any) -> Tensor:
    tensor = value.type.tensor_type
    shape = list(tensor.shape.dim)
    return Tensor(value.name, TYPES.get(tensor.elem_type, "no table"), shape[1].dim_value if len(shape) == 2 else None)


def signature(folder: Path) -> list[str]:
    """Return the columns that the signature of an MLflow model names; none where it names none."""
    import yaml

    written = (yaml.safe_load((folder / "MLmodel").read_text()).get("signature") or {}).get("inputs") or "[]"
    return [column["name"] for column in json.loads(written) if "name" in column]
