"""The prompts that ship are sound, the lint finds what is not, and their vectors are means of the text tower's."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import tiny_siglip
from dermedge import MODALITIES
from dermedge_export.cli import main
from dermedge_export.siglip import prompts
from dermedge_export.siglip.load import load
from dermedge_export.siglip.prompts import PROMPTS, PromptsInvalid

WANTED = {
    "melanoma", "basal-cell-carcinoma", "squamous-cell-carcinoma", "actinic-keratosis", "melanocytic-nevus",
    "seborrheic-keratosis", "dermatofibroma", "vascular-lesion", "psoriasis", "atopic-dermatitis", "acne-vulgaris",
    "rosacea", "herpes-zoster", "warts", "molluscum-contagiosum", "normal-skin",
}  # fmt: skip


def changed(tmp_path: Path, old: str, new: str) -> Path:
    text = PROMPTS.read_text()
    assert old in text
    path = tmp_path / "prompts.toml"
    path.write_text(text.replace(old, new, 1))
    return path


def test_the_prompts_that_ship_are_complete_and_short_enough() -> None:
    shipped = prompts.read()
    assert {c.id for c in shipped.conditions} == WANTED
    assert {c.id for c in shipped.conditions if c.group == "malignant"} == {
        "melanoma", "basal-cell-carcinoma", "squamous-cell-carcinoma"
    }  # fmt: skip
    checkpoint = load(str(tiny_siglip.shared()))
    assert prompts.problems(shipped, prompts.tokenizer_of(checkpoint), 64) == []


def test_each_modality_has_its_own_frame() -> None:
    for condition in prompts.read().conditions:
        assert all(text.startswith("Dermoscopy image") for text in condition.texts["dermoscopy"])
        assert not any("ermoscopy" in text for text in condition.texts["phone"])


FURROWS = '    "normal skin with regular skin furrows, even colour and no lesion",\n'


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('id = "rosacea"', 'id = "warts"', "warts is there 2 times"),
        (FURROWS, FURROWS + FURROWS.replace("normal", "Normal"), "is already in normal-skin, dermoscopy"),
        ("of homogeneous brown", "of " + "very " * 80 + "homogeneous brown", "tokens; at most 64 are read"),
        (FURROWS, "", "normal-skin, dermoscopy: 3 descriptions"),
    ],
)
def test_the_lint_names_what_is_wrong(old: str, new: str, said: str, tmp_path: Path) -> None:
    checkpoint = load(str(tiny_siglip.shared()))
    found = prompts.problems(prompts.read(changed(tmp_path, old, new)), prompts.tokenizer_of(checkpoint), 64)
    assert any(said in problem for problem in found), found


def test_a_missing_modality_is_refused(tmp_path: Path) -> None:
    text = PROMPTS.read_text()
    start = text.index("phone = [", text.index('id = "psoriasis"'))
    end = text.index("]\n", start)
    path = tmp_path / "prompts.toml"
    path.write_text(text[:start] + text[end + 2 :])
    with pytest.raises(PromptsInvalid, match="psoriasis has no descriptions for phone"):
        prompts.read(path)


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('group = "benign"', 'group = "nice"', "group nice is none of"),
        ("[modalities]", "[ways]", "modalities"),
        ("[frames]", "[frames", "prompts.toml"),
        ('dermoscopy = "Dermoscopy image revealing {}."', 'dermoscopy = "Dermoscopy."', "has no {}"),
    ],
)
def test_a_broken_file_is_one_line(old: str, new: str, said: str, tmp_path: Path) -> None:
    with pytest.raises(PromptsInvalid) as caught:
        prompts.read(changed(tmp_path, old, new))
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


def test_classes_can_be_left_out() -> None:
    fewer = prompts.read().without(["rosacea", "warts"])
    assert {c.id for c in fewer.conditions} == WANTED - {"rosacea", "warts"}
    with pytest.raises(PromptsInvalid, match="unknown condition measles"):
        prompts.read().without(["measles"])


def test_vectors_are_unit_means_of_what_the_whole_model_says() -> None:
    import torch
    from transformers import AutoTokenizer, SiglipModel

    checkpoint = load(str(tiny_siglip.shared()))
    wording = prompts.read()
    vectors = prompts.embed(checkpoint, wording)
    assert vectors.prompts.shape == (len(MODALITIES), 16, 48)
    assert np.allclose(np.linalg.norm(vectors.prompts, axis=-1), 1, atol=1e-5)

    texts = wording.conditions[0].texts["phone"]
    tokenizer = AutoTokenizer.from_pretrained(checkpoint.folder)
    batch = tokenizer(list(texts), padding="max_length", max_length=64, return_tensors="pt")
    with torch.inference_mode():
        rows = SiglipModel.from_pretrained(checkpoint.folder).get_text_features(**batch).numpy()
    mean = (rows / np.linalg.norm(rows, axis=1, keepdims=True)).mean(axis=0)
    assert vectors.prompts[1, 0] @ mean / np.linalg.norm(mean) == pytest.approx(1, abs=1e-5)


def test_labelled_photographs_tell_what_each_description_is_worth(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = ["file,label,modality"]
    for i, picture in enumerate(tiny_siglip.crops(4)):
        Image.fromarray(picture).save(tmp_path / f"{i}.png")
        rows.append(f"{i}.png,{'melanoma' if i % 2 else 'warts'},phone")
    (tmp_path / "labels.csv").write_text("\n".join(rows))
    assert main(["prompts", "--check", "--model", str(tiny_siglip.shared()), "--data", str(tmp_path)]) == 0
    said = capsys.readouterr().out
    assert "descriptions, no problems" in said
    assert sum("melanoma" in line for line in said.splitlines()) >= 6
    assert "| warts |" in said


def test_the_lint_fails_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = changed(tmp_path, FURROWS, "")
    assert main(["prompts", "--check", "--model", str(tiny_siglip.shared()), "--prompts", str(path)]) == 2
    said = capsys.readouterr()
    assert "3 descriptions" in said.out
    assert said.err.startswith("prompts: 1 problems in")
