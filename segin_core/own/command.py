"""The command `segin`: translate, check, train, each of them a function of the library."""

from __future__ import annotations

import argparse
import shlex
import shutil
import sys
from functools import partial
from itertools import zip_longest
from pathlib import Path
from textwrap import wrap

import torch
from PIL import Image
from tqdm import tqdm

from segin_core import translate
from segin_core.data.contact_sheet import contact_sheet
from segin_core.data.images import read_image, save_image
from segin_core.data.pairs import PairFolder
from segin_core.errors import InputError
from segin_core.own.folder import SIZES, Folder, Row, look
from segin_core.own.prepare import prepare
from segin_core.own.recipe import train_pairs
from segin_core.running.loop import TrainingStopped

SHOWN = 20  # files with faults in a table; the others are counted
KEPT = 50  # steps between the states that a stopped training goes on from
SAMPLES = 4  # test pictures a side of the sheet that shows a training's result


def main(arguments: list[str] | None = None) -> int:
    """The command line: 0, or one sentence and 2 on bad input, 1 when a training fails, 130 when a key stopped it."""
    parser = argparse.ArgumentParser(prog="segin", description="Your own pictures and data in the hands of SEGIN.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    known = {
        "translate": (translate.add_arguments, translate.run, "colour sketches by pictures: files, or folders of them"),
        "check": (_folder_arguments, _check, "say what a folder holds, what is wrong with it, and what to do"),
        "train": (_train_arguments, _train, "train a network on a folder; what was stopped goes on"),
    }
    for name, (add_arguments, run, what) in known.items():
        one = commands.add_parser(name, help=what, description=what)
        add_arguments(one)
        one.set_defaults(run=run)
    chosen = parser.parse_args(arguments)
    try:
        chosen.run(chosen)
    except InputError as error:
        return _fail(f"error: {error}", 2)
    except OSError as error:
        return _fail(f"error: {error.filename or 'a file'} cannot be written or read ({error.strerror or error}).", 2)
    except TrainingStopped as error:
        return _fail(f"error: {error}", 1)
    except KeyboardInterrupt:
        return _fail(
            "stopped; the same command goes on from its last checkpoint" if chosen.run is _train else "stopped", 130
        )
    return 0


def _fail(sentence: str, code: int) -> int:
    print(sentence, file=sys.stderr)
    return code


def _folder_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("folder", type=Path, help="x/ y/ mask/, x/ y/, trainA/ trainB/, pair files A|B, or photos")
    parser.add_argument("--size", type=int, default=64, help=f"px, one of {', '.join(map(str, SIZES))} (default: 64)")


def _train_arguments(parser: argparse.ArgumentParser) -> None:
    _folder_arguments(parser)
    parser.add_argument("-o", "--output", type=Path, help="folder for all that is written (default: <folder>-segin)")
    parser.add_argument("--steps", type=int, default=1300, help="optimiser steps of eight pictures (default: 1300)")
    parser.add_argument("--limit", type=int, help="learn from so many pictures at most, chosen by hash")
    parser.add_argument("--seed", type=int, default=0, help="of all random choices (default: 0)")
    parser.add_argument("--precision", choices=["bf16", "fp32"], default="bf16", help="fp32 for old processors")


def table(folder: Folder) -> str:
    """What `look` saw in three columns, as wide as the terminal: found, note or wrong; what; what to do."""
    wrong = [row for row in folder.rows if row.state == "wrong"]
    hidden = wrong[SHOWN:-1]
    rows = [row for row in folder.rows if row not in hidden]
    if hidden:
        rows.append(Row("wrong", f"{len(hidden):,} files more", "left out"))
    column = (max(60, min(120, shutil.get_terminal_size().columns)) - 10) // 2
    lines = [("", "what was seen", "what it means, or what to do")]
    for row in rows:
        lines += zip_longest([row.state], wrap(row.what, column), wrap(row.advice, column), fillvalue="")
    return "\n".join(f"{state:6} {what:{column}}  {advice}".rstrip() for state, what, advice in lines)


def _look(chosen: argparse.Namespace) -> Folder:
    """The folder, its table printed. Raises InputError where nothing can be made of it."""
    bar = partial(tqdm, desc="reading", disable=not sys.stderr.isatty(), leave=False)
    found = look(chosen.folder, size=chosen.size, progress=bar)
    print(table(found), flush=True)
    if found.fault:
        raise InputError(found.fault)
    return found


def _check(chosen: argparse.Namespace) -> None:
    _look(chosen)
    size = [] if chosen.size == 64 else ["--size", str(chosen.size)]
    print(f"next:  {shlex.join(['segin', 'train', str(chosen.folder), *size])}")


def _train(chosen: argparse.Namespace) -> None:
    """Check, prepare, train, and show the result on pictures that were not learned from."""
    for name in ("steps", "limit"):
        if (value := getattr(chosen, name)) is not None and value < 1:
            raise InputError(f"--{name} {value}: give a whole number from 1 up.")
    output = chosen.output or Path(f"{chosen.folder.resolve().name}-segin")
    if chosen.folder.resolve() in (output.resolve(), *output.resolve().parents):
        raise InputError(f"{output} lies in {chosen.folder}, which is read: choose a folder beside it with -o.")
    made = prepare(_look(chosen), chosen.size, cache=output / "data", limit=chosen.limit and (chosen.limit, None))
    torch.manual_seed(chosen.seed)
    model = train_pairs(
        PairFolder(made / "train"), output, steps=chosen.steps, seed=chosen.seed, precision=chosen.precision,
        checkpoint_every=KEPT, device="cuda" if torch.cuda.is_available() else "cpu",
    )  # fmt: skip
    print(f"test pictures under one another's colours: {_sample(made / 'test', model, output)}")
    print(shlex.join(["segin", "translate", "sketch.png", "picture.png", "-o", "out.png", "--checkpoint", str(model)]))


def _sample(test: Path, model: Path, output: Path) -> Path:
    """A contact sheet of some test pictures, each sketch under each picture."""
    pairs, network = PairFolder(test), translate.Network(model)
    chosen = pairs.names[:SAMPLES]
    x: dict[str, Image.Image] = {name: read_image(pairs.files["x"][name]).convert("L") for name in chosen}
    y = {name: read_image(pairs.files["y"][name]) for name in chosen}
    made = {(a, b): network(x[a], network.reference(y[b])).output for a in chosen for b in chosen}
    return save_image(contact_sheet(x, y, made), output / translate.SHEET)


if __name__ == "__main__":
    sys.exit(main())
