"""Who is paired with whom in the protocols."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from segin_core.errors import InputError
from segin_core.evaluation.protocol import choose_references


def likeness_of(n: int) -> torch.Tensor:
    points = torch.randn(n, 5, generator=torch.Generator().manual_seed(n))
    return torch.nn.functional.normalize(points, dim=1) @ torch.nn.functional.normalize(points, dim=1).T


@given(n=st.integers(6, 40), seed=st.integers(0, 9))
def test_nobody_is_its_own_reference(n, seed):
    found = choose_references(likeness_of(n), diverse=n // 2, per_input=4, few=3, seed=seed)
    own = torch.arange(n)
    assert (found.references != own[:, None]).all()
    assert (found.few[found.few_of] != own).all()
    assert all(len(set(row.tolist())) == 4 for row in found.references)
    assert len(set(found.few.tolist())) == 3 and len(set(found.diverse_inputs.tolist())) == n // 2


def test_few_references_are_shared_evenly():
    counts = choose_references(likeness_of(200), diverse=100, per_input=20, few=10, seed=0).few_of.bincount()
    assert counts.sum() == 200 and counts.min() >= 15 and counts.max() <= 25


def test_similar_references_are_the_tightest_group():
    likeness = torch.full((8, 8), 0.1).fill_diagonal_(1)
    for a in (2, 5, 6):
        for b in (2, 5, 6):
            likeness[a, b] = 0.9 if a != b else 1
    found = choose_references(likeness, diverse=4, per_input=3, few=2, seed=0)
    assert set(found.similar.tolist()) == {2, 5, 6}


def test_choice_depends_on_the_seed_alone():
    first, again, other = (
        choose_references(likeness_of(20), diverse=5, per_input=4, few=3, seed=s).references for s in (0, 0, 1)
    )
    assert torch.equal(first, again) and not torch.equal(first, other)


def test_too_few_pictures_are_refused():
    with pytest.raises(InputError, match="5 test pictures are not enough"):
        choose_references(likeness_of(5), diverse=5, per_input=20, few=3, seed=0)
