from __future__ import annotations

import os
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

import tiny_graphs
from dermedge.errors import GraphInvalid, UsageError
from dermedge.graph import Contract, Graph, GraphSettings, usable_cores
from dermedge.graph import _cpu_quota as cpu_quota

CPU = "CPUExecutionProvider"
ONE_THREAD = GraphSettings(provider="cpu", threads=1)
INPUTS: Contract = {"x": ("float32", (None, 2))}
OUTPUTS: Contract = {"y": ("float32", (None, 2))}


def reciprocal(rows: int | str = "N", kind: int = TensorProto.FLOAT) -> bytes:
    """y = 1 / x: infinite where x is 0."""
    graph = helper.make_graph(
        [helper.make_node("Reciprocal", ["x"], ["y"])], "g",
        [helper.make_tensor_value_info("x", kind, [rows, 2])],
        [helper.make_tensor_value_info("y", kind, [rows, 2])],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
    model.ir_version = 8
    data: bytes = model.SerializeToString()
    return data


def test_an_unknown_provider_or_no_threads_is_a_wrong_usage() -> None:
    with pytest.raises(UsageError, match="'gpu'"):
        GraphSettings(provider="gpu")
    with pytest.raises(UsageError, match="at least 1"):
        GraphSettings(threads=0)


def test_no_more_cores_are_used_than_this_process_may_use() -> None:
    assert 1 <= usable_cores() <= len(os.sched_getaffinity(0))


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({"cpu.max": "150000 100000\n"}, 1.5),
        ({"cpu.max": "max 100000\n"}, None),
        ({"cpu/cpu.cfs_quota_us": "200000\n", "cpu/cpu.cfs_period_us": "100000\n"}, 2.0),
        ({"cpu/cpu.cfs_quota_us": "-1\n", "cpu/cpu.cfs_period_us": "100000\n"}, None),
        ({"cpu.max": "nonsense"}, None),
        ({}, None),
    ],
)
def test_a_containers_cpu_quota_is_read(
    tmp_path: Path, files: dict[str, str], expected: float | None
) -> None:
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    assert cpu_quota(tmp_path) == expected


@pytest.mark.parametrize("settings", [ONE_THREAD, GraphSettings(), GraphSettings(low_memory=True)])
def test_a_graph_answers_by_name_and_says_where_it_ran(settings: GraphSettings) -> None:
    graph = Graph.open(reciprocal(), settings, INPUTS, OUTPUTS)
    answer = graph.run({"x": np.array([[2, 4]], np.float32)})
    assert answer["y"].tolist() == [[0.5, 0.25]]
    assert graph.provider == CPU


def test_a_graph_with_weights_beside_it_opens_from_its_path(tmp_path: Path) -> None:
    path = tmp_path / "tower.onnx"
    tiny_graphs.write(tiny_graphs.tower(), path, external="tower.bin")
    size = tiny_graphs.TOWER_SIZE
    contract: tuple[Contract, Contract] = (
        {"crop": ("uint8", (None, size, size, 3))}, {"embedding": ("float32", (None, None))})
    crops = np.random.default_rng(0).integers(0, 256, (2, size, size, 3), np.uint8)
    beside = Graph.open(path, ONE_THREAD, *contract).run({"crop": crops})["embedding"]
    inside = Graph.open(tiny_graphs.tower().SerializeToString(), ONE_THREAD, *contract)
    assert np.array_equal(beside, inside.run({"crop": crops})["embedding"])


def test_several_threads_get_their_own_answers() -> None:
    graph = Graph.open(reciprocal(), ONE_THREAD, INPUTS, OUTPUTS)

    def ask(n: int) -> float:
        return float(graph.run({"x": np.full((1, 2), n, np.float32)})["y"][0, 0])

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(ask, range(1, 200))) == pytest.approx([1 / n for n in range(1, 200)])


def test_threads_without_work_soon_sleep() -> None:
    graph = Graph.open(reciprocal(), GraphSettings(provider="cpu", threads=4), INPUTS, OUTPUTS)
    rows = np.ones((500_000, 2), np.float32)
    awake = 0.0
    for _ in range(20):
        graph.run({"x": rows})
        before = time.process_time()
        time.sleep(0.02)
        awake += time.process_time() - before
    assert awake < 20 * 3 * 0.002  # three waiting threads, 200 microseconds each, with room for a busy machine


@pytest.mark.parametrize(
    ("model", "inputs", "outputs", "message"),
    [
        (b"no graph at all", INPUTS, OUTPUTS, "refused by ONNX Runtime"),
        (b"", INPUTS, OUTPUTS, "refused by ONNX Runtime"),
        (reciprocal()[:-20], INPUTS, OUTPUTS, "refused by ONNX Runtime"),
        (reciprocal(), {"image": INPUTS["x"]}, OUTPUTS, "its inputs are x instead of image"),
        (reciprocal(), {**INPUTS, "box": INPUTS["x"]}, OUTPUTS, "its inputs are x instead of box, x"),
        (reciprocal(), INPUTS, {"z": OUTPUTS["y"]}, "its outputs are y instead of z"),
        (reciprocal(), {"x": ("uint8", (None, 2))}, OUTPUTS, r"input x is tensor\(float\) instead of uint8"),
        (reciprocal(), {"x": ("float32", (None, 2, 1))}, OUTPUTS, "input x is .* instead of"),
        (reciprocal(), {"x": ("float32", (None, 3))}, OUTPUTS, r"x is \[any, 2\] instead of \[any, 3\]"),
        (reciprocal(), INPUTS, {"y": ("float32", (None, 3))}, "output y is .* instead of"),
        # A batch that export fixed by accident.
        (reciprocal(rows=1), INPUTS, OUTPUTS, r"input x is \[1, 2\] instead of \[any, 2\]"),
    ],
)
def test_a_graph_that_breaks_its_contract_is_refused(
    model: bytes, inputs: Contract, outputs: Contract, message: str
) -> None:
    with pytest.raises(GraphInvalid, match=message) as caught:
        Graph.open(model, ONE_THREAD, inputs, outputs)
    assert "\n" not in str(caught.value)


def test_a_fixed_side_serves_where_the_contract_fixes_it_too() -> None:
    one: Contract = {"x": ("float32", (1, 2))}
    Graph.open(reciprocal(rows=1), ONE_THREAD, one, {"y": ("float32", (1, 2))})


def test_infinity_from_a_graph_is_an_error() -> None:
    graph = Graph.open(reciprocal(), ONE_THREAD, INPUTS, OUTPUTS)
    with pytest.raises(GraphInvalid, match="NaN or infinity"):
        graph.run({"x": np.zeros((1, 2), np.float32)})


def test_an_answer_of_another_shape_than_declared_is_an_error() -> None:
    undeclared = onnx.load_from_string(reciprocal())
    undeclared.graph.output[0].type.tensor_type.shape.dim[1].ClearField("dim_value")
    undeclared.graph.input[0].type.tensor_type.shape.dim[1].ClearField("dim_value")
    graph = Graph.open(undeclared.SerializeToString(), ONE_THREAD, {"x": ("float32", (None, None))}, OUTPUTS)
    with pytest.raises(GraphInvalid, match=r"\[1, 3\] instead of \[any, 2\]"):
        graph.run({"x": np.ones((1, 3), np.float32)})


def test_a_failing_run_is_a_one_line_error_and_nothing_else_on_the_terminal(
    capfd: pytest.CaptureFixture[str],
) -> None:
    nodes = [helper.make_node("Reshape", ["x", "shape"], ["y"])]
    sevens = onnx.numpy_helper.from_array(np.array([7, 2], np.int64), "shape")
    values = [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["N", 2]) for name in "xy"]
    impossible = onnx.load_from_string(reciprocal())
    impossible.graph.CopyFrom(helper.make_graph(nodes, "g", values[:1], values[1:], [sevens]))
    graph = Graph.open(impossible.SerializeToString(), ONE_THREAD, INPUTS, OUTPUTS)
    with pytest.raises(GraphInvalid, match="failed to run") as caught:
        graph.run({"x": np.zeros((1, 2), np.float32)})
    assert "\n" not in str(caught.value)
    assert capfd.readouterr() == ("", "")


MEMORY = """
import re, sys
from pathlib import Path
import numpy as np
from dermedge.graph import Graph, GraphSettings

settings = GraphSettings("cpu", 1, low_memory=sys.argv[2] == "low")
shape = {"x": ("float32", (None, 4096))}, {"y": ("float32", (None, 4096))}
graph = Graph.open(Path(sys.argv[1]), settings, *shape)
graph.run({"x": np.ones((1, 4096), np.float32)})
print(int(re.search(r"RssAnon:\\s+(\\d+)", Path("/proc/self/status").read_text())[1]) // 1024)
"""


def test_with_little_memory_weights_in_a_file_of_their_own_stay_there(tmp_path: Path) -> None:
    """64 MB of them: copied into the process otherwise, mapped with low memory."""
    weights = onnx.numpy_helper.from_array(np.full((4096, 4096), 1e-4, np.float32), "w")
    values = [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["N", 4096]) for name in "xy"]
    graph = helper.make_graph([helper.make_node("MatMul", ["x", "w"], ["y"])], "g", values[:1], values[1:], [weights])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.save(model, str(tmp_path / "g.onnx"), save_as_external_data=True, location="g.bin")
    plain, low = (
        int(subprocess.run([sys.executable, "-c", MEMORY, str(tmp_path / "g.onnx"), how], capture_output=True,
                           text=True, check=True).stdout)
        for how in ("plain", "low")
    )  # fmt: skip
    assert plain - low > 50
