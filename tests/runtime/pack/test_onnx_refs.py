from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper

import tiny_graphs
from dermedge.errors import GraphInvalid
from dermedge.pack.onnx_refs import external_data


def external(location: str, name: str = "w") -> TensorProto:
    tensor = TensorProto(name=name, data_type=TensorProto.FLOAT, dims=[4], data_location=TensorProto.EXTERNAL)
    for key, value in (("location", location), ("offset", "0"), ("length", "16")):
        tensor.external_data.add(key=key, value=value)
    return tensor


def graph(*nodes: onnx.NodeProto, initializers: tuple[TensorProto, ...] = ()) -> onnx.GraphProto:
    return helper.make_graph(list(nodes), "g", [], [], list(initializers))


def constant(**attributes: object) -> onnx.NodeProto:
    return helper.make_node("Constant", [], ["c"], **attributes)


def in_sparse_values(location: str) -> onnx.ModelProto:
    model = helper.make_model(graph())
    sparse = model.graph.sparse_initializer.add(dims=[8])
    sparse.values.CopyFrom(external(location))
    return model


def in_sparse_indices(location: str) -> onnx.ModelProto:
    model = helper.make_model(graph())
    sparse = model.graph.sparse_initializer.add(dims=[8])
    sparse.indices.CopyFrom(external(location))
    return model


def in_sparse_attribute(location: str) -> onnx.ModelProto:
    node = constant()
    attribute = node.attribute.add(name="sparse_value", type=onnx.AttributeProto.SPARSE_TENSOR)
    attribute.sparse_tensor.values.CopyFrom(external(location))
    return helper.make_model(graph(node))


def in_tensor_list(location: str) -> onnx.ModelProto:
    return helper.make_model(graph(constant(values=[external(location)])))


def in_subgraph(location: str) -> onnx.ModelProto:
    inner = graph(initializers=(external(location),))
    branch = helper.make_node("If", ["x"], ["y"], then_branch=inner, else_branch=graph())
    return helper.make_model(graph(branch))


def in_nested_subgraph(location: str) -> onnx.ModelProto:
    inner = graph(constant(value=external(location)))
    for _ in range(3):
        inner = graph(helper.make_node("Loop", ["x"], ["y"], body=inner))
    return helper.make_model(inner)


def in_graph_list(location: str) -> onnx.ModelProto:
    node = helper.make_node("Custom", [], ["y"], graphs=[graph(), graph(initializers=(external(location),))])
    return helper.make_model(graph(node))


def in_function(location: str) -> onnx.ModelProto:
    function = helper.make_function(
        "local", "F", [], ["c"], [constant(value=external(location))], [helper.make_opsetid("", 17)]
    )
    return helper.make_model(graph(), functions=[function])


def in_function_default(location: str) -> onnx.ModelProto:
    function = helper.make_function(
        "local", "F", [], [], [], [helper.make_opsetid("", 17)],
        attribute_protos=[helper.make_attribute("w", external(location))],
    )  # fmt: skip
    return helper.make_model(graph(), functions=[function])


def in_training_graph(location: str) -> onnx.ModelProto:
    model = helper.make_model(graph())
    model.training_info.add().algorithm.CopyFrom(graph(initializers=(external(location),)))
    return model


def without_data_location(location: str) -> onnx.ModelProto:
    tensor = external(location)
    tensor.ClearField("data_location")
    return helper.make_model(graph(initializers=(tensor,)))


PLACES: list[Callable[[str], onnx.ModelProto]] = [
    lambda location: helper.make_model(graph(initializers=(external(location),))),
    lambda location: helper.make_model(graph(constant(value=external(location)))),
    in_sparse_values, in_sparse_indices, in_sparse_attribute, in_tensor_list, in_subgraph, in_nested_subgraph,
    in_graph_list, in_function, in_function_default, in_training_graph, without_data_location,
]  # fmt: skip


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("location", ["weights.bin", "../../etc/passwd", "/etc/passwd", "ä b\n", ""])
def test_a_reference_is_found_wherever_it_hides(place: Callable[[str], onnx.ModelProto], location: str) -> None:
    assert external_data("g.onnx", place(location).SerializeToString()) == (location,)


def test_references_are_named_once_and_sorted() -> None:
    tensors = tuple(external(f"{name}.bin", name=f"w{i}") for i, name in enumerate("cabba"))
    model = helper.make_model(graph(initializers=tensors))
    assert external_data("g.onnx", model.SerializeToString()) == ("a.bin", "b.bin", "c.bin")


def test_a_graph_as_onnx_writes_it(tmp_path: Path) -> None:
    tiny_graphs.write(tiny_graphs.tower(), tmp_path / "tower.onnx", "tower.bin")
    assert external_data("tower.onnx", (tmp_path / "tower.onnx").read_bytes()) == ("tower.bin",)


@pytest.mark.parametrize(
    "build",
    [tiny_graphs.tower, tiny_graphs.detector, tiny_graphs.segmenter_encoder, tiny_graphs.segmenter_decoder],
)
def test_a_graph_that_stands_alone_has_no_references(build: Callable[[], onnx.ModelProto]) -> None:
    assert external_data("g.onnx", memoryview(build().SerializeToString())) == ()


def test_a_graph_compiled_for_one_machine_is_refused() -> None:
    node = helper.make_node("EPContext", [], ["y"], domain="com.microsoft", ep_cache_context="../ctx.bin")
    with pytest.raises(GraphInvalid, match="compiled for one machine"):
        external_data("g.onnx", helper.make_model(graph(node)).SerializeToString())


def field(number: int, content: bytes) -> bytes:
    """A length-delimited protobuf field; by hand, since onnx itself refuses to nest so deeply."""
    size, length = len(content), bytearray()
    while size > 0x7F:
        length.append(size & 0x7F | 0x80)
        size >>= 7
    return bytes([number << 3 | 2, *length, size]) + content


def nested(depth: int) -> bytes:
    inner = b""
    for _ in range(depth):
        inner = field(1, field(5, field(6, inner)))
    return field(7, inner)


MALFORMED: dict[str, bytes] = {
    "empty": b"",
    "text": b"this is no graph",
    "a picture": b"\x89PNG\r\n\x1a\n" + bytes(64),
    "no graph": onnx.ModelProto(ir_version=8).SerializeToString(),
    "cut off": tiny_graphs.tower().SerializeToString()[:-5],
    "length beyond the end": b"\x3a\xff\xff\xff\xff\x0f",
    "endless varint": b"\x3a" + b"\xff" * 11,
    "field 0": b"\x02\x00" + b"\x3a\x00",
    "an overlong tag that other readers cut short": b"\xba\x80\x80\x80\x80\x01\x00" + b"\x3a\x00",
    "a group": b"\x3b\x3c",
    "nested without end": nested(40),
}


@pytest.mark.parametrize("name", MALFORMED)
def test_malformed_bytes_are_refused(name: str) -> None:
    with pytest.raises(GraphInvalid, match=r"g\.onnx cannot be used as a graph"):
        external_data("g.onnx", MALFORMED[name])


@settings(max_examples=400, deadline=None)
@given(data=st.binary(max_size=400))
def test_any_bytes_give_an_answer_or_a_graph_error(data: bytes) -> None:
    try:
        assert isinstance(external_data("g.onnx", data), tuple)
    except GraphInvalid as error:
        assert "\n" not in str(error)


SMALL = tiny_graphs.segmenter_encoder().SerializeToString()


@settings(max_examples=400, deadline=None)
@given(cuts=st.lists(st.tuples(st.integers(0, len(SMALL) - 1), st.integers(0, 255)), max_size=6))
def test_a_damaged_graph_gives_an_answer_or_a_graph_error(cuts: list[tuple[int, int]]) -> None:
    data = np.frombuffer(SMALL, np.uint8).copy()
    for place, value in cuts:
        data[place] = value
    try:
        external_data("g.onnx", data.tobytes())
    except GraphInvalid as error:
        assert "Reinstall" in str(error)
