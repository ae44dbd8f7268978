"""The learned match: its loss against a literal version, its batches against the warps, what it learns."""

import itertools

import pytest
import torch
from torch.nn import functional as F

from segin_core.beyond.learned_match import LearnedMatch, learned_auxiliary_image
from segin_core.beyond.match_training import MatchTraining, WarpedPairs, contrastive_loss
from segin_core.beyond.silhouettes import Silhouettes, match_among, object_auxiliary_image
from segin_core.data.pairs import PairFolder
from segin_core.errors import InputError
from segin_core.matching import match


def tiny(**how) -> LearnedMatch:
    torch.manual_seed(0)
    return LearnedMatch(8, dim=8, blocks=3, **how)


def unit(*shape: int, seed: int) -> torch.Tensor:
    return F.normalize(torch.randn(*shape, generator=torch.Generator().manual_seed(seed)), dim=1)


def test_the_loss_is_infonce_both_ways() -> None:
    fx, fr = unit(2, 5, 2, 2, seed=0), unit(2, 5, 2, 2, seed=1)
    index = torch.tensor([[1, 0, 3, 2], [2, 2, 0, 1]])
    counts = torch.tensor([[True, False, True, True], [False, True, True, False]])
    x, r = (f.permute(0, 2, 3, 1).reshape(8, 5) for f in (fx, fr))
    there, back = [], []
    for b, i in itertools.product(range(2), range(4)):
        if counts[b, i]:
            a, p = 4 * b + i, 4 * b + int(index[b, i])
            there.append(-torch.log(torch.exp(x[a] @ r[p] / 0.1) / sum(torch.exp(x[a] @ r[q] / 0.1) for q in range(8))))
            back.append(-torch.log(torch.exp(r[p] @ x[a] / 0.1) / sum(torch.exp(r[p] @ x[q] / 0.1) for q in range(8))))
    expected = (sum(there) / len(there) + sum(back) / len(back)) / 2
    torch.testing.assert_close(contrastive_loss(fx, fr, index, counts, temperature=0.1), expected)


def test_nothing_to_count_is_no_loss() -> None:
    fx = unit(1, 3, 2, 2, seed=0).requires_grad_()
    loss = contrastive_loss(fx, fx, torch.zeros(1, 4, dtype=torch.long), torch.zeros(1, 4, dtype=torch.bool))
    loss.backward()
    assert loss == 0 and fx.grad.abs().sum() == 0


def test_features_are_unit_vectors_of_any_size() -> None:
    fx, fr = tiny()(torch.rand(2, 1, 32, 16) * 2 - 1, torch.rand(2, 3, 16, 48) * 2 - 1)
    assert fx.shape == (2, 8, 8, 4) and fr.shape == (2, 8, 4, 12)
    for found in (fx, fr):
        torch.testing.assert_close(found.norm(dim=1), torch.ones_like(found[:, 0]))


def test_ground_that_stayed_counts_as_well_as_the_object(pair_folder) -> None:
    batches = WarpedPairs(PairFolder(pair_folder), batch_size=6, seed=1, warps=8, ink=(1.0, 1.0))
    batch, again = batches(3), batches(3)
    assert all(torch.equal(a, b) for a, b in zip(batch, again, strict=True))
    assert all(each.shape == (6, 1, 8, 8) for each in batch[2:]) and batch.index.max() < 64
    index, counts, inside_x, inside_r = (each.flatten(1) for each in batch[2:])
    assert counts[inside_x == 0].float().mean() > 0.5 and not counts.all()
    sure = counts & (inside_x % 1 == 0)  # a cell across the border may go to either side
    assert ((inside_r.gather(1, index) - inside_x).abs()[sure] < 0.5).float().mean() > 0.9


def test_the_index_undoes_the_warp(pair_folder) -> None:
    batches = WarpedPairs(PairFolder(pair_folder), batch_size=6, seed=1, warps=6, ink=(1.0, 1.0))
    batch = batches(0)
    index, counts, inside = (each.flatten(1) for each in (batch.index, batch.counts, batch.inside_x))
    ground = (F.max_pool2d((batch.r < 0.9).float().amax(1, keepdim=True), 4) == 0).float().flatten(1)  # without ink
    counts = counts & (inside > 0.5)
    lost = (ground * counts).sum() / counts.sum()
    assert (ground.gather(1, index) * counts).sum() / counts.sum() < 0.05 < lost


def test_some_steps_find_more_places_and_the_object(pair_folder) -> None:
    batches = WarpedPairs(PairFolder(pair_folder), batch_size=4, seed=0, warps=16)
    training = MatchTraining(tiny(), Silhouettes(8, blocks=2), lr=5e-3)
    history = [training.update(batches(step)) for step in range(40)]
    for name in ("contrast", "silhouette"):
        losses = [each[name].item() for each in history]
        assert sum(losses[-5:]) < 0.8 * sum(losses[:5])


@pytest.mark.parametrize("patch", [1, 3])
def test_a_match_among_all_cells_is_eq_1_and_one_among_some_keeps_to_them(patch) -> None:
    fx, fr = unit(2, 5, 4, 6, seed=0), unit(2, 5, 3, 5, seed=1)
    everything = torch.ones(2, 24, 15, dtype=torch.bool)
    for found, wanted in zip(match_among(fx, fr, everything, patch), match(fx, fr, patch), strict=True):
        torch.testing.assert_close(found, wanted)
    allowed = torch.rand(2, 24, 15, generator=torch.Generator().manual_seed(2)) < 0.6
    allowed[0, 0] = False
    index, score = match_among(fx, fr, allowed, patch)
    kept = allowed.gather(2, index[..., None])[..., 0]
    assert kept[0, 1:].all() and kept[1].all() and index[0, 0] == match(fx, fr, patch)[0][0, 0]
    assert (score <= match(fx, fr, patch)[1] + 1e-6).all()


def test_object_comes_from_object_and_ground_from_ground() -> None:
    x, r = torch.rand(1, 1, 30, 22) * 2 - 1, torch.rand(1, 3, 24, 40) * 2 - 1
    sides = [torch.zeros(1, 1, 8, 6), torch.zeros(1, 1, 6, 10)]
    for side in sides:
        side[..., :2] = 1
    known = Given([side - 0.5 for side in sides])
    found = object_auxiliary_image(x, r, tiny().eval(), known)
    assert found.image.shape == (1, 3, 30, 22) and found.grid == (8, 6)
    assert torch.equal(sides[1].flatten()[found.index[0]], sides[0].flatten())
    with pytest.raises(InputError, match="use one grid"):
        object_auxiliary_image(x, r, tiny(halvings=1).eval(), known)


class Given(torch.nn.Module):
    """Silhouettes that are given, in the place of learned ones."""

    stride = 4

    def __init__(self, logits) -> None:
        super().__init__()
        self.logits = logits

    def forward(self, x, r):
        return self.logits


def test_w_has_the_size_of_x_and_the_pixels_of_r() -> None:
    x, r = torch.rand(1, 1, 30, 22) * 2 - 1, torch.rand(1, 3, 24, 40) * 2 - 1
    found = learned_auxiliary_image(x, r, tiny().eval())
    assert found.image.shape == (1, 3, 30, 22) and found.grid == (8, 6) and found.index.shape == (1, 48)
    assert found.score.abs().max() <= 1 + 1e-5 and found.index.max() < 60
    cells = r.unfold(2, 4, 4).unfold(3, 4, 4).permute(0, 2, 3, 1, 4, 5).reshape(60, 3, 4, 4)
    assert torch.equal(found.image[0, :, :4, :4], cells[found.index[0, 0]])


@pytest.mark.parametrize("width", [4, 12])
def test_a_width_that_cannot_be_normalised_is_refused(width) -> None:
    with pytest.raises(InputError, match="multiple of 8"):
        LearnedMatch(width)
