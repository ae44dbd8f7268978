"""How far off the colours are, at the places that are asked about."""

import torch
from skimage.color import deltaE_ciede2000
from torch import Tensor

from segin_core.errors import InputError, check_pictures
from segin_core.metrics.lab import lab
from segin_core.metrics.regions import mean_over_regions


def colour_error(images: Tensor, truth: Tensor, *, places: Tensor) -> Tensor:
    """Mean CIEDE2000 between images and the true ones over the places (Sharma, Wu, Dalal, 2005); b values >= 0.

    images, truth: b 3 h w in [-1, 1]; places: b 1 h w in [0, 1], those above one half count, such as
    `places.unguided`. 2.3 is hardly seen, 100 is black against white. Raises InputError for pictures that do not go
    together, and for one without a place. Not in the paper, which shows by eye that colours spread.
    """
    check_pictures(images, truth, channels=(3,))
    check_pictures(images[:, :1], places, channels=(1,))
    inside = places[:, 0].detach().cpu() > 0.5
    if not (some := inside.flatten(1).any(dim=1)).all():
        raise InputError(f"picture {some.tolist().index(False)} has no place that counts: leave it out")
    off = torch.zeros(inside.shape, dtype=torch.double)
    found = deltaE_ciede2000(lab(images)[inside].double().numpy(), lab(truth)[inside].double().numpy())
    off[inside] = torch.from_numpy(found)
    return mean_over_regions(off, inside.long())
