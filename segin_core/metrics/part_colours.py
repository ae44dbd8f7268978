"""Did each part of x get the right colour? For pictures whose parts and their right colours are known."""

import torch
from einops import rearrange
from skimage.color import deltaE_ciede2000
from torch import Tensor

from segin_core.errors import InputError, check_pictures
from segin_core.metrics.lab import JUST_NOTICED, WHITE, lab
from segin_core.metrics.pixel import BLANK

LEAST = 0.002  # of the picture: a part with fewer pixels off the lines (8 at 64 px) is left out


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
    where r is moved (in x's own place r would win), nor one tint, right for one part at most. It sees neither lines nor
    background: read it beside `structure`.
    """
    check_pictures(images[:, :1], x, channels=(1,))
    part, right = counted_parts(labels, colours, x=x), _in_lab(colours)
    palette = torch.cat([torch.tensor(WHITE).expand(len(right), 1, 3), right], dim=1)
    apart = torch.cdist(palette, palette)
    reach = apart.where(apart >= JUST_NOTICED, torch.inf).amin(dim=2)[:, 1:] / 2
    if reach.isinf().any():
        raise InputError("a picture's only colour is the background's white: any colour would be right, leave it out")
    off = (lab(images) - _at_pixels(right, part)).norm(dim=-1)
    return _mean_over_parts(off < _at_pixels(reach, part), part)


def part_delta_e(images: Tensor, labels: Tensor, colours: Tensor, *, x: Tensor) -> Tensor:
    """Mean CIEDE2000 between a part's pixels and its right colour, mean over the parts of x; b values >= 0.

    Arguments, what counts and errors: as `part_colours`. `JUST_NOTICED` is hardly seen, 100 is black against white
    (Sharma, Wu, Dalal: The CIEDE2000 color-difference formula, 2005). Without a threshold it tells pale from wrong;
    so it is kinder to a tint in the middle of the palette, too.
    """
    check_pictures(images[:, :1], x, channels=(1,))
    part = counted_parts(labels, colours, x=x)
    off = deltaE_ciede2000(_at_pixels(_in_lab(colours), part).numpy(), lab(images).numpy())
    return _mean_over_parts(torch.from_numpy(off), part)


def counted_parts(labels: Tensor, colours: Tensor, *, x: Tensor) -> Tensor:
    """The labels b h w where they count, else 0: off the lines of x, parts with a right colour and a share of `LEAST`.

    Arguments and errors: as `part_colours`.
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
    enough = _sums(torch.ones(part.shape), part, colours.shape[1]) >= LEAST * part[0].numel()
    part = part.where(_at_pixels(enough & colours.isfinite().all(dim=2), part), 0)
    if not (part > 0).flatten(1).any(dim=1).all():
        empty = (part > 0).flatten(1).any(dim=1).tolist().index(False)
        raise InputError(f"picture {empty} shows no part with a right colour that is large enough: leave it out")
    return part


def _in_lab(colours: Tensor) -> Tensor:
    """Colours b k 3 in CIELAB; those that are not known are white, which every palette holds."""
    pictures = rearrange(colours.nan_to_num(1.0), "b k c -> b c k 1")
    return rearrange(lab(pictures), "b k 1 c -> b k c")


def _at_pixels(values: Tensor, part: Tensor) -> Tensor:
    """Values of the parts, b k or b k c, at each pixel: b h w or b h w c; where there is no part, any of them."""
    return values[torch.arange(len(part))[:, None, None], (part - 1).clamp_min(0)]


def _mean_over_parts(values: Tensor, part: Tensor) -> Tensor:
    """The mean over each part's pixels, then over the parts that there are: b h w to b."""
    k = int(part.max())
    return (_sums(values.double(), part, k) / _sums(torch.ones(part.shape), part, k)).nanmean(dim=1).float()


def _sums(values: Tensor, part: Tensor, k: int) -> Tensor:
    """Sums of values b h w over the pixels of part 1 ... k, b k."""
    sums = values.new_zeros(len(part), k + 1)
    return sums.scatter_add(1, part.flatten(1), values.flatten(1))[:, 1:]
