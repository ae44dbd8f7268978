"""Figures that more than one notebook shows."""

from __future__ import annotations

from collections.abc import Sequence

import matplotlib.pyplot as plt
import torch
from matplotlib.figure import Figure
from torch import Tensor, nn

from segin_core.data.images import from_bytes, to_pil

# Okabe and Ito's palette: told apart by colour-blind readers and in greyscale print.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")


def image_grid(
    rows: Sequence[Sequence[Tensor | None]], columns: Sequence[str], *, row_labels: Sequence[str] = (),
    cell: float = 1.1,
) -> Figure:  # fmt: skip
    """A labelled grid of pictures. rows: lists of c h w tensors, bytes or in [-1, 1], c = 1 or 3 (None: no picture).

    columns: one title each, over the first row; row_labels: at the left; cell: width of a picture in inches.
    """
    size = cell * len(columns), cell * len(rows) + 0.3
    figure, axes = plt.subplots(len(rows), len(columns), figsize=size, squeeze=False, layout="constrained")
    figure.get_layout_engine().set(w_pad=0.01, h_pad=0.01, wspace=0.02, hspace=0.02)
    for i, row in enumerate(rows):
        for j, axis in enumerate(axes[i]):
            axis.set(xticks=[], yticks=[])
            shown = j < len(row) and row[j] is not None
            axis.spines[:].set(color="0.8", linewidth=0.5, visible=shown)
            if shown:
                picture = from_bytes(row[j]) if row[j].dtype == torch.uint8 else row[j]
                axis.imshow(to_pil(picture), cmap="gray", vmin=0, vmax=255)
            if i == 0:
                axis.set_title(columns[j], fontsize=9)
        if i < len(row_labels):
            axes[i][0].set_ylabel(row_labels[i], fontsize=9)
    return figure


def reference_grid(
    cases: Sequence[tuple[Tensor, Tensor, Sequence[Tensor], Sequence[Tensor]]], *, title: str = "", cell: float = 1.25
) -> Figure:
    """Results under their references, as the paper's Fig. 5, 7 and 8 have them.

    cases: x, y, some references (as many for each) and the result under each, pictures as in `image_grid`. Two rows
    each: the references; the input, its own picture and the results. title: of the whole figure.
    """
    rows = [row for x, y, references, results in cases for row in ([None, None, *references], [x, y, *results])]
    heads = ["Input", "GT", *(str(k + 1) for k in range(len(cases[0][2])))]
    figure = image_grid(rows, heads, row_labels=["Ref", "Result"] * len(cases), cell=cell)
    if title:
        figure.suptitle(title, fontsize=10)
    return figure


def with_interval(score: object, digits: int = 4) -> str:
    """A table's cell from {"value": v, "interval": [low, high]}: "v [low, high]"; empty for what is no such score."""
    if not isinstance(score, dict):
        return ""
    low, high = score["interval"]
    return f"{score['value']:.{digits}f} [{low:.{digits}f}, {high:.{digits}f}]"


def count_weights(network: nn.Module) -> int:
    """How many numbers a network learns."""
    return sum(parameter.numel() for parameter in network.parameters())
