"""Distances between images and between sets of images, each under its own name."""

from segin_core.metrics.features import efficientnet_features, inception_features
from segin_core.metrics.frechet import frechet_distance, kid
from segin_core.metrics.local_style import grid_regions, local_style
from segin_core.metrics.part_colours import part_colours, part_delta_e
from segin_core.metrics.perceptual import diversity, lpips_distance
from segin_core.metrics.pixel import broken_edges, l1, l1_off_the_lines, mean_gradient
from segin_core.metrics.retrieval import double_retrieval
from segin_core.metrics.shift_tolerant import st_lpips
from segin_core.metrics.structure import structure

__all__ = ["broken_edges", "diversity", "double_retrieval", "efficientnet_features", "frechet_distance"]
__all__ += ["grid_regions", "inception_features", "kid", "l1", "l1_off_the_lines", "local_style", "lpips_distance"]
__all__ += ["mean_gradient", "part_colours", "part_delta_e", "st_lpips", "structure"]
