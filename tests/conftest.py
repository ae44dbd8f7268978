"""What several tests need: a small folder of pairs, a small trained network."""

from pathlib import Path

import pytest
import torch
from PIL import Image, ImageDraw

from segin_core.running.checkpoints import save_networks
from segin_core.translator import Translator


@pytest.fixture(scope="session")
def pair_folder(tmp_path_factory) -> Path:
    """Six pairs of 32 px: a coloured disc or square, its outline and its mask."""
    root = tmp_path_factory.mktemp("pairs")
    for kind in ("x", "y", "mask"):
        (root / kind).mkdir()
    colours = ["red", "green", "blue", "orange", "purple", "teal"]
    for i, colour in enumerate(colours):
        box = (4 + i, 5, 24 + i % 3, 26)
        pictures = {"x": Image.new("L", (32, 32), 255), "y": Image.new("RGB", (32, 32), "white")}
        pictures["mask"] = Image.new("L", (32, 32), 0)
        for kind, fill, line in (("x", None, 0), ("y", colour, "black"), ("mask", 255, 255)):
            pen = ImageDraw.Draw(pictures[kind])
            (pen.ellipse if i % 2 else pen.rectangle)(box, fill=fill, outline=line, width=2)
            pictures[kind].save(root / kind / f"{i}.png")
    return root


@pytest.fixture(scope="session")
def checkpoint(tmp_path_factory) -> Path:
    """An untrained network of width 8 for 32 px, saved as the training notebook saves one."""
    torch.manual_seed(0)
    matching = {"source": "vgg16-hed", "layer": "relu3_1", "patch": 3, "blend": "paste"}
    folder = tmp_path_factory.mktemp("model")
    networks = {"translator": Translator(8, downsamplings=3)}
    return save_networks(folder / "model.safetensors", networks, {"image_size": 32, "matching": matching})
