"""Did each part of x get the right colour? For pictures whose parts and their right colours are known."""

import torch
from einops import rearrange
from skimage.color import deltaE_ciede2000
from torch import Tensor

from segin_core.errors import InputError, check_pictures
from segin_core.metrics.lab import JUST_NOTICED, WHITE, lab
from segin_core.metrics.pixel import BLANK
from segin_core.metrics.regions import at_regions, large_enough, mean_over_regions


def part_colours(images: Tensor, labels: Tensor, colours: Tensor, *, x: Tensor) -> Tensor:
    """Share of a part's pixels whose colour is right, mean over the parts of x; b values in [0, 1].

    Right is what lies nearer to the part's colour than half the distance to the nearest *other* colour of this
    picture's palette, which are the colours of its other parts and the background's white: such a pixel is nearer to
    its own colour than to any other. Distances are Euclidean in CIELAB (in CIEDE2000, which obeys no triangle
    inequality, half a distance would not say that); colours less than `JUST_NOTICED` apart are one and the same.

    images: b 3 h w in [-1, 1]; x: b 1 h w in [-1, 1]; labels: b h w, whole numbers, 1 ... k for parts, others are not
    looked at; colours: b k 3 in [-1, 1], NaN for a part without a right colour. Which pixels count: `counted_parts`.
    Raises InputError for what does not go together, and for a picture without a part that counts or with white alone.

    Not in the paper, which shows by eye that parts take the colours of the same parts. What cannot win it: r itself,
    where r is moved (in x's own place r would win), nor one tint, right for one part at most. On moved drawings (on
    avatars) r gets 0.20 (0.25), a tint 0.06 (0.10), x in another palette 0.21 (0.10) and the truth 0.98 (1.00): where
    fills meet without a line, pixels are of neither colour. It sees neither lines nor background: read it beside
    `structure`.
    """
    check_pictures(images[:, :1], x, channels=(1,))
    part, right = counted_parts(labels, colours, x=x), _in_lab(colours)
    palette = torch.cat([torch.tensor(WHITE).expand(len(right), 1, 3), right], dim=1)
    apart = torch.cdist(palette, palette)
    reach = apart.where(apart >= JUST_NOTICED, torch.inf).amin(dim=2)[:, 1:] / 2
    if reach.isinf().any():
        raise InputError("a picture's only colour is the background's white: any colour would be right, leave it out")
    off = (lab(images) - at_regions(right, part)).norm(dim=-1)
    return mean_over_regions(off < at_regions(reach, part), part)


def part_delta_e(images: Tensor, labels: Tensor, colours: Tensor, *, x: Tensor) -> Tensor:
    """Mean CIEDE2000 between a part's pixels and its right colour, mean over the parts of x; b values >= 0.

    Arguments, what counts and errors: as `part_colours`. `JUST_NOTICED` is hardly seen, 100 is black against white
    (Sharma, Wu, Dalal: The CIEDE2000 color-difference formula, 2005). Without a threshold it tells pale from wrong,
    but it is kind to grey: on moved drawings a tint gets 38, r itself 39, another palette 53 and the truth 1.
    """
    check_pictures(images[:, :1], x, channels=(1,))
    part = counted_parts(labels, colours, x=x)
    off = deltaE_ciede2000(at_regions(_in_lab(colours), part).numpy(), lab(images).numpy())
    return mean_over_regions(torch.from_numpy(off), part)


def counted_parts(labels: Tensor, colours: Tensor, *, x: Tensor) -> Tensor:
    """The labels b h w where they count, else 0: off the lines of x, in parts that have a right colour and some size.

    Arguments and errors: as `part_colours`; a part with less than 0.2 % of the pixels off the lines is left out.
    """
    check_pictures(x, channels=(1,))
    labels, colours, x = (each.detach().cpu() for each in (labels, colours, x))
    fit = labels.shape == x[:, 0].shape and colours.ndim == 3 and len(colours) == len(x) and colours.shape[2] == 3
    if not fit or labels.is_floating_point() or labels.max() > colours.shape[1]:
        raise InputError(
            f"labels of shape {tuple(labels.shape)} and colours of shape {tuple(colours.shape)} do not go with x of "
            f"shape {tuple(x.shape)}: give whole numbers b h w up to k, and k colours for each picture, b k 3"
        )
    part = labels.long().clamp_min(0).where(x[:, 0] > BLANK, 0)
    return large_enough(part.where(at_regions(colours.isfinite().all(dim=2), part), 0))


def _in_lab(colours: Tensor) -> Tensor:
    """Colours b k 3 in CIELAB; those that are not known are white, which every palette holds."""
    pictures = rearrange(colours.nan_to_num(1.0), "b k c -> b c k 1")
    return rearrange(lab(pictures), "b k 1 c -> b k c")
