"""The figures that several notebooks share."""

import matplotlib.pyplot as plt
import numpy as np
import torch

from segin_core.book.figures import image_grid
from segin_core.data.images import to_bytes


def test_a_grid_shows_bytes_as_the_pictures_they_stand_for():
    picture = torch.rand(3, 8, 8) * 2 - 1
    figure = image_grid([[picture, to_bytes(picture), None]], ["floats", "bytes", "nothing"])
    first, second = (axis.get_images()[0].get_array() for axis in figure.axes[:2])
    assert np.array_equal(first, second) and not figure.axes[2].get_images()
    plt.close(figure)
