"""Distances between images and between sets of images, each under its own name."""

from segin_core.metrics.colour_error import colour_error
from segin_core.metrics.features import efficientnet_features, inception_features
from segin_core.metrics.frechet import frechet_distance, kid
from segin_core.metrics.local_style import grid_regions, local_style
from segin_core.metrics.mottling import mottling, segments
from segin_core.metrics.part_colours import part_colours, part_delta_e
from segin_core.metrics.perceptual import diversity, lpips_distance
from segin_core.metrics.pixel import broken_edges, l1, l1_off_the_lines, mean_gradient
from segin_core.metrics.places import border, interior, unguided
from segin_core.metrics.retrieval import double_retrieval
from segin_core.metrics.shift_tolerant import st_lpips
from segin_core.metrics.structure import structure

__all__ = ["border", "broken_edges", "colour_error", "diversity", "double_retrieval", "efficientnet_features"]
__all__ += ["frechet_distance", "grid_regions", "inception_features", "interior", "kid", "l1", "l1_off_the_lines"]
__all__ += ["local_style", "lpips_distance", "mean_gradient", "mottling", "part_colours", "part_delta_e", "segments"]
__all__ += ["st_lpips", "structure", "unguided"]
