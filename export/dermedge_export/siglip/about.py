"""What a pack made from SigLIP says about itself; figures do not belong here."""

from __future__ import annotations

from dermedge.pack.manifest import Licence

from ..card import Prose, Section
from .load import PINNED

HAI_DEF_NOTICE = """\
HAI-DEF is provided under and subject to the Health AI Developer Foundations Terms of Use found at
https://developers.google.com/health-ai-developer-foundations/terms

Modified from google/medsiglip-448: the image tower was exported to ONNX, its normalisation and the probe of
its pooling head were folded into the graph, and its weights were quantized. The text tower is not contained;
vectors that it made are.

Whoever receives this pack is bound by the use restrictions of those terms (section 3.2) and by the Prohibited
Use Policy that they name. Clinical use needs the authorisation that the terms (section 3.1) and the law ask
for.
"""

HAI_DEF = Licence(
    "Health AI Developer Foundations Terms of Use",
    "tower and vectors (MedSigLIP)",
    "HAI-DEF is provided under and subject to the Health AI Developer Foundations Terms of Use found at "
    "https://developers.google.com/health-ai-developer-foundations/terms. Modified: exported to ONNX and quantized.",
)
APACHE = Licence("Apache-2.0", "tower and vectors (SigLIP)", "Google LLC. Modified: exported to ONNX and quantized.")
UNKNOWN = Licence(
    "terms of the checkpoint's maker",
    "tower and vectors",
    "Made from a local checkpoint; whoever made this pack must know its terms and pass them on.",
)
SAMPLES = Licence(
    "CC BY 4.0",
    "golden photographs",
    "A. G. C. Pacheco et al.: PAD-UFES-20, 2020, doi 10.17632/zr7vgbcyr2.1. Photographs scaled to 300 x 300.",
)

INTENDED_USE = (
    "A screening hint about a single skin lesion in a photograph, taken by phone or through a dermatoscope: "
    "how soon a doctor should look at it, and why. For adults, offline, for research and education. It is no "
    "medical device and gives no diagnosis; it never replaces an examination."
)

NOT_FOR = """\
- Deciding that a lesion is harmless. An uncalibrated pack never says so at all.
- Deciding about a treatment, or for or against a biopsy.
- Commercial or clinical use without what the terms of its parts and the law ask for.
- Anything but the conditions listed above: it answers with the nearest thing it knows."""

MADE = """\
The image tower of a SigLIP checkpoint, exported with its normalisation inside. No photograph was trained \
on: each condition is the mean of the checkpoint's own text embeddings of several morphological \
descriptions, one set for each kind of photograph, which stand in `pack.json`. Weights were quantized by the \
first form that agrees with the float32 model (section Tower)."""

LIMITS = """\
- **No figure on real MedSigLIP weights has been measured by this project.** The weights are gated; what was \
measured is the export itself, on random weights of the same architecture. `make export CALIBRATE=folder` \
and then `dermedge-export evaluate DATA --pack artifacts/medsiglip-448` produce the figures.
- Zero-shot probabilities are not calibrated unless this card says on what they were; an uncalibrated pack \
says so in every result.
- MedSigLIP was trained on, among others, PAD-UFES-20: figures on it flatter the model.
- Published comparisons find lower accuracy on darker skin."""

MEASURE = """\
```
make export CALIBRATE=folder                                    # writes this pack again, calibrated
dermedge-export prompts --check --model M --data folder         # what each description and each condition is worth
dermedge-export evaluate DATA --pack artifacts/medsiglip-448    # accuracy, through the runtime
make export-bench                                               # speed and memory of the full-size architecture
```"""

PROSE = Prose(
    title="Model card of a zero-shot pack",
    opening="A lesion detector and a large image tower whose conditions are described in words. "
    "**It is a screening aid and no diagnosis.**",
    before=(Section("What it is not for", NOT_FOR), Section("How it was made", MADE)),
    after=(Section("Limits", LIMITS), Section("Measuring again", MEASURE)),
)

PROSE_BY_PACK = {name.partition("/")[2]: PROSE for name in PINNED}


def terms(name: str, local: bool) -> tuple[Licence, dict[str, bytes]]:
    """The licence of a checkpoint and the notices that a pack made from it must carry."""
    if "medsiglip" in name.lower():
        return HAI_DEF, {"NOTICE-HAI-DEF.txt": HAI_DEF_NOTICE.encode()}
    return (UNKNOWN, {}) if local or not name.startswith("google/siglip") else (APACHE, {})
