"""Beyond the paper: the match that comes with a network's file, and training on wrong matches with right answers."""

from functools import partial

import pytest
import torch
from PIL import Image

from segin_core.beyond.answered import Answered, right_answers, wrong_matches
from segin_core.beyond.learned_match import LearnedMatch, learned_auxiliary_image
from segin_core.beyond.silhouettes import Silhouettes, object_auxiliary_image
from segin_core.beyond.trained_match import trained_match, vgg_cells
from segin_core.data.images import to_tensor
from segin_core.data.pairs import PairFolder
from segin_core.errors import InputError
from segin_core.evaluation.correspondence import apply_warp, smooth_warp
from segin_core.matching import auxiliary_image, warp
from segin_core.running.checkpoints import load_translator, save_networks
from segin_core.running.randomness import seeded
from segin_core.self_supervision import SelfSupervision
from segin_core.translate import translate
from segin_core.translator import Translator
from segin_core.vgg import VGGFeatures

MATCHING = {"source": "vgg16-hed", "layer": "relu3_1", "patch": 3, "blend": "paste"}


@pytest.fixture(scope="module")
def learned() -> dict[str, torch.nn.Module]:
    torch.manual_seed(0)
    return {"match": LearnedMatch(8, dim=8, blocks=2).eval(), "silhouettes": Silhouettes(8, blocks=2).eval()}


@pytest.mark.parametrize("names", [(), ("match",), ("silhouettes",), ("match", "silhouettes")])
def test_the_match_of_a_training_comes_back_from_its_file(learned, names, tmp_path):
    held = {name: learned[name] for name in names}
    torch.manual_seed(0)
    networks = {"translator": Translator(8, downsamplings=3)} | held
    path = save_networks(tmp_path / "model.safetensors", networks, {"image_size": 32, "matching": MATCHING})
    features = VGGFeatures(layers=("relu3_1",))
    cells = learned["match"] if "match" in names else partial(vgg_cells, features=features, layer="relu3_1")
    wanted = {
        (): partial(auxiliary_image, features=features, layer="relu3_1", patch=3),
        ("match",): partial(learned_auxiliary_image, network=learned["match"]),
    }.get(names)
    within = {"cells": cells, "silhouettes": learned["silhouettes"], "patch": 1 if "match" in names else 3}
    wanted = wanted or partial(object_auxiliary_image, **within)
    picture = Image.effect_noise((32, 32), 200)
    x, r = to_tensor(picture)[None], to_tensor(Image.merge("RGB", [picture.rotate(90 * i) for i in range(3)]))[None]
    found = trained_match(path, load_translator(path)[1])(x, r)
    assert torch.equal(found.index, wanted(x, r).index) and torch.equal(found.image, wanted(x, r).image)
    whole = translate(picture, Image.merge("RGB", [picture.rotate(90 * i) for i in range(3)]), checkpoint=path)
    assert torch.equal(whole.index.flatten(), found.index[0])


def test_a_file_without_its_match_is_refused(tmp_path):
    networks = {"translator": Translator(8, downsamplings=3)}
    path = save_networks(tmp_path / "model.safetensors", networks, {"image_size": 32, "matching": MATCHING})
    about = load_translator(path)[1]
    with pytest.raises(InputError, match="holds no network 'match'"):
        trained_match(path, about | {"networks": about["networks"] | {"match": {}}})


def test_a_share_of_the_batch_has_the_match_of_another_reference_and_its_answer(pair_folder):
    pairs = PairFolder(pair_folder)
    match = partial(auxiliary_image, features=VGGFeatures(layers=("relu3_1",)), layer="relu3_1", patch=3)
    answers = right_answers(pairs, lambda name: str(int(name) % 2))  # squares, and discs
    assert (answers % 2 == torch.arange(6) % 2).all() and not (answers == torch.arange(6)).all()
    bank = smooth_warp(3, 32, generator=seeded(0, 6))
    matches = wrong_matches(pairs, match, answers=answers, bank=bank, seed=0, batch_size=4)
    plain = SelfSupervision(
        pairs, torch.zeros(6, 8, 8, dtype=torch.long), batch_size=4, seed=0, hue_rotation=0.0,
        corrupt=lambda w, y, *, generator: w,
    )  # fmt: skip
    half, none = (Answered(plain, matches, share=share)(2) for share in (0.5, 0.0))
    assert all(torch.equal(a, b) for a, b in zip(none, plain(2), strict=True))
    assert all(torch.equal(a[2:], b[2:]) for a, b in zip(half, plain(2), strict=True))
    for i, pair in enumerate(plain.indices(2)[:2]):
        answer = pairs[int(answers[pair])]
        r = apply_warp(answer["y"][None], bank.grid[matches["warp"][pair]][None])
        found = match(pairs[pair]["x"][None], r)
        torch.testing.assert_close(half.w[i], warp(r, found.index, found.grid, 1)[0])
        torch.testing.assert_close(half.y[i], answer["y"], rtol=0, atol=1e-5)  # turned by nothing
        assert torch.equal(half.x[i], pairs[pair]["x"]) and torch.equal(half.mask[i], answer["mask"])
