"""A tiny training run in a process of its own, for test_loop.py to kill: python tiny_run.py PAIRS FOLDER STEPS."""

import sys
from functools import partial
from pathlib import Path

import torch

from segin_core.corruption import corrupt
from segin_core.data.pairs import PairFolder
from segin_core.discriminator import Discriminator
from segin_core.losses import Weights
from segin_core.matching import auxiliary_image
from segin_core.running.identity import Identity
from segin_core.running.loop import Training, train
from segin_core.segin import SEGIN
from segin_core.self_supervision import SelfSupervision, self_matches
from segin_core.translator import Translator
from segin_core.vgg import VGGFeatures

RUN = {"identity": Identity({}, "data", "code"), "origin": {"commit": "first"}}  # for runs that differ in their folder


def tiny_method(**arguments) -> SEGIN:
    """SEGIN of width 8 for 32 px, with dropout, so that PyTorch's own random state matters too."""
    torch.manual_seed(0)
    networks = Translator(8, downsamplings=3, dropout=0.2), Discriminator(8, image_size=32)
    return SEGIN(*networks, VGGFeatures(layers=("relu3_2",)), **{"weights": Weights()} | arguments)


def tiny_batches(pairs: Path) -> SelfSupervision:
    """The six pairs in batches of four."""
    folder, features = PairFolder(pairs), VGGFeatures(layers=("relu3_1",))
    matches = self_matches(folder, partial(auxiliary_image, features=features, layer="relu3_1", patch=3))
    return SelfSupervision(folder, matches, batch_size=4, seed=0, corrupt=partial(corrupt, cell=4))


def tiny_train(pairs: Path, folder: Path, steps: int, **arguments) -> tuple[SEGIN, Training]:
    """A method and its training; checkpoints every five steps."""
    method = tiny_method()
    options = {"checkpoint_every": 5, "log_every": 5, "progress": False}
    options |= {"steps": steps, "folder": folder, "lr_decay": 0.5} | RUN
    return method, train(method, tiny_batches(pairs), **options | arguments)


if __name__ == "__main__":
    tiny_train(Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]))
