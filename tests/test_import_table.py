"""Which package may import what, in which direction; and that a scan needs no torch and no network."""

from __future__ import annotations

import ast
import graphlib
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

import dermedge
import tiny_pack

ROOT = Path(__file__).parents[1]
PACKAGES = {
    "dermedge": ROOT / "runtime" / "dermedge",
    "dermedge_tui": ROOT / "tui" / "dermedge_tui",
    "dermedge_export": ROOT / "export" / "dermedge_export",
}

OPENS_SOCKETS = {
    "asyncio", "asyncore", "ftplib", "http", "imaplib", "logging.config", "logging.handlers",
    "multiprocessing", "nntplib", "poplib", "smtplib", "socket", "socketserver", "ssl", "telnetlib",
    "urllib.request", "webbrowser", "wsgiref", "xmlrpc",
}

RUNTIME_LIBRARIES = frozenset({"numpy", "PIL", "onnxruntime", "pillow_heif"})
"""What the runtime may import beyond the standard library."""
LIBRARY_PLACES = {
    "onnxruntime": {"graph", "provider"},
    "pillow_heif": {"photo"},
    "subprocess": {"bench", "camera.rpicam", "doctor"},
}
"""What only the named modules of the runtime may import."""

TUI_LIBRARIES = frozenset({"dermedge", "textual", "textual_image", "rich", "segno"})
TUI_PLACES = {
    "PIL": {"widgets.picture"},
}
"""What only the named modules of the terminal interface may import, too."""

SERVES = "serve.server"
"""The one module that listens, and only for `dermedge tui --serve`: no other may import what opens sockets."""
SERVING_LIBRARIES = frozenset({"aiohttp", "asyncio", "textual_serve"})

LAYERS: tuple[set[str], ...] = (
    {"errors", "result"},
    {
        "pack", "pack.manifest", "pack.onnx_refs", "pack.reading", "pack.rules", "pack.schema", "pack.store",
        "pack.verify",
    },
    {
        "clock", "crop", "detector", "graph", "photo", "photo_format", "profile", "provider", "quality", "saliency",
        "scorer", "segmenter", "srgb", "tower", "trace", "triage",
    },
    {
        "camera", "camera.feed", "camera.mjpeg", "camera.preview", "camera.rpicam", "camera.v4l2", "camera.videodev2",
        "camera.yuyv",
    },
    {
        "batch", "caption", "doctor", "golden", "machine", "overlay", "photo_date", "picture", "report", "scanner",
        "stage",
    },
    {""},  # the package itself: its public names
    {"bench", "pack_command", "scan_command"},
    {"cli"},
    {"__main__"},
)
"""The runtime's modules from the ground up: each imports its own layer and those below, in no circle."""

STEPS: dict[str, set[str]] = {
    "photo": {"camera.feed", "golden", "scan_command"},  # frames; golden photographs; the byte cap for stdin
    "quality": {""},  # the hints while a camera is aimed
    "detector": {"trace"},  # what it saw
    "crop": {"detector", "segmenter", "trace"},  # their squares are cut by the tower's rule
    "tower": {"doctor", "golden", "saliency"},  # golden embeddings; occlusion embeds the covered crops
    "scorer": {"", "golden", "scan_command"},  # the facts about a person
    "triage": {"", "profile", "scan_command"},  # the fixed ceilings; the red flags that a person can state
    "saliency": {"overlay", "scan_command"},  # the heat map's picture, and its comparison with occlusion
    "segmenter": {"overlay"},  # the mask's edge
}
"""The pipeline, and who may import a step besides `scanner`, which knows them all."""


class Import(NamedTuple):
    """One imported name, wherever in a module it stands."""

    line: int
    module: str
    name: str | None
    """None for `import module`."""


def modules(package: str) -> dict[str, Path]:
    """Dotted name within the package ("" is the package itself) -> source file."""
    folder = PACKAGES[package]
    found = {}
    for path in sorted(folder.rglob("*.py")):
        parts = path.relative_to(folder).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


def imports(package: str, module: str, path: Path) -> Iterator[Import]:
    """Every import of a module, absolute, also those inside functions, and `importlib.import_module`."""
    inside = [package, *filter(None, module.split("."))]
    if path.name != "__init__.py":
        inside.pop()
    for node in ast.walk(ast.parse(path.read_bytes(), str(path))):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield Import(node.lineno, alias.name, None)
        elif isinstance(node, ast.ImportFrom):
            above = inside[: len(inside) - node.level + 1] if node.level else []
            origin = ".".join([*above, *filter(None, [node.module])])
            for alias in node.names:
                yield Import(node.lineno, origin, alias.name)
        elif isinstance(node, ast.Call) and called(node) in ("import_module", "__import__"):
            target = node.args[0]
            assert isinstance(target, ast.Constant), f"{path}:{node.lineno}: imports what only a run can tell"
            yield Import(node.lineno, str(target.value), None)


def called(call: ast.Call) -> str:
    function = call.func
    return function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")


def top(module: str) -> str:
    return module.partition(".")[0]


def opens_sockets(found: Import) -> bool:
    full = f"{found.module}.{found.name}" if found.name else found.module
    return any(f"{full}.".startswith(f"{banned}.") for banned in OPENS_SOCKETS)


def violations(package: str, allowed: frozenset[str] = frozenset()) -> Iterator[tuple[str, Import, str]]:
    """Imports from outside the package that are neither the standard library nor among `allowed`."""
    for module, path in modules(package).items():
        for found in imports(package, module, path):
            where = f"{path.relative_to(ROOT)}:{found.line}: {found.module}"
            if top(found.module) in sys.stdlib_module_names:
                if opens_sockets(found):
                    yield module, found, f"{where} opens sockets"
            elif top(found.module) not in {package, *allowed}:
                yield module, found, f"{where} is not allowed in {package}"


def runtime_edges() -> dict[str, set[str]]:
    """Module -> the modules of the runtime that it imports."""
    known = modules("dermedge")
    edges: dict[str, set[str]] = {}
    for module, path in known.items():
        edges[module] = set()
        for found in imports("dermedge", module, path):
            if top(found.module) == "dermedge":
                base = found.module.removeprefix("dermedge").lstrip(".")
                inner = ".".join(filter(None, [base, found.name]))
                edges[module].add(inner if inner in known else base)
    return edges


@pytest.mark.parametrize("package", PACKAGES)
def test_every_package_has_modules_to_look_at(package: str) -> None:
    assert "" in modules(package)
    assert (PACKAGES[package] / "py.typed").is_file()


def test_runtime_imports_only_its_own_libraries_and_nothing_that_opens_sockets() -> None:
    assert [text for _, _, text in violations("dermedge", RUNTIME_LIBRARIES)] == []


def test_runtime_libraries_stay_in_their_modules() -> None:
    strays = [
        f"{module}: {found.module}"
        for module, path in modules("dermedge").items()
        for found in imports("dermedge", module, path)
        if (places := LIBRARY_PLACES.get(top(found.module))) is not None and module not in places
    ]
    assert strays == []


def test_tui_imports_only_public_names_of_the_runtime() -> None:
    strays = [
        text
        for module, found, text in violations("dermedge_tui", TUI_LIBRARIES)
        if module not in TUI_PLACES.get(top(found.module), ())
        and not (module == SERVES and top(found.module) in SERVING_LIBRARIES)
    ]
    assert strays == []
    private = [
        f"{module}: {found.module}.{found.name}"
        for module, path in modules("dermedge_tui").items()
        for found in imports("dermedge_tui", module, path)
        if top(found.module) == "dermedge"
        and (found.module != "dermedge" or found.name not in dermedge.__all__)
    ]
    assert private == []


def test_what_listens_is_loaded_only_where_it_is_asked_for() -> None:
    importers = {
        f"{module}:{found.line}"
        for module, path in modules("dermedge_tui").items()
        for found in imports("dermedge_tui", module, path)
        if found.module == f"dermedge_tui.{SERVES}" or (found.module, found.name) == ("dermedge_tui.serve", "server")
    }
    tree = ast.parse((PACKAGES["dermedge_tui"] / "command.py").read_bytes())
    (function,) = [node for node in tree.body if isinstance(node, ast.FunctionDef) and node.name == "serve"]
    inside = {f"command:{node.lineno}" for node in ast.walk(function) if isinstance(node, ast.ImportFrom)}
    assert importers and importers <= inside


def test_export_knows_nothing_of_the_tui() -> None:
    strays = [
        f"{module}: {found.module}"
        for module, path in modules("dermedge_export").items()
        for found in imports("dermedge_export", module, path)
        if top(found.module) in ("textual", "textual_image", "dermedge_tui")
    ]
    assert strays == []


def test_every_runtime_module_has_its_layer() -> None:
    assert sorted(modules("dermedge")) == sorted(set().union(*LAYERS))


def test_no_runtime_module_imports_upward() -> None:
    level = {module: number for number, layer in enumerate(LAYERS) for module in layer}
    upward = [
        f"{module or 'dermedge'} imports {other or 'dermedge'}"
        for module, others in runtime_edges().items()
        for other in others
        if level[other] > level[module]
    ]
    assert upward == []


def test_no_runtime_modules_import_each_other_in_a_circle() -> None:
    list(graphlib.TopologicalSorter(runtime_edges()).static_order())


def test_only_the_scanner_knows_all_the_steps() -> None:
    edges = runtime_edges()
    assert set(STEPS) <= edges["scanner"]
    for step, others in STEPS.items():
        assert {module for module, known in edges.items() if step in known} <= {"scanner"} | others, step


def test_the_package_declares_no_dependency_beyond_the_table() -> None:
    text = (ROOT / "pyproject.toml").read_text()
    block = re.search(r"^dependencies = \[\n(.*?)^\]", text, re.MULTILINE | re.DOTALL)
    assert block
    names = re.findall(r'^ *"([A-Za-z0-9_-]+)', block[1], re.MULTILINE)
    assert set(names) == {"numpy", "pillow", "onnxruntime"}


ALONE = """
import sys

for name in ("torch", "torchvision", "transformers", "ultralytics", "optimum", "onnx", "textual"):
    sys.modules[name] = None

outward = ("socket.", "urllib.", "http.", "ftplib.", "subprocess.", "os.system", "os.posix_spawn", "os.exec")
reached = []

def watch(event, arguments):
    if event.startswith(outward):
        reached.append(event)
        raise PermissionError(event)

sys.addaudithook(watch)

from dermedge import Scanner

with Scanner.open(sys.argv[1]) as scanner:
    scan = scanner.scan(sys.argv[2])
assert not reached, reached
print(scan.verdict.level, len(scan.lesions))
"""


def test_a_scan_needs_no_training_library_no_network_and_no_other_process(tmp_path: Path) -> None:
    pack = tiny_pack.build(tmp_path / "pack")
    photo = tmp_path / "photo.png"
    tiny_pack.skin_with_spots(("melanoma", 128, 128, 56)).save(photo)
    command = [sys.executable, "-c", ALONE, str(pack), str(photo)]
    child = subprocess.run(command, capture_output=True, text=True, timeout=120, cwd=tmp_path)
    assert child.returncode == 0, child.stderr
    assert child.stdout.split() == ["urgent", "1"]


def test_the_watch_on_that_scan_sees_a_socket() -> None:
    code = ALONE.partition("from dermedge")[0] + "import socket; socket.socket()"
    child = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert child.stderr.splitlines()[-1] == "PermissionError: socket.__new__"
