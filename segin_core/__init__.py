"""SEGIN (Semantic Example Guided Image-to-Image Translation) rebuilt from its paper, one file per concept.

The paper: arXiv 1909.13028, IEEE Transactions on Multimedia 23:1654-1665.
"""

__version__ = "0.1.0"
