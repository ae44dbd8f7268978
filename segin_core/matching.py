"""The semantic match S (Section III-A): Eq. 1 finds each patch of x in r, Eq. 2 pastes r's pixels there."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import torch
from einops import rearrange, reduce
from torch import Tensor
from torch.nn import functional as F

from segin_core.errors import InputError, check_pictures
from segin_core.vgg import VGGFeatures, layer_stride

Grid = tuple[int, int]
BLOCK = 2**22  # similarities held at once: 16 MB in fp32, so that the shifted additions stay in the processor's cache
EPSILON = 1e-12


class Auxiliary(NamedTuple):
    """W(x, r) of Eq. 2 with the match it was pasted from."""

    image: Tensor  #: W, b 3 h w in [-1, 1]
    index: Tensor  #: xi of Eq. 1, b n: for each cell of x's grid the cell of r's grid, both row-major
    score: Tensor  #: the cosine of each match, b n in [0, 1] (VGG features are not negative)
    grid: Grid  #: rows and columns of x's grid, n = rows * columns


Matcher = Callable[[Tensor, Tensor], Auxiliary]  # (x, r) -> W(x, r): a partial of `auxiliary_image`, or another match


class Reference(NamedTuple):
    """A reference made ready for many inputs by `prepare_reference`."""

    image: Tensor  #: r padded to whole cells, b 3 h w in [-1, 1]
    features: Tensor  #: Phi(r), b c h/delta w/delta in fp32
    layer: str  #: where Phi was taken, such as "relu4_1"


def match(fx: Tensor, fr: Tensor, patch: int = 3) -> tuple[Tensor, Tensor]:
    """Eq. 1: for every k x k feature patch of x the most similar patch of r by cosine.

    fx: b c h w and fr: b c h' w' may differ in size; patches are centred on the cells of a zero-padded map, `patch` is
    odd. Returns `index` and `score`, both b n with n = h * w: row-major positions in r's grid, and cosines.

    Exact without unfolding: a patch's scalar product is the sum of the 1 x 1 products along the diagonal,
    sum_d <fx[p + d], fr[q + d]>, so one matrix product and then k - 1 shifted additions per axis give all of them.
    As many rows of x at a time as fit in BLOCK, so memory does not grow with x's height. Raises InputError for an even
    patch, or maps that do not go together.
    """
    if patch < 1 or patch % 2 == 0:
        raise InputError(f"patch={patch}: the patch size k of Eq. 1 must be odd and positive, such as 1, 3 or 5")
    if fx.ndim != 4 or fr.ndim != 4 or fx.shape[:2] != fr.shape[:2]:
        raise InputError(
            f"features of shape {tuple(fx.shape)} and {tuple(fr.shape)} cannot be matched; "
            "both must be b c h w with the same b and c"
        )
    if min(*fx.shape[2:], *fr.shape[2:]) < patch:
        raise InputError(
            f"feature maps of {fx.shape[2]} x {fx.shape[3]} and {fr.shape[2]} x {fr.shape[3]} cells are smaller than a "
            f"patch of {patch} x {patch}; use larger images, a shallower layer or a smaller patch"
        )
    with torch.no_grad(), torch.autocast(fx.device.type, enabled=False):  # similarities in bf16 would tie
        found = [_match_one(x.float(), r.float(), patch) for x, r in zip(fx, fr, strict=True)]
    return torch.stack([index for index, _ in found]), torch.stack([score for _, score in found])


def _match_one(fx: Tensor, fr: Tensor, patch: int) -> tuple[Tensor, Tensor]:
    """Eq. 1 for one pair: fx c h w, fr c h' w' -> index and score, both of length h * w."""
    (_, height, width), radius, grid_r = fx.shape, patch // 2, fr.shape[1:]
    rows = min(height, max(1, BLOCK // (width * math.prod(grid_r))))
    x, r = (rearrange(each, "c h w -> c (h w)") for each in (F.pad(fx, (0, 0, radius, radius)), fr))
    norm_x, norm_r = patch_norms(fx, patch), patch_norms(fr, patch)
    # Three blocks serve all chunks: fresh memory for each would cost as much time as the additions.
    products = fx.new_empty(rows + 2 * radius, width, *grid_r)
    vertical, total = fx.new_empty(2, rows, width, *grid_r)
    index, score = torch.empty_like(norm_x, dtype=torch.long), torch.empty_like(norm_x)
    for top in range(0, height, rows):
        bottom = min(top + rows, height)
        count, known = bottom - top, 2 * radius if top else 0
        products[:known] = products[rows : rows + known].clone()  # the last rows of the chunk before are needed again
        strip = x[:, (top + known) * width : (bottom + 2 * radius) * width]
        torch.mm(strip.T, r, out=products[known : count + 2 * radius].view(-1, r.shape[1]))
        similarity = _sum_along_diagonals(products[: count + 2 * radius], vertical[:count], total[:count])
        score[top:bottom], index[top:bottom] = _best(similarity.div_(norm_r))
    return index.flatten(), (score / norm_x).flatten()


def _best(similarity: Tensor) -> tuple[Tensor, Tensor]:
    """The highest of h w h' w' over r's grid and its row-major place there, both h w; the first one of a tie.

    First the row, then the place in that row: torch finds a maximum much faster than where it lies.
    """
    score, row = similarity.amax(dim=3).max(dim=2)
    in_row = torch.take_along_dim(similarity, row[..., None, None], dim=2)
    return score, row * similarity.shape[3] + in_row.argmax(dim=3)[..., 0]


def patch_norms(features: Tensor, patch: int) -> Tensor:
    """|kappa(Phi)_i| of Eq. 1: the Euclidean norm of every k x k patch of a zero-padded map, c h w -> h w."""
    energy = reduce(features.float() ** 2, "c h w -> 1 1 h w", "sum")
    summed = F.avg_pool2d(energy, patch, stride=1, padding=patch // 2, divisor_override=1)
    return summed[0, 0].sqrt().clamp_min(EPSILON)


def _sum_along_diagonals(products: Tensor, vertical: Tensor, total: Tensor) -> Tensor:
    """Sum over d of products[p + d, q + d]: (h + 2 radius) w h' w' -> h w h' w'; what lies outside counts as zero.

    `vertical` (the sums over rows alone) and `total`, which is returned, are the memory to work in, h w h' w' both.
    """
    height, width, rows_r, columns_r = total.shape
    radius = (len(products) - height) // 2
    vertical.copy_(products[radius : radius + height])
    shifts = [d for d in range(-radius, radius + 1) if d]
    for d in shifts:
        to, take = _overlap(rows_r, d)
        vertical[:, :, to] += products[radius + d : radius + d + height, :, take]
    total.copy_(vertical)
    for d in shifts:
        (to_x, take_x), (to_r, take_r) = _overlap(width, d), _overlap(columns_r, d)
        total[:, to_x, :, to_r] += vertical[:, take_x, :, take_r]
    return total


def _overlap(length: int, shift: int) -> tuple[slice, slice]:
    """Where position i and i + shift both lie inside: the slices of i and of i + shift."""
    inside = slice(max(0, -shift), length - max(0, shift))
    return inside, slice(inside.start + shift, inside.stop + shift)


def warp(
    reference: Tensor, index: Tensor, grid: Grid, patch: int = 3, blend: str = "paste", *,
    reference_grid: Grid | None = None,
) -> Tensor:  # fmt: skip
    """Eq. 2: kappa(W)_i = kappa(r)_xi(i), the pixels of r pasted where Eq. 1 says.

    reference: b c H W in [-1, 1]; index: b n from `match`; grid: rows and columns of x, n of them; reference_grid:
    those of r (default: the same). One cell is delta x delta pixels, delta = H / rows of r's grid. Returns b c
    (rows * delta) (columns * delta).

    Paper: patches of delta k x delta k are pasted, how overlaps are resolved is not said. / Here: `blend="paste"`
    pastes the centre cell of each matched patch, nothing overlaps (the released draft's way, `patch` plays no part);
    `blend="average"` pastes whole patches and averages where they overlap. Raises InputError on sizes that do not fit.
    """
    if blend not in ("paste", "average"):
        raise InputError(f"blend={blend!r} is unknown; choose 'paste' or 'average'")
    rows_r, columns_r = reference_grid or grid
    if reference.shape[2] % rows_r or reference.shape[3] % columns_r or index.shape[1] != math.prod(grid):
        raise InputError(
            f"an index of {index.shape[1]} cells on a {grid[0]} x {grid[1]} grid does not fit a reference of "
            f"{reference.shape[2]} x {reference.shape[3]} pixels with {rows_r} x {columns_r} cells"
        )
    cells = rearrange(reference, "b c (i y) (j x) -> b (i j) (c y x)", i=rows_r, j=columns_r)
    if blend == "paste" or patch == 1:
        pasted = _take(cells, index)
    else:
        pasted = _average_overlaps(cells, index, grid, (rows_r, columns_r), patch)
    delta = reference.shape[2] // rows_r
    return rearrange(pasted, "b (i j) (c y x) -> b c (i y) (j x)", i=grid[0], c=reference.shape[1], y=delta, j=grid[1])


def _take(cells: Tensor, index: Tensor) -> Tensor:
    return torch.gather(cells, 1, index[..., None].expand(-1, -1, cells.shape[2]))


def _average_overlaps(cells: Tensor, index: Tensor, grid: Grid, grid_r: Grid, patch: int) -> Tensor:
    """Each cell of W is the mean of what the patches over it paste there, as far as they lie inside r."""
    counted = torch.cat([cells, torch.ones_like(cells[:, :, :1])], 2)  # the last channel tells inside from padding
    patches = F.unfold(rearrange(counted, "b (i j) c -> b c i j", i=grid_r[0]), patch, padding=patch // 2)
    pasted = rearrange(_take(rearrange(patches, "b c n -> b n c"), index), "b n c -> b c n")
    summed = F.fold(pasted, grid, patch, padding=patch // 2)
    return rearrange(summed[:, :-1] / summed[:, -1:], "b c i j -> b (i j) c")


def prepare_reference(r: Tensor, features: VGGFeatures, *, layer: str = "relu4_1") -> Reference:
    """What Eq. 1 and 2 need of a reference r: b 3 h w in [-1, 1]. Many inputs then share its pass through the VGG.

    Raises InputError for pictures of another kind, and a layer that `features` does not give.
    """
    check_pictures(r, channels=(3,))
    padded = pad_to_multiple(r.float(), layer_stride(layer))
    return Reference(padded, _features_at(padded, features, layer).float(), layer)


def _features_at(images: Tensor, features: VGGFeatures, layer: str) -> Tensor:
    """Phi of Eq. 1 at one layer: b c h/delta w/delta, or InputError if these features lack it."""
    with torch.no_grad():
        found = features(images)
    if layer not in found:
        given = ", ".join(found)
        raise InputError(f"layer={layer!r} is not among the features' own ({given}); choose one, or make others")
    return found[layer]


def auxiliary_image(
    x: Tensor, r: Tensor | Reference, features: VGGFeatures, *, layer: str = "relu4_1", patch: int = 3,
    blend: str = "paste",
) -> Auxiliary:  # fmt: skip
    """S of Fig. 3: W(x, r), Eq. 1 and Eq. 2 together.

    x: b 1 h w or b 3 h w, r: b 3 h' w', both in [-1, 1], any size (padded with their own edge to whole cells; W is cut
    back to x's size). r may also be what `prepare_reference` made of it, and one reference serves any number of inputs.
    Paper: the layer and k are not named. / Here: relu4_1 and 3 x 3 by default.

    Fastest on a CPU with `features.to(memory_format=torch.channels_last)`, called under
    `torch.autocast("cpu", torch.bfloat16)`: the VGG then computes in bf16, the match itself stays in fp32.
    Raises InputError for pictures of another kind (see `check_pictures`), a patch or blend that there is not, a layer
    that `features` does not give, and a reference prepared at another one.
    """
    check_pictures(x)
    if isinstance(r, Tensor):
        r = prepare_reference(r, features, layer=layer)
    if r.layer != layer:
        raise InputError(
            f"the reference was prepared at {r.layer}, not at {layer}; prepare it again with layer={layer!r}"
        )
    fx = _features_at(pad_to_multiple(x.float(), layer_stride(layer)), features, layer)
    image, fr = (each.expand(len(x), -1, -1, -1) if len(each) == 1 else each for each in (r.image, r.features))
    index, score = match(fx, fr, patch)
    grid, grid_r = (fx.shape[2], fx.shape[3]), (fr.shape[2], fr.shape[3])
    w = warp(image, index, grid, patch, blend, reference_grid=grid_r)
    return Auxiliary(w[:, :, : x.shape[2], : x.shape[3]], index, score, grid)


def pad_to_multiple(images: Tensor, multiple: int) -> Tensor:
    """Images b c h w with their last row and column repeated until both sides are multiples of `multiple`."""
    height, width = images.shape[2:]
    return F.pad(images, (0, -width % multiple, 0, -height % multiple), mode="replicate")
