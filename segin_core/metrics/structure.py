"""Does the output have its edges where x has its lines?"""

from torch import Tensor

from segin_core.errors import check_pictures
from segin_core.metrics.pixel import broken_edges


def structure(images: Tensor, x: Tensor, *, tolerance: int = 1) -> Tensor:
    """F of the edges of images against those of the sketches x, within `tolerance` pixels; b numbers in [0, 1].

    images: b 3 h w, x: b 1 h w, both in [-1, 1] and meant for 64 px, where a line is one pixel or two wide. The
    harmonic mean of precision (edges of ours with one of x within `tolerance` pixels) and recall (the other way round):
    `broken_edges` against x instead of the truth, so that a line's two sides are two edges in both. Raises InputError
    for pictures that do not go together.

    Not in the paper, which judges by eye. What cannot win it: r itself and whatever else has not x's shape (0.60 for
    drawings that are moved, 0.38 for photos). The truth gets 0.99 on drawings (fills that meet without a line have an
    edge more), 0.91 on photos of shoes (they have texture that x leaves out, and x has lines whose two sides hardly
    differ in colour) and 0.80 where x is another colourway's. So compare with the truth's value, not with 1. What it
    cannot see: colours. x itself has 1, and a tint 0.99: read it beside a measure of colours, never alone.
    """
    check_pictures(images, channels=(3,))
    check_pictures(x, images[:, :1], channels=(1,))
    return 1 - broken_edges(images, x.expand_as(images), tolerance=tolerance)
