"""Networks that are given away: the same pictures from half the bits, a whole card, and no file but the card's."""

import json
from pathlib import Path

import pytest
import torch

from publish import networks
from segin_core.book.model_card import MEASURES, ROWS, in_markdown, model_card, scores_of
from segin_core.errors import InputError
from segin_core.running.checkpoints import load_translator
from segin_core.running.files import write_json
from segin_core.running.shipped import file_digest, save_half, shipped

DATASET = {
    "task": "avatars",
    "size": 32,
    "counts": {"train": 24, "test": 8},
    "sha256": "d",
    "artwork": "Ada, CC BY",
}


@pytest.fixture
def trained(checkpoint: Path):
    """N, with statistics as a training leaves them, and what a training tells of it."""
    translator, description = load_translator(checkpoint)
    generator = torch.Generator().manual_seed(0)
    for name, values in translator.named_buffers():
        if name.endswith("running_var"):  # some far below what float16 can hold
            values.copy_(10 ** torch.empty(len(values)).uniform_(-9, 1, generator=generator))
    made = {"commit": "abc", "hardware": "a machine", "date": "2026-01-02T03:04:05", "seconds": 350.8}
    made["parameters"] = {"steps": 20, "data": "avatars"}
    return translator, description | {"images_seen": 80, "parameters": {"translator": 500_000}, "provenance": made}


def shipped_with_card(path: Path, trained, scores=None) -> dict:
    """Both files and the card in words; the card."""
    card = model_card(save_half(path, *trained), trained[1], dataset=DATASET, difference=0.01, scores=scores)
    write_json(path.with_suffix(".json"), card)
    path.with_suffix(".md").write_text(in_markdown(card))
    return card


def test_half_the_bits_give_the_same_pictures_in_float32(trained, tmp_path: Path) -> None:
    whole, description = trained
    path = save_half(tmp_path / "n.safetensors", whole, description)
    half, found = load_translator(path)
    assert found["images_seen"] == 80 and not half.training
    weights = sum(parameter.numel() for parameter in whole.parameters())
    assert 2 * weights < path.stat().st_size < 2.2 * weights
    assert {parameter.dtype for parameter in half.parameters()} == {torch.float32}
    assert all(torch.equal(a, b) for a, b in zip(whole.buffers(), half.buffers(), strict=True))
    assert {parameter.dtype for parameter in whole.parameters()} == {torch.float32}, "the given network is left alone"

    x, w = torch.rand(4, 1, 32, 32) * 2 - 1, torch.rand(4, 3, 32, 32) * 2 - 1
    with torch.no_grad():
        assert 0 < (whole(x, w).image - half(x, w).image).abs().mean() / 2 < 1 / 255


def test_too_large_or_beyond_float16_is_refused_and_nothing_written(trained, tmp_path: Path) -> None:
    translator, description = trained
    with pytest.raises(InputError, match=r"n\.safetensors: 1\.0 MB in half precision, but at most 0\.5 MB.*narrower"):
        save_half(tmp_path / "n.safetensors", translator, description, limit=500_000)
    with torch.no_grad():
        translator.encoder[2][0].weight[0, 0, 0, 0] = 1e5
    with pytest.raises(InputError, match=r"encoder\.2\.0\.weight has values that float16 cannot hold"):
        save_half(tmp_path / "n.safetensors", translator, description)
    assert not list(tmp_path.iterdir())


def test_a_network_is_taken_only_with_its_own_card(trained, tmp_path: Path) -> None:
    path = tmp_path / "n.safetensors"
    shipped_with_card(path, trained)
    assert shipped("n", folder=tmp_path) == path
    path.write_bytes(path.read_bytes()[:-1] + b"x")
    with pytest.raises(InputError, match=r"n\.safetensors: not the network that its card names"):
        shipped("n", folder=tmp_path)
    for content in ("{", "[]", '{"name": "n"}'):
        path.with_suffix(".json").write_text(content)
        with pytest.raises(InputError, match=r"n\.json: no card"):
            shipped("n", folder=tmp_path)
    path.with_suffix(".json").unlink()
    with pytest.raises(InputError, match=r"n\.json: .*is not there; restore published/models, or give a checkpoint"):
        shipped("n", folder=tmp_path)


def scores_file(edition: Path, seconds: float) -> dict:
    """A result file of the chapter on right answers, in which W alone is as good as the network on every measure."""
    rows = {row: {"value": 0.5, "interval": [0.4, 0.6], "segin_better_by": {"interval": [0.1, 0.2]}} for row in ROWS}
    rows["w"]["segin_better_by"] = {"interval": [-0.1, 0.2]}
    scores = {"metrics": {name: name.upper() for name in MEASURES}, "measures": dict.fromkeys(MEASURES, rows)}
    scores["methods"] = {"segin": {"images_seen": 80, "seconds": seconds}}
    scores["provenance"] = {"commit": "def", "parameters": {"networks": "-avatars"}}
    write_json(edition / "right_answers-avatars" / "scores.json", scores)
    return scores


def test_scores_are_those_of_this_very_network(trained, tmp_path: Path) -> None:
    edition = tmp_path / "runs" / "quick"
    scores_file(edition, seconds=1.0)
    assert scores_of("training-avatars", trained[1], edition) is None
    scores_file(edition, seconds=350.8)
    assert scores_of("training", trained[1], edition) is None
    found = scores_of("training-avatars", trained[1], edition)
    assert found["file"] == "runs/quick/right_answers-avatars/scores.json" and found["commit"] == "def"
    assert found["measures"]["STRUCTURE (higher is better)"]["not_beaten"] == ["W alone"]


def test_a_card_is_complete_in_both_forms(trained, tmp_path: Path) -> None:
    scores_file(tmp_path / "quick", seconds=350.8)
    scores = scores_of("training-avatars", trained[1], tmp_path / "quick")
    card = shipped_with_card(tmp_path / "n.safetensors", trained, scores)
    assert card["sha256"] == file_digest(tmp_path / "n.safetensors")
    assert card["bytes"] == (tmp_path / "n.safetensors").stat().st_size
    told = {"image_size": 32, "images_seen": 80, "seconds": 350.8, "commit": "abc", "steps": 20, "name": "n"}
    assert told.items() <= card.items() and card["matching"] == trained[1]["matching"]
    assert card["data"]["artwork"] == card["licence"]["data"] == "Ada, CC BY" and card["licence"]["code"] == "MIT"
    words = in_markdown(card)
    for part in ("32 x 32", "relu3_1", "80 images", "6 minutes", "commit abc", card["sha256"], "Ada, CC BY", "MIT"):
        assert part in words
    for part in ("## Scores", "## Limits", "## Licence", "| W alone |", "0.500 [0.400, 0.600]", *card["limits"]):
        assert part in words
    assert "was not scored" in in_markdown(card | {"scores": None})


def test_published_is_a_network_with_its_card_and_nothing_too_large(trained, tmp_path: Path, monkeypatch) -> None:
    card = shipped_with_card(tmp_path / "n.safetensors", trained)
    found = networks(tmp_path)
    assert sorted(map(str, found)) == [f"published/models/n.{end}" for end in ("json", "md", "safetensors")]
    assert json.loads(found[Path("published/models/n.json")]) == card
    monkeypatch.setattr("publish.LIMIT", 500_000)
    with pytest.raises(InputError, match=r"n\.safetensors: 1\.0 MB, but a published network may have 0 MB"):
        networks(tmp_path)
    monkeypatch.undo()
    write_json(tmp_path / "n.json", card | {"hardware": "/home/ada/pictures"})
    with pytest.raises(InputError, match=r"n\.json: it names /home/ada/pictures"):
        networks(tmp_path)
