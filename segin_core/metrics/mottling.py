"""Is a surface of one colour where it should be, or mottled?"""

import numpy as np
import torch
from skimage.segmentation import slic
from torch import Tensor

from segin_core.data.images import to_pil
from segin_core.errors import InputError, check_pictures
from segin_core.metrics.lab import lab
from segin_core.metrics.regions import at_regions, large_enough, region_means


def mottling(images: Tensor, *, regions: Tensor) -> Tensor:
    """Standard deviation of the hue and chroma within a region, mean over the regions of each picture; b values >= 0.

    images: b 3 h w in [-1, 1]; regions: b h w, whole numbers, 0 for what is not looked at: parts where they are known,
    else `segments` of the right answer. In units of CIELAB, along a* and b* alone: shading changes L*, patches of
    white and yellow change b*. Regions of less than 0.2 % of the picture are left out. Raises InputError for what does
    not go together and for a picture without a region.

    Not in the paper, which says of a shoe that it is "mottled with white and yellow patches" (Section IV-C). It sees no
    wrong colour as long as it is the same all over: a tint has 0. So read it beside a measure of colours.
    """
    check_pictures(images, channels=(3,))
    if regions.shape != images[:, 0].shape or regions.is_floating_point():
        raise InputError(f"regions of shape {tuple(regions.shape)} do not go with the pictures: whole numbers b h w")
    regions, colours = large_enough(regions.detach().cpu().long()), lab(images)[..., 1:].double()
    means = torch.stack([region_means(part, regions) for part in colours.unbind(-1)], dim=-1)
    off = ((colours - at_regions(means, regions)) ** 2).sum(dim=-1)
    return region_means(off, regions).sqrt().nanmean(dim=1).float()


def segments(pictures: Tensor, mask: Tensor, *, count: int = 16) -> Tensor:
    """About `count` surfaces of nearly one colour inside the mask: b h w, from 1, and 0 off the mask.

    SLIC's superpixels (Achanta et al., 2012), for photos, whose parts nobody has marked. pictures: b 3 h w in [-1, 1];
    mask: b 1 h w in [0, 1], the object above one half. Raises InputError for what does not go together, a count below 1
    and a mask without an object.
    """
    check_pictures(pictures, channels=(3,))
    check_pictures(pictures[:, :1], mask, channels=(1,))
    inside = mask[:, 0].detach().cpu() > 0.5
    if count < 1 or not inside.flatten(1).any(dim=1).all():
        raise InputError(f"count={count}: ask for 1 surface or more, of masks that all have an object")
    found = [
        slic(np.asarray(to_pil(picture)), n_segments=count, mask=where.numpy(), start_label=1)
        for picture, where in zip(pictures.detach().cpu(), inside, strict=True)
    ]
    return torch.from_numpy(np.stack(found))
