"""The tiny pack of the tests, taken apart again into what a packer is given."""

from __future__ import annotations

from pathlib import Path

import tiny_pack
from dermedge.pack import verify
from dermedge.pack.manifest import Manifest
from dermedge_export.packer import GoldenSource, PackParts, Tolerances


def plain_card(manifest: Manifest) -> str:
    return f"# {manifest.id}\n\n{len(manifest.golden.photos)} golden photographs, {len(manifest.files)} files.\n"


def parts(room: Path) -> PackParts:
    pack = verify(tiny_pack.build(room / "tiny"))
    manifest = pack.manifest
    graphs = [name for name in manifest.files if name.startswith("graphs/")]
    return PackParts(
        id=manifest.id,
        version=manifest.version,
        created_with={"tests": "1"},
        source=manifest.source,
        intended_use=manifest.intended_use,
        licences=manifest.licences,
        tower=manifest.tower,
        detector=manifest.detector,
        segmenter=manifest.segmenter,
        graphs={name: pack.read(name) for name in graphs},
        conditions=manifest.conditions,
        prompts=pack.array(manifest.vectors.prompts),
        rejects=pack.array(manifest.vectors.rejects),
        modalities=pack.array(manifest.vectors.modalities),
        modality_scale=manifest.vectors.modality_scale,
        scoring=manifest.scoring,
        triage=manifest.triage,
        priors=manifest.priors,
        golden=tuple(
            GoldenSource(Path(photo.photo).name, pack.read(photo.photo), photo.modality)
            for photo in manifest.golden.photos
        ),
        tolerances=Tolerances(),
        metrics={"note": "made up for tests"},
        card=plain_card,
        notices={"NOTICE.txt": b"for tests only\n"},
    )
