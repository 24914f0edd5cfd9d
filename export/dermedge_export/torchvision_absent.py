"""Stands in for torchvision where it is not installed, as far as Ultralytics asks for it.

PyPI's torchvision does not load on a CPU build of torch, and Ultralytics needs only two things of it: a version number
at import, and `ops.nms` in its validator, for which it carries an implementation of its own.
"""

from __future__ import annotations

import importlib.machinery
import importlib.metadata
import importlib.util
import os
import sys
import types

_VERSION = "0.28.0"


def prepare_ultralytics() -> None:
    """Make `import ultralytics` work offline, with or without torchvision; call it before the first import."""
    os.environ.setdefault("YOLO_OFFLINE", "true")
    os.environ.setdefault("YOLO_AUTOINSTALL", "false")
    if "torchvision" in sys.modules or importlib.util.find_spec("torchvision") is not None:
        return
    look_up = importlib.metadata.version

    def version(distribution_name: str) -> str:
        return _VERSION if distribution_name == "torchvision" else look_up(distribution_name)

    importlib.metadata.version = version
    try:
        from ultralytics.utils.nms import TorchNMS
    finally:
        importlib.metadata.version = look_up
    stand_in = types.ModuleType("torchvision")
    stand_in.__dict__["__version__"] = _VERSION
    stand_in.__spec__ = importlib.machinery.ModuleSpec("torchvision", None)
    ops = types.ModuleType("torchvision.ops")
    ops.__dict__["nms"] = TorchNMS.nms
    stand_in.__dict__["ops"] = ops
    sys.modules["torchvision"] = stand_in
    sys.modules["torchvision.ops"] = ops
