"""Writes the detector's scenes and trains YOLOv8n on them; started again, it goes on from the last checkpoint.

`python -m dermedge_export.compact.detect --data DIR --out DIR`
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from dermedge import UsageError

from ..photos import MODALITY, Collection, LabelledPhoto, box_of, find_collections
from ..torchvision_absent import prepare_ultralytics
from ..yolo import ARCHITECTURE, CLASS_NAME, load_folded
from .data import on_sharp, opened, scaled, sharp_pixels
from .outlines import Outliner
from .scenes import Photo, Scene, SceneSettings, composed, empty, reframed


@dataclass(frozen=True)
class DetectorSettings:
    """How many scenes of each kind are written and how long they are trained on."""

    side: int = 320
    dermoscopy: int = 5000
    phone: int = 3000
    close: int = 1000
    """One lesion, large, on the skin of another phone photograph: there are few of those with a mask."""
    composed: int = 2600
    negatives: int = 2400
    bare: int = 600
    blank: int = 200
    validation_dermoscopy: int = 300
    validation_composed: int = 100
    epochs: int = 7
    batch: int = 16
    learning_rate: float = 1e-3
    seed: int = 7
    bfloat16: bool = True
    """Train the convolutions in bfloat16: twice as fast where the CPU has the instructions; the loss stays float32."""


class Sources:
    """The training and validation photographs of the detector, with masks; where none is published, one is drawn."""

    def __init__(self, folder: Path) -> None:
        found = find_collections(folder)
        missing = [name for name in ("ham10000", "pad_ufes", "negatives") if name not in found]
        if missing:
            raise UsageError(f"{folder}: {', '.join(missing)} missing; the detector is trained on all three")
        self._found = found
        self._drawn: dict[str, NDArray[np.bool_] | None] = {}
        self._outliner: Outliner | None = None

    def of(self, name: Collection, split: str) -> list[LabelledPhoto]:
        photos = [p for p in self._found[name].photos if p.split == split]
        return [p for p in photos if name == "negatives" or p.mask is not None or self._draw(p) is not None]

    def photo(self, labelled: LabelledPhoto) -> Photo:
        rgb, factor = opened(labelled)
        if labelled.collection == "negatives":
            return Photo(rgb, labelled.label)
        kind = MODALITY[labelled.collection]
        if labelled.mask is None:
            drawn = self._draw(labelled)
            assert drawn is not None
            return Photo(rgb, kind, drawn, box_of(drawn))
        mask, box = labelled.open_mask(), labelled.lesion_box()
        assert mask is not None
        if factor < 1:
            mask = np.asarray(Image.fromarray(mask).resize((rgb.shape[1], rgb.shape[0])), bool)
        return Photo(rgb, kind, mask, scaled(box, factor) if box else None)

    def crop(self, labelled: LabelledPhoto) -> Photo | None:
        """The sharper centre square of a dermatoscope frame, where it holds the lesion's box."""
        box = labelled.lesion_box()
        if labelled.sharp is None or box is None:
            return None
        rgb, (x0, y0, x1, y1) = sharp_pixels(labelled.sharp), on_sharp(box)
        return Photo(rgb, "dermoscopy", None, (x0, y0, x1, y1)) if x0 >= 0 and x1 <= rgb.shape[1] else None

    def _draw(self, labelled: LabelledPhoto) -> NDArray[np.bool_] | None:
        if labelled.id not in self._drawn:
            self._outliner = self._outliner or Outliner()
            self._drawn[labelled.id] = self._outliner.mask(opened(labelled)[0])
        return self._drawn[labelled.id]


def _scenes(sources: Sources, settings: DetectorSettings, split: str) -> Iterator[tuple[str, Scene]]:
    rng = np.random.default_rng(settings.seed if split == "train" else settings.seed + 1)
    scene_settings = SceneSettings(side=settings.side)
    close_settings = SceneSettings(side=settings.side, lesion_least=0.15, lesion_most=0.6)
    ham, pad, neg = sources.of("ham10000", split), sources.of("pad_ufes", split), sources.of("negatives", split)
    hands = [p for p in neg if p.label == "hand"]
    rooms = [p for p in neg if p.label != "hand"]
    train = split == "train"

    def pick(photos: list[LabelledPhoto]) -> Photo:
        return sources.photo(photos[int(rng.integers(len(photos)))])

    order = rng.permutation(len(ham))
    for i in range(settings.dermoscopy if train else settings.validation_dermoscopy):
        labelled = ham[order[i % len(ham)]]
        photo = (sources.crop(labelled) if train and rng.random() < 0.3 else None) or sources.photo(labelled)
        yield "derm", reframed(photo, rng) if train else Scene(photo.rgb, (photo.box,))  # type: ignore[arg-type]
    for i in range(settings.phone if train else len(pad)):
        photo = sources.photo(pad[i % len(pad)])
        yield "phone", reframed(photo, rng) if train else Scene(photo.rgb, (photo.box,))  # type: ignore[arg-type]

    def close_up() -> Scene:
        while True:
            lesion = pick(ham if rng.random() < 0.25 else pad)
            scene = composed([lesion], pick(pad), None, rng, close_settings)
            if scene is not None:
                return scene

    def build(count: int) -> Scene:
        while True:
            ground = pick(hands if rng.random() < 0.3 else pad)
            # Two thirds of the pasted lesions are dermatoscope ones: there are far more of them, with better masks.
            lesions = [pick(ham if rng.random() < 0.65 else pad) for _ in range(count)]
            backdrop = pick(rooms).rgb
            scene = composed(lesions, ground, backdrop, rng, scene_settings)
            if scene is not None:
                return scene

    for _ in range(settings.composed if train else settings.validation_composed):
        yield "composed", build(int(rng.choice([1, 2, 3, 4, 5], p=[0.4, 0.25, 0.15, 0.1, 0.1])))
    for i in range(settings.negatives if train else len(neg)):
        photo = sources.photo(neg[i % len(neg)])
        yield "negative", Scene(photo.rgb, ()) if i < len(neg) else _turned(photo, rng)
    if train:
        for _ in range(settings.close):
            yield "close", close_up()
        for _ in range(settings.bare):
            yield "bare", build(0)
        for _ in range(settings.blank):
            yield "blank", empty(settings.side, rng)


def _turned(photo: Photo, rng: np.random.Generator) -> Scene:
    from .scene_artefacts import weathered

    return Scene(weathered(np.ascontiguousarray(np.rot90(photo.rgb, int(rng.integers(4)))), (), rng), ())


def write_dataset(data: Path, out: Path, settings: DetectorSettings) -> Path:
    """Write images and labels in YOLO's layout, once; the path of the data file."""
    listing = out / "data.yaml"
    if listing.exists():
        return listing
    sources = Sources(data)
    for split in ("train", "val"):
        for kind in ("images", "labels"):
            (out / kind / split).mkdir(parents=True, exist_ok=True)
        for i, (kind, scene) in enumerate(_scenes(sources, settings, split)):
            image = Image.fromarray(scene.rgb)
            width, height = image.size
            image.thumbnail((settings.side, settings.side), Image.Resampling.BICUBIC)
            stem = f"{kind}_{i:05d}"
            image.save(out / "images" / split / f"{stem}.jpg", quality=92)
            lines = [
                f"0 {(x0 + x1) / 2 / width:.6f} {(y0 + y1) / 2 / height:.6f}"
                f" {(x1 - x0) / width:.6f} {(y1 - y0) / height:.6f}"
                for x0, y0, x1, y1 in scene.boxes
            ]
            (out / "labels" / split / f"{stem}.txt").write_text("\n".join(lines))
    (out / "settings.json").write_text(json.dumps(asdict(settings), indent=1))
    listing.write_text(
        json.dumps({"path": str(out), "train": "images/train", "val": "images/val", "names": {0: CLASS_NAME}})
    )
    return listing


def _statistics_images(dataset: Path, side: int, batches: int = 8) -> Iterator[torch.Tensor]:
    """Letterboxed training scenes, evenly drawn, as float batches."""
    files = sorted((dataset / "images" / "train").glob("*.jpg"))
    chosen = files[:: max(1, len(files) // (batches * 16))]
    for start in range(0, len(chosen) - 15, 16):
        frames = []
        for file in chosen[start : start + 16]:
            frame = Image.new("RGB", (side, side), (114, 114, 114))
            image = Image.open(file)
            frame.paste(image, ((side - image.width) // 2, (side - image.height) // 2))
            frames.append(torch.from_numpy(np.array(frame)).permute(2, 0, 1))
        yield torch.stack(frames).float() / 255


def train(dataset: Path, weights: Path, out: Path, settings: DetectorSettings) -> Path:
    """Train, or go on training; the path of the best checkpoint."""
    prepare_ultralytics()
    torch.set_num_threads(1)
    from ultralytics.models.yolo.detect import DetectionTrainer
    from ultralytics.nn.tasks import DetectionModel

    class Trainer(DetectionTrainer):
        def check_resume(self, overrides: dict[str, Any]) -> None:
            # A resumed run may be given another length or other scenes: the cosine ends where it is told to.
            super().check_resume(overrides)
            self.args.epochs, self.args.data = settings.epochs, str(dataset)

        def get_model(self, cfg: Any = None, weights: Any = None, verbose: bool = True) -> DetectionModel:
            if weights is not None:
                return super().get_model(cfg, weights, verbose)
            return load_folded(start, _statistics_images(dataset.parent, settings.side))

    start, last = weights, out / "run" / "weights" / "last.pt"
    # A finished run's checkpoints have no epoch left, and Ultralytics refuses to resume them.
    if last.exists() and torch.load(last, map_location="cpu", weights_only=False)["epoch"] < 0:
        return last.with_name("best.pt")
    options: dict[str, Any] = {
        "model": str(last) if last.exists() else ARCHITECTURE,
        # With True, Ultralytics takes the newest last*.pt anywhere below the working directory.
        "resume": str(last) if last.exists() else False,
        "data": str(dataset), "imgsz": settings.side, "epochs": settings.epochs, "batch": settings.batch,
        "nbs": settings.batch, "project": str(out), "name": "run", "exist_ok": True, "save_dir": str(out / "run"),
        "device": "cpu",
        "optimizer": "AdamW", "lr0": settings.learning_rate, "lrf": 0.02, "cos_lr": True, "warmup_epochs": 0.3,
        "warmup_bias_lr": 0.0, "weight_decay": 5e-4, "seed": settings.seed, "amp": False, "plots": False,
        "workers": 0, "close_mosaic": 2, "mosaic": 0.35, "degrees": 0.0, "translate": 0.1, "scale": 0.35,
        "fliplr": 0.5, "flipud": 0.5, "hsv_h": 0.015, "hsv_s": 0.4, "hsv_v": 0.3, "pretrained": False, "save": True,
        "save_period": 1, "patience": 0, "verbose": True,
    }  # fmt: skip
    trainer = Trainer(overrides=options)
    if settings.bfloat16:
        trainer.add_callback("on_pretrain_routine_end", _halve_the_work)
    trainer.train()
    return Path(trainer.best)


def _halve_the_work(trainer: Any) -> None:
    """Run the trained network (not its average, which is validated and saved) in bfloat16."""
    model = trainer.model.to(memory_format=torch.channels_last)
    plain = model._predict_once

    def predict_once(x: torch.Tensor, *args: Any, **kwargs: Any) -> Any:
        with torch.autocast("cpu", dtype=torch.bfloat16):
            out = plain(x.contiguous(memory_format=torch.channels_last), *args, **kwargs)
        return {k: v.float() if isinstance(v, torch.Tensor) else v for k, v in out.items()}

    model._predict_once = partial(predict_once)


def main(argv: list[str] | None = None) -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description="Compose scenes and train the lesion detector.")
    parser.add_argument("--data", type=Path, required=True, help="the labelled collections")
    parser.add_argument("--weights", type=Path, help="folded YOLOv8n COCO weights (default: DATA/../weights)")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--epochs", type=int, default=DetectorSettings.epochs)
    args = parser.parse_args(argv)
    settings = DetectorSettings(epochs=args.epochs)
    out = args.out.resolve()
    weights = args.weights or args.data.resolve().parent / "weights" / "yolov8n_coco_folded.safetensors"
    dataset = write_dataset(args.data, out / "scenes", settings)
    print(train(dataset, weights, out, settings))


if __name__ == "__main__":
    main()
