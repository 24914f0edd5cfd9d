"""The compact pack's conditions, terms and the prose of its model card; figures do not belong here."""

from __future__ import annotations

from dermedge.pack.manifest import Condition, Licence

from ..card import Prose, Section

PACK_ID = "compact"
CONDITIONS = (
    Condition("melanoma", "Melanoma", "malignant", 10, ()),
    Condition("basal-cell-carcinoma", "Basal-cell carcinoma", "malignant", 7, ()),
    Condition("squamous-cell-carcinoma", "Squamous-cell carcinoma", "malignant", 8, ()),
    Condition("actinic-keratosis", "Actinic keratosis", "premalignant", 5, ()),
    Condition("melanocytic-nevus", "Melanocytic nevus (mole)", "benign", 1, ()),
    Condition("seborrheic-keratosis", "Seborrheic keratosis", "benign", 1, ()),
    Condition("dermatofibroma", "Dermatofibroma", "benign", 1, ()),
    Condition("vascular-lesion", "Vascular lesion", "benign", 1, ()),
)

LICENCES = (
    Licence(
        "CC BY-NC 4.0",
        "tower and detector (trained on HAM10000)",
        "P. Tschandl, C. Rosendahl, H. Kittler: The HAM10000 dataset, 2018, doi 10.7910/DVN/DBW86T. What "
        "was trained "
        "on it is for non-commercial use.",
    ),
    Licence(
        "CC BY 4.0",
        "tower and detector (trained on PAD-UFES-20), golden photographs, pictures of failures",
        "A. G. C. Pacheco et al.: PAD-UFES-20, 2020, doi 10.17632/zr7vgbcyr2.1. Photographs scaled to 300 x 300.",
    ),
    Licence(
        "CC0 or CC BY-NC 4.0, by image",
        "tower (trained on ISIC-2017)",
        "The International Skin Imaging Collaboration; N. C. F. Codella et al.: Skin lesion analysis toward "
        "melanoma "
        "detection, ISBI 2017.",
    ),
    Licence(
        "Apache-2.0",
        "tower (EfficientNet-Lite with ImageNet weights)",
        "M. Tan, Q. V. Le and the EfficientNet-Lite authors.",
    ),
    Licence(
        "AGPL-3.0",
        "detector (YOLOv8n)",
        "Ultralytics. Whoever serves this graph over a network owes its source.",
    ),
    Licence("Apache-2.0", "segmenter (LiteMedSAM)", "J. Ma et al.: Segment anything in medical images, 2024."),
)

INTENDED_USE = (
    "A screening hint about a single skin lesion in a photograph, taken by phone or through a dermatoscope: "
    "how soon a doctor should look at it, and why. For adults, offline, on small computers, for research and "
    "education. It is no medical device and gives no diagnosis; it never replaces an examination."
)

NOT_FOR = """\
- Deciding that a lesion is harmless. `watch` means that nothing stood out in this photograph, not that \
nothing is there.
- Deciding about a treatment, or for or against a biopsy.
- Skin of Fitzpatrick type V or VI: hardly any was seen in training or measurement.
- Children; nails, mucous membranes, scalp under hair, scars, tattoos; lesions after a treatment or biopsy.
- Anything but its eight conditions: inflammation, infection, Merkel-cell carcinoma and other rare tumours \
are unknown to it, and it will answer with the nearest thing it knows, or with `unclear`.
- Amelanotic and very early melanomas, of which the training photographs show few.
- Commercial use: the terms of HAM10000 exclude it."""

DATA = """\
| collection | what | used for | split |
| --- | --- | --- | --- |
| HAM10000 | dermatoscope, whole frames scaled to 200 x 150 and centre squares at 224 | training, \
validation, test | by lesion, stratified by class |
| PAD-UFES-20, 411 photographs of it | phone, 300 x 300 | training, validation | by patient |
| ISIC-2017 | dermatoscope, frames scaled to 256 x 256 | training; its validation part only for measuring \
| the challenge's own |
| hands (Apache-2.0), objects and scenes (research use) | photographs without a lesion | training, \
validation | by image |

HAM10000's `akiec` is actinic keratosis and Bowen's disease together: in training it is a label for either \
condition, and in the figures both probabilities count for it; it counts as malignant. PAD-UFES-20's `ACK` \
is actinic keratosis (premalignant), its `SCC` includes Bowen's disease. `bkl` covers seborrheic \
keratosis, solar lentigo and lichen-planus-like keratosis. About half of HAM10000's lesions were confirmed \
by histology, the others by follow-up, consensus or confocal microscopy."""

TRAINING = """\
- **Tower**: an EfficientNet-Lite with ImageNet weights, trained on both kinds of photograph at once. It \
ends in a normalised embedding that is compared by cosine with one vector per modality and condition, with \
vectors of what is no lesion, and with one vector per modality; all of them are learned. Class imbalance \
is met by logit adjustment; augmentation turns, scales, recolours, blurs, compresses and draws hair, ink, \
rulers, bubbles and dark corners. Several runs of different length and order go on from one trunk, and the \
weights shipped are their average; two of them also learned, towards their end, what other towers said of the \
same crops.
- **Detector**: YOLOv8n from COCO weights, one class, trained on the boxes of HAM10000 and PAD-UFES-20, on \
scenes composed of lesions on larger skin, and on photographs without any.
- **Segmenter**: LiteMedSAM as published, prompted with the detector's box.
- **Quantization**: int8 only where it costs no more than 0.5 points of balanced accuracy and .003 AUC on \
validation.
- **Refitting**: the vectors of the modalities and of the phone's conditions are solved for once more on \
augmented training crops, and kept where that helps validation photographs.
- **Calibration**: bias, temperature and rejection threshold on the validation photographs, by modality; \
the levels' cuts end to end through the runtime on the same photographs. HAM10000's test split was never \
used for a choice."""

LIMITS = """\
- Phone figures rest on few patients, as their intervals show; the phone's temperature and cuts were \
chosen on the photographs that its figures are measured on, which flatters them (the operating points also \
state what they give on lesions left out of the choice).
- HAM10000's test split is of the same clinics and cameras as its training split. ISIC-2017 tells more \
about another camera, and its figures are lower.
- Photographs were scaled down before training; the finest structures of a dermatoscope image are not \
seen.
- The photographs come from clinics, where the share of cancers is far higher than in a household. Out \
there, most referrals are false alarms.
- Heat maps add up exactly to the score, but each patch has seen most of the crop: covering parts of the \
lesion agrees with them (rank correlation of .6 or more) in one crop of five. They are no evidence; \
`dermedge scan --explain occlusion` checks them.
- Labels are not all histology, and several photographs show one lesion."""

MEASURE = """\
```
make evaluate DATA=folder     # every figure of the section Figures, through the runtime, with these graphs
make compact DATA=folder      # trains, quantizes, calibrates, chooses the cuts, measures and writes the pack
dermedge-export card --check  # whether this card says what the manifest says
```

`DATA` holds `ham10000.zip`, `pad_ufes.zip`, `isic2017.zip` and `negatives.zip`, or the public originals \
of HAM10000, PAD-UFES-20 and ISIC-2017 with a folder `negatives/` of `hand/`, `object/` and `scene/`. \
ISIC-2017 keeps the splits of its challenge; the others name none and are split by a hash of the lesion, \
patient or file (HAM10000 80 : 10 : 10, the others 80 : 20), so that figures are only honest for a pack \
trained from that same folder. PAD-UFES-20 is published without masks: the detector learns from outlines \
that the segmenter draws around the middle of its photographs."""

PROSE = Prose(
    title="Model card of the compact pack",
    opening="A lesion detector, a small image tower and a segmenter for photographs of skin lesions, taken by phone "
    "or through a dermatoscope. **It is a screening aid and no diagnosis.**",
    before=(
        Section("What it is not for", NOT_FOR),
        Section("Data", DATA),
        Section("How it was trained", TRAINING),
    ),
    after=(Section("Limits", LIMITS), Section("Measuring again", MEASURE)),
)
