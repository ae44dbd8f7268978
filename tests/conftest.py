"""What several tests need: a small folder of pairs, a small trained network, a browser."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from hypothesis import settings
from PIL import Image, ImageDraw
from playwright.sync_api import Browser, Page, sync_playwright

from segin_core.running.checkpoints import save_networks
from segin_core.translator import Translator

settings.register_profile("busy", deadline=None)  # a test may wait for a processor that others use
settings.load_profile("busy")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The book first: while it is made, the second process of `make test` goes through the other files."""
    items.sort(key=lambda item: item.path.stem != "test_workflow")


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


@pytest.fixture(scope="module")  # not for the session: while it runs, nothing in this process may use asyncio.run
def browser() -> Iterator[Browser]:
    """The system's Chromium, without a window. Skips where there is none."""
    programs = (shutil.which(name) for name in ("chromium", "chromium-browser", "google-chrome"))
    program = next(filter(None, programs), None)
    if program is None:
        pytest.skip("no Chromium on this machine: apt-get install chromium")
    quiet = ["--disable-gpu", "--disable-quic", "--disable-background-networking", "--disable-component-update"]
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=quiet, chromium_sandbox=False)
        yield browser
        browser.close()


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """An empty page of 1280 x 900 in a profile of its own; what its scripts do not catch fails the test at the end.

    But for one fault of Jupyter Book's theme: it declares THEBE_JS_URL twice.
    """
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    page, faults = context.new_page(), []
    page.on("pageerror", lambda fault: faults.append(fault))
    yield page
    context.close()
    assert not [fault for fault in map(str, faults) if "THEBE_JS_URL" not in fault]
