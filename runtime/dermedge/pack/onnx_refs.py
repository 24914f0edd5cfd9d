"""Which files an ONNX graph would open: a small walk over its protobuf bytes, without loading the graph.

ONNX Runtime opens external data while it loads a model, so the references must be known before it may see the
graph. Only the fields on the way to a tensor are descended into; all others are stepped over.
"""

from __future__ import annotations

from collections.abc import Iterator

from ..errors import GraphInvalid

MAX_DEPTH = 100
"""Of nested messages; ONNX Runtime's own reader gives up at the same depth."""
MAX_MESSAGES = 2_000_000

Buffer = bytes | memoryview

# Message kinds by the field numbers of onnx.proto that lead to a tensor.
_DESCEND: dict[str, dict[int, str]] = {
    "model": {7: "graph", 20: "training", 25: "function"},
    "graph": {1: "node", 5: "tensor", 15: "sparse"},
    "node": {5: "attribute"},
    "attribute": {5: "tensor", 6: "graph", 10: "tensor", 11: "graph", 22: "sparse", 23: "sparse"},
    "sparse": {1: "tensor", 2: "tensor"},
    "function": {7: "node", 11: "attribute"},
    "training": {1: "graph", 2: "graph"},
    "tensor": {13: "entry"},
    "entry": {},
}
_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_NODE_OP_TYPE = 4
_ENTRY_KEY, _ENTRY_VALUE = 1, 2


def external_data(name: str, data: Buffer) -> tuple[str, ...]:
    """The locations of all external tensors, as they are written in the graph, each once and sorted."""
    locations: set[str] = set()
    view = memoryview(data)
    waiting: list[tuple[str, memoryview, int]] = [("model", view, 0)]
    seen, has_graph = 0, False
    while waiting:
        kind, message, depth = waiting.pop()
        seen += 1
        if depth > MAX_DEPTH or seen > MAX_MESSAGES:
            raise _refused(name, "it is nested too deeply or has too many parts")
        descend = _DESCEND[kind]
        entry: dict[int, bytes] = {}
        for number, wire, content in _fields(name, message):
            if wire != _BYTES:
                continue
            if number in descend:
                has_graph |= kind == "model" and number == 7
                waiting.append((descend[number], content, depth + 1))
            elif kind == "entry":
                entry[number] = bytes(content[:4096])
            elif kind == "node" and number == _NODE_OP_TYPE and content.tobytes() == b"EPContext":
                raise _refused(name, "it was compiled for one machine and may load files of its own")
        if entry.get(_ENTRY_KEY) == b"location":
            locations.add(entry.get(_ENTRY_VALUE, b"").decode(errors="replace"))
    if not has_graph:
        raise _refused(name, "it holds no graph")
    return tuple(sorted(locations))


def _fields(name: str, message: memoryview) -> Iterator[tuple[int, int, memoryview]]:
    at, end = 0, len(message)
    while at < end:
        tag, at = _varint(name, message, at)
        number, wire = tag >> 3, tag & 7
        if wire == _VARINT:
            start = at
            _, at = _varint(name, message, at)
        elif wire == _BYTES:
            length, start = _varint(name, message, at)
            at = start + length
        elif wire in (_FIXED64, _FIXED32):
            start, at = at, at + (8 if wire == _FIXED64 else 4)
        else:
            raise _refused(name, "it is no ONNX file")
        if not 0 < tag >> 3 < 1 << 29 or at > end:
            raise _refused(name, "it is cut off or no ONNX file")
        yield number, wire, message[start:at]


def _varint(name: str, message: memoryview, at: int) -> tuple[int, int]:
    value = 0
    for shift in range(0, 70, 7):
        if at >= len(message):
            raise _refused(name, "it is cut off")
        byte = message[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
    raise _refused(name, "it is no ONNX file")


def _refused(name: str, why: str) -> GraphInvalid:
    return GraphInvalid(f"{name} cannot be used as a graph: {why}. Reinstall the pack.")
