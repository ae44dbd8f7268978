"""SEGIN (Semantic Example Guided Image-to-Image Translation) rebuilt from its paper, one file per concept.

The paper: arXiv 1909.13028, IEEE Transactions on Multimedia 23:1654-1665. The modules at this level are the paper and
need nothing of the book; the folders are what an experiment needs besides. Imports go one way: a module imports from
its own place in the row `errors` < the paper, `data`, `running` < `metrics` < `evaluation` < `baselines`, `beyond` <
`translate` < `book`, `own`, or from a place before it, and never in a circle.
"""

__version__ = "0.1.0"
