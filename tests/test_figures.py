"""The figures that several notebooks share."""

import matplotlib.pyplot as plt
import numpy as np
import torch

from segin_core.book.figures import image_grid, reference_grid
from segin_core.data.images import to_bytes


def test_a_grid_shows_bytes_as_the_pictures_they_stand_for():
    picture = torch.rand(3, 8, 8) * 2 - 1
    figure = image_grid([[picture, to_bytes(picture), None]], ["floats", "bytes", "nothing"])
    first, second = (axis.get_images()[0].get_array() for axis in figure.axes[:2])
    assert np.array_equal(first, second) and not figure.axes[2].get_images()
    plt.close(figure)


def test_results_stand_under_their_references():
    x, y, *rest = (torch.full((3, 8, 8), value) for value in torch.linspace(-1, 1, 6))
    figure = reference_grid([(x, y, rest[:2], rest[2:])], title="greys")
    shown = [[axis.get_images() and axis.get_images()[0].get_array()[0, 0, 0] for axis in row]
             for row in np.array(figure.axes).reshape(2, 4)]  # fmt: skip
    assert shown == [[[], [], 102, 153], [0, 51, 204, 255]]
    assert [axis.get_title() for axis in figure.axes[:4]] == ["Input", "GT", "1", "2"]
    plt.close(figure)
