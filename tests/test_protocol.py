"""Who is paired with whom in the protocols."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from segin_core.data.images import to_bytes
from segin_core.errors import InputError
from segin_core.evaluation.protocol import choose_references, colour_likeness, unlike


def likeness_of(n: int) -> torch.Tensor:
    points = torch.randn(n, 5, generator=torch.Generator().manual_seed(n))
    return torch.nn.functional.normalize(points, dim=1) @ torch.nn.functional.normalize(points, dim=1).T


@given(inputs=st.integers(3, 40), m=st.integers(4, 40), seed=st.integers(0, 9))
def test_references_are_different_pictures_of_their_own_set(inputs, m, seed):
    found = choose_references(inputs, likeness_of(m), diverse=inputs // 2, per_input=4, few=3, seed=seed)
    assert found.references.shape == (inputs, 4) and found.few_of.shape == (inputs,)
    assert all(len(set(row.tolist())) == 4 for row in (*found.references, found.similar))
    assert len(set(found.few.tolist())) == 3 and len(set(found.diverse_inputs.tolist())) == inputs // 2
    for chosen, count in ((found.references, m), (found.few, m), (found.similar, m), (found.diverse_inputs, inputs)):
        assert 0 <= chosen.min() and chosen.max() < count


def test_few_references_are_shared_evenly():
    found = choose_references(200, likeness_of(150), diverse=100, per_input=20, few=10, seed=0)
    assert found.few_of.bincount().tolist() == [20] * 10


def test_similar_references_are_the_tightest_group():
    likeness = torch.full((8, 8), 0.1).fill_diagonal_(1)
    for a in (2, 5, 6):
        for b in (2, 5, 6):
            likeness[a, b] = 0.9 if a != b else 1
    found = choose_references(9, likeness, diverse=4, per_input=3, few=2, seed=0)
    assert set(found.similar.tolist()) == {2, 5, 6}


def test_choice_depends_on_the_seed_alone():
    first, again, other = (
        choose_references(15, likeness_of(20), diverse=5, per_input=4, few=3, seed=s).references for s in (0, 0, 1)
    )
    assert torch.equal(first, again) and not torch.equal(first, other)


@pytest.mark.parametrize(("inputs", "m"), [(5, 19), (4, 40)])
def test_too_few_pictures_are_refused(inputs, m):
    with pytest.raises(InputError, match=f"{inputs} inputs and {m} pictures are not enough for 5 inputs with 20"):
        choose_references(inputs, likeness_of(m), diverse=5, per_input=20, few=3, seed=0)


RED, BLUE, WHITE = ((0.9, -0.8, -0.8), (-0.8, -0.8, 0.7), (1.0, 1.0, 1.0))


def striped(*colours: tuple[float, float, float]) -> torch.Tensor:
    """A picture 3 8 8 in columns of these colours."""
    columns = torch.tensor(colours).T.repeat_interleave(8 // len(colours), dim=1)
    return columns[:, None].expand(3, 8, 8).contiguous()


def test_colours_are_alike_by_their_shares_wherever_they_lie():
    pictures = torch.stack([striped(RED, BLUE), striped(BLUE, RED).mT, striped(RED), striped(WHITE)])
    everywhere = torch.ones(4, 1, 8, 8)
    expected = torch.tensor([[1, 1, 0.5, 0], [1, 1, 0.5, 0], [0.5, 0.5, 1, 0], [0, 0, 0, 1]])
    torch.testing.assert_close(colour_likeness(pictures, everywhere), expected)
    torch.testing.assert_close(colour_likeness(to_bytes(pictures), everywhere), expected)


def test_only_the_foreground_has_colours():
    pictures = torch.stack([striped(RED, WHITE), striped(RED), striped(RED)])
    masks = torch.ones(3, 1, 8, 8)
    masks[0, :, :, 4:] = 0
    masks[2] = 0
    torch.testing.assert_close(colour_likeness(pictures, masks), torch.tensor([[1.0, 1, 0], [1, 1, 0], [0, 0, 0]]))


def test_masks_of_another_size_are_refused():
    with pytest.raises(InputError, match="do not go together"):
        colour_likeness(striped(RED)[None], torch.ones(1, 1, 4, 4))


def slowly_unlike(nearest: list[int], likeness: torch.Tensor, count: int) -> list[int]:
    """Farthest-first, one input, one candidate at a time."""
    taken = nearest[:1]
    while len(taken) < count:
        left = [k for k in nearest if k not in taken]
        taken.append(min(left, key=lambda k: max(float(likeness[k, other]) for other in taken)))
    return taken


@given(m=st.integers(3, 30), k=st.integers(1, 12), seed=st.integers(0, 99))
def test_unlike_references_are_those_of_the_slow_way(m, k, seed):
    k, generator = min(k, m), torch.Generator().manual_seed(seed)
    nearest, likeness = torch.rand(4, m, generator=generator).argsort(dim=1)[:, :k], likeness_of(m)
    for count in {1, k // 2 + 1, k}:
        found = unlike(nearest, likeness, count).tolist()
        assert found == [slowly_unlike(row, likeness, count) for row in nearest.tolist()]


def test_no_more_unlike_references_than_there_are():
    with pytest.raises(InputError, match="6 of 5 references: take from 1 to 5"):
        unlike(torch.arange(5)[None], likeness_of(5), 6)
