"""Copy executed notebooks and their small result files from runs/<edition> to published/<edition>, to be committed.

Times, papermill's paths and other metadata are left behind; pictures over 150 kB are compressed, if need be to 256
colours. Networks that have a card (the chapter on models) go to published/models, whichever edition trained them.
published/index.json says of every copy where it comes from: step -> edition -> commit, hardware, date, seconds (of what
the results measure, else of the whole notebook), versions, and the digest of the sources it ran.
"""

import argparse
import json
import re
import sys
import tempfile
from base64 import b64decode, b64encode
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

import nbformat
from PIL import Image

from check_html import check_notebook, injected_edition
from notebooks import INDEX, PUBLISHED, all_steps, executed, load_index, published
from segin_core.errors import InputError
from segin_core.running.files import written_whole
from segin_core.running.shipped import LIMIT, shipped

MODELS = Path("published/models")
KEPT = {"notebook": ("kernelspec", "language_info"), "cell": ("tags",)}  # metadata
RESULT_LIMIT, PICTURE_LIMIT, NOTEBOOK_LIMIT = 300_000, 150_000, 1_500_000  # bytes
ENVIRONMENT = re.compile(r"^Python (\S+), torch (\S+), segin_core at (\S+), (.+)$", re.MULTILINE)
FOLDERS = {str(folder.resolve()) for folder in (Path.cwd(), Path.home(), Path(tempfile.gettempdir()))} - {"/"}
FOLDERS |= {"/work", "/tmp", "/home", "/root", "/Users"}
MACHINE = re.compile(rf"(?<![\w.<~])(?:{'|'.join(map(re.escape, FOLDERS))})\b[^\s\"'<>]*")
REGISTRY = re.compile(r"https?://[^\s\"'<>]*(?:pypi|pythonhosted|artifactory|registry|/simple\b)[^\s\"'<>]*")


def texts(value: Any) -> Iterator[str]:
    """Every string of a JSON value except pictures: base64 spells anything by chance."""
    if isinstance(value, dict):
        for key, part in value.items():
            if not key.startswith("image/") or key == "image/svg+xml":
                yield from (key, *texts(part))
    elif isinstance(value, list):
        for part in value:
            yield from texts(part)
    elif isinstance(value, str):
        yield re.sub(r";base64,[A-Za-z0-9+/=\s]+", "", value)


def names_of_machine(value: Any) -> Iterator[str]:
    """What in a JSON value names a folder of this machine or a package registry."""
    for text in texts(value):
        yield from MACHINE.findall(text)
        yield from REGISTRY.findall(text)


def clean(notebook: nbformat.NotebookNode) -> None:
    """Leave of the metadata what a page needs."""
    for what, parts in (("notebook", [notebook]), ("cell", notebook.cells)):
        for part in parts:
            kept = {key: value for key, value in part.metadata.items() if key in KEPT[what]}
            part.metadata = nbformat.from_dict(kept)


def shrink(png: bytes) -> bytes:
    """A PNG over the limit with better compression, and if that is not enough with 256 colours on white."""
    if len(png) <= PICTURE_LIMIT:
        return png
    picture = Image.open(BytesIO(png))
    smaller = _png(picture)
    if len(smaller) > PICTURE_LIMIT:
        white = Image.new("RGBA", picture.size, "white")
        flat = Image.alpha_composite(white, picture.convert("RGBA")).convert("RGB")
        smaller = _png(flat.quantize(256))
    return min(png, smaller, key=len)


def _png(picture: Image.Image) -> bytes:
    stream = BytesIO()
    picture.save(stream, "PNG", optimize=True)
    return stream.getvalue()


def shrink_pictures(notebook: nbformat.NotebookNode) -> None:
    """Every PNG output below the limit, where compression can do it."""
    for cell in notebook.cells:
        for output in cell.get("outputs", []):
            data = output.get("data", {})
            if "image/png" in data:
                png = b64decode(data["image/png"])
                if (smaller := shrink(png)) is not png:
                    data["image/png"] = b64encode(smaller).decode() + "\n"


def origin(notebook: nbformat.NotebookNode, found: list[Any], file: Path) -> dict[str, Any]:
    """Commit, hardware, date, seconds and versions: of the newest result with a provenance, else as printed and timed.

    Raises InputError if there is neither.
    """
    stored = [result["provenance"] for result in found if isinstance(result, dict) and "provenance" in result]
    if stored:
        last = max(stored, key=lambda provenance: provenance["date"])
        kept = {key: last[key] for key in ("commit", "hardware", "date", "seconds")}
        return kept | {"versions": {"python": last["python"], **last["versions"]}}
    printed = ENVIRONMENT.search("\n".join(texts([cell.get("outputs", []) for cell in notebook.cells])))
    timed = notebook.metadata.get("papermill")
    if not printed or not timed:
        raise InputError(f"{file}: no result has a provenance, nor does it print environment(); run it by `make book`.")
    python, torch, commit, hardware = printed.groups()
    when = {"date": timed["end_time"][:19] + "+00:00", "seconds": round(timed["duration"], 1)}
    return {"commit": commit, "hardware": hardware, **when, "versions": {"python": python, "torch": torch}}


def prepare(edition: str, name: str) -> tuple[dict[Path, bytes], dict[str, Any], list[str]]:
    """What to write for a notebook, its row of the index, and its results that are too large to be published.

    Raises InputError, one sentence, for a notebook that is missing, not whole, too large, or names this machine.
    """
    file = Path(executed(edition, name))
    if not file.is_file():
        raise InputError(f"{file}: the notebook was not executed; `make book EDITION={edition}` first.")
    notebook = nbformat.read(file, as_version=4)
    if faults := list(check_notebook(notebook)):
        raise InputError(f"{file}: {faults[0]}; only a whole run can be published.")
    if (shown := injected_edition(notebook)) != edition:
        raise InputError(f"{file}: it was run with edition {shown!r}; run it anew by `make book EDITION={edition}`.")
    folder = Path(f"runs/{edition}/{name}")
    results = [result for result in sorted(folder.glob("*.json")) if not result.with_suffix(".md").is_file()]
    small = [result for result in results if result.stat().st_size <= RESULT_LIMIT]
    found = {result: json.loads(result.read_text(encoding="utf-8")) for result in small}
    row = origin(notebook, list(found.values()), file) | {"sources": notebook.metadata.get("sources")}
    clean(notebook)
    shrink_pictures(notebook)
    for source, value in {file: notebook, **found}.items():
        if named := next(names_of_machine(value), None):
            raise InputError(f"{source}: it names {named}, of this machine; print a relative path or nothing.")
    text = nbformat.writes(notebook).encode() + b"\n"
    if len(text) > NOTEBOOK_LIMIT:
        limit = f"a published notebook may have {NOTEBOOK_LIMIT / 1e6:.1f} MB"
        raise InputError(f"{file}: {len(text) / 1e6:.1f} MB, but {limit}; show fewer or smaller pictures.")
    copies = {Path("published") / edition / name / result.name: result.read_bytes() for result in small}
    files = {Path(published(edition, name)): text, **copies, **networks(folder)}
    return files, row, [result.name for result in results if result not in small]


def networks(folder: Path) -> dict[Path, bytes]:
    """What goes to published/models of a chapter's results: each network that has a card, and the card.

    Raises InputError for one that is too large, that is not the card's, or whose card names this machine.
    """
    found = {}
    for card in sorted(folder.glob("*.md")):
        network = shipped(card.stem, folder=folder)
        if (size := network.stat().st_size) > LIMIT:
            limit = f"a published network may have {LIMIT / 1e6:.0f} MB"
            raise InputError(f"{network}: {size / 1e6:.1f} MB, but {limit}; train a narrower one.")
        for file in (card, card.with_suffix(".json")):
            if named := next(names_of_machine(file.read_text(encoding="utf-8")), None):
                raise InputError(f"{file}: it names {named}, of this machine; print a relative path or nothing.")
        files = (network, card, card.with_suffix(".json"))
        found |= {MODELS / file.name: file.read_bytes() for file in files}
    return found


def write(file: Path, content: bytes) -> None:
    """Whole or not at all; a file that is already so stays untouched."""
    if file.is_file() and file.read_bytes() == content:
        return
    with written_whole(file) as partial:
        partial.write_bytes(content)


def publish(edition: str, name: str) -> str:
    """Publish one notebook; what was done, in one line. Raises InputError as `prepare` does."""
    files, row, too_large = prepare(edition, name)
    for file, content in files.items():
        write(file, content)
    for old in set(Path(f"published/{edition}/{name}").glob("*.json")) - set(files):
        old.unlink()
    index = load_index()
    index.setdefault(name, {})[edition] = {"edition": edition, **row}
    write(INDEX, (json.dumps(index, indent=2, sort_keys=True) + "\n").encode())
    left = f"; too large: {', '.join(too_large)}" if too_large else ""
    kilobytes = sum(map(len, files.values())) / 1e3
    return f"{len(files)} files, {kilobytes:.0f} kB, commit {row['commit']}{left}"


def main() -> int:
    """Command line: one line a notebook; the exit code is 1 if one was refused, the others are published."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--edition", required=True, choices=PUBLISHED)
    parser.add_argument("notebooks", nargs="*", help="all that are executed, if none is named")
    arguments = parser.parse_args()
    edition, code = arguments.edition, 0
    known = all_steps(edition)
    if unknown := set(arguments.notebooks) - set(known):
        parser.error(f"there is no chapter {', '.join(sorted(unknown))}; choose from {', '.join(known)}")
    names = arguments.notebooks or [name for name in known if Path(executed(edition, name)).is_file()]
    for name in names:
        try:
            print(f"published/{edition}/{name}: {publish(edition, name)}")
        except InputError as error:
            print(error, file=sys.stderr)
            code = 1
    if not names:
        print(f"runs/{edition}/notebooks: nothing is executed; `make book EDITION={edition}` first.", file=sys.stderr)
        return 1
    return code


if __name__ == "__main__":
    sys.exit(main())
