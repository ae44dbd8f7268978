"""The learned match: its loss against a literal version, its batches against the warps, what it learns."""

import itertools

import pytest
import torch
from torch.nn import functional as F

from segin_core.beyond.learned_match import (
    LearnedMatch,
    MatchTraining,
    WarpedPairs,
    contrastive_loss,
    learned_auxiliary_image,
)
from segin_core.data.pairs import PairFolder
from segin_core.errors import InputError


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


def test_batches_are_warped_as_their_index_says(pair_folder) -> None:
    batches = WarpedPairs(PairFolder(pair_folder), batch_size=4, seed=1, warps=8, ink=(1.0, 1.0))
    batch, again = batches(3), batches(3)
    assert all(torch.equal(a, b) for a, b in zip(batch, again, strict=True))
    assert batch.counts.flatten(1).any(dim=1).all() and not batch.counts.all()
    assert batch.index.shape == batch.counts.shape == (4, 1, 8, 8) and batch.index.max() < 64


def test_the_index_undoes_the_warp(pair_folder) -> None:
    batches = WarpedPairs(PairFolder(pair_folder), batch_size=6, seed=1, warps=6, ink=(1.0, 1.0))
    _, r, *maps = batches(0)
    index, counts = (each.flatten(1) for each in maps)
    ground = (F.max_pool2d((r < 0.9).float().amax(1, keepdim=True), 4) == 0).float().flatten(1)  # cells without ink
    lost = (ground * counts).sum() / counts.sum()
    assert (ground.gather(1, index) * counts).sum() / counts.sum() < 0.05 < lost


def test_some_steps_find_more_places(pair_folder) -> None:
    batches = WarpedPairs(PairFolder(pair_folder), batch_size=4, seed=0, warps=16)
    network = tiny()
    training = MatchTraining(network, lr=5e-3)
    losses = [training.update(batches(step))["contrast"].item() for step in range(40)]
    assert sum(losses[-5:]) < 0.8 * sum(losses[:5])


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
