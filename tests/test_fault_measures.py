"""The measures of the chapter on ablations: of surfaces, borders and places without guidance, against slow versions."""

import numpy as np
import pytest
import torch
from skimage.color import deltaE_ciede2000, rgb2lab

from segin_core.errors import InputError
from segin_core.metrics import border, colour_error, interior, mean_gradient, mottling, segments, unguided

SIDE = 24


def picture(seed: int, count: int = 2) -> torch.Tensor:
    return torch.rand(count, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(seed)) * 2 - 1


def disc(radius: float = 8.0) -> torch.Tensor:
    """A mask 2 1 h w of a disc in the middle."""
    y, x = torch.meshgrid(*[torch.arange(SIDE) - SIDE // 2] * 2, indexing="ij")
    return ((x**2 + y**2) <= radius**2).float().expand(2, 1, -1, -1)


def sketch() -> torch.Tensor:
    """x with one vertical line through the middle."""
    x = torch.ones(2, 1, SIDE, SIDE)
    x[..., SIDE // 2] = -1
    return x


def near(places: torch.Tensor, row: int, column: int, pixels: int) -> torch.Tensor:
    """The square around a pixel, as far as it lies in the picture."""
    return places[max(0, row - pixels) : row + pixels + 1, max(0, column - pixels) : column + pixels + 1]


def test_interior_and_border_are_those_of_the_slow_way():
    mask, x = disc(), sketch()
    found = interior(x, mask)[0, 0], border(mask, pixels=3)[0, 0]
    for row in range(SIDE):
        for column in range(SIDE):
            inside, ink = mask[0, 0] > 0.5, x[0, 0] <= 0.9
            assert found[0][row, column] == (inside[row, column] and not near(ink, row, column, 1).any())
            around = near(inside, row, column, 3)
            assert found[1][row, column] == (around.any() and not around.all())
    assert border(torch.ones(1, 1, 8, 8)).sum() == 0, "the picture's frame is no border"
    with pytest.raises(InputError, match="1 pixel wide"):
        border(mask, pixels=0)


def test_unguided_is_where_background_lies_in_the_object():
    truth, mask, x = torch.zeros(2, 3, SIDE, SIDE), disc(), sketch()
    w = torch.zeros_like(truth)
    assert unguided(w, truth, x=x, mask=mask).sum() == 0
    w[:, :, 10] = 1
    truth[1, :, 10, 9] = 0.8  # nearly white is right there
    found = unguided(w, truth, x=x, mask=mask)
    assert found[0, 0].nonzero().unique(dim=0)[:, 0].unique().tolist() == [10]
    assert found[0].sum() == mask[0, 0, 10].sum() - 1, "not on the line"
    assert found[0].sum() - found[1].sum() == 1
    with pytest.raises(InputError, match="do not go together"):
        unguided(w, truth, x=x[..., 1:], mask=mask)


def test_colour_error_is_the_mean_ciede2000_at_the_places():
    a, b, places = picture(0), picture(1), disc()
    as_lab = [rgb2lab(each.numpy().transpose(0, 2, 3, 1) / 2 + 0.5) for each in (a, b)]
    inside = places[0, 0].bool().numpy()
    wanted = [deltaE_ciede2000(one[inside], two[inside]).mean() for one, two in zip(*as_lab, strict=True)]
    assert colour_error(a, b, places=places).tolist() == pytest.approx(wanted, rel=1e-4)
    assert colour_error(a, torch.where(places > 0, a, b), places=places).max() < 1e-3, "nothing else counts"
    with pytest.raises(InputError, match="picture 1 has no place"):
        colour_error(a, b, places=torch.stack([places[0], 0 * places[0]]))


def test_mottling_is_the_spread_of_colour_within_regions():
    images, regions = picture(2), torch.zeros(2, SIDE, SIDE, dtype=torch.long)
    regions[:, :8], regions[:, 8:12] = 1, 3  # there is no second one
    chroma = rgb2lab(images.numpy().transpose(0, 2, 3, 1) / 2 + 0.5)[..., 1:]
    wanted = [
        np.mean([chroma[i][regions[i] == k].var(axis=0).sum() ** 0.5 for k in (1, 3)]) for i in range(len(images))
    ]
    assert mottling(images, regions=regions).tolist() == pytest.approx(wanted, rel=1e-4)
    yellow_and_white = torch.full_like(images, 0.9)
    yellow_and_white[:, 2, ::2] = -0.5
    plain = torch.full_like(images, 0.3)
    shaded = torch.linspace(-0.5, 0.5, SIDE).expand_as(images)
    patches, none, shade = (mottling(each, regions=regions).max().item() for each in (yellow_and_white, plain, shaded))
    assert patches > 20 and none < 1e-3 and shade < 0.1, "grey shading is no mottling"
    with pytest.raises(InputError, match="whole numbers"):
        mottling(images, regions=regions.float())


def test_segments_keep_to_colours_and_to_the_mask():
    halves, mask = torch.full((2, 3, SIDE, SIDE), -0.8), disc()
    halves[:, 0, :, 12:] = 0.9
    found = segments(halves, mask, count=4)
    assert ((found > 0) == (mask[:, 0] > 0)).all()
    left, right = (set(part.unique().tolist()) - {0} for part in (found[0, :, :12], found[0, :, 12:]))
    assert left and right and not left & right
    assert mottling(halves, regions=found).max() < 1e-3
    with pytest.raises(InputError, match="all have an object"):
        segments(halves, 0 * mask)


def test_mean_gradient_counts_only_the_places():
    images, places = picture(3), disc()
    halved = images / 2
    wanted = torch.zeros(2)
    rows, columns = places[0, 0].nonzero().T
    for row, column in zip(rows.tolist(), columns.tolist(), strict=True):
        across = halved[:, :, row, column + 1] - halved[:, :, row, column]
        down = halved[:, :, row + 1, column] - halved[:, :, row, column]
        wanted += (across**2 + down**2).sum(1).sqrt() / len(rows)
    torch.testing.assert_close(mean_gradient(images, places), wanted)
    torch.testing.assert_close(mean_gradient(images, torch.ones_like(places)), mean_gradient(images))
    assert mean_gradient(images, 0 * places).tolist() == [0, 0]
