"""Print the bytes of memory that variants of S hold at most beyond what was loaded: layer, patch, px:name ..."""

from __future__ import annotations

import sys

import torch
from timing import peak_while
from variants import images, variants

from segin_core.vgg import VGGFeatures


def main() -> None:
    """Run the variants one after the other, in this process alone; a line for each."""
    layer, patch, *wanted = sys.argv[1:]
    features = VGGFeatures(layers=(layer,)).to(memory_format=torch.channels_last)
    for size, _, name in (word.partition(":") for word in wanted):
        runs = variants(*images(int(size), seed=0), features, layer=layer, patch=int(patch))
        print(peak_while(runs[name]))


if __name__ == "__main__":
    main()
