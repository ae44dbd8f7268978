"""The notebooks in their order: what each waits for, which result files it writes, which editions leave it out.

A step is a notebook under an edition's values. A variant is a step more: params/<edition>/training-avatars.yaml runs
book/training.ipynb once more, under these values, into runs/<edition>/training-avatars/.
"""

import json
from pathlib import Path
from typing import Any, NamedTuple

from segin_core.book.parameters import load_overrides
from segin_core.book.paths import data_cache

PUBLISHED = ("paper", "cpu", "quick")  # editions whose runs may be published, the best first
INDEX = Path("published/index.json")


class Step(NamedTuple):
    """After whose results a notebook runs, and which files it leaves in runs/<edition>/<notebook>/."""

    after: tuple[str, ...] = ()  # variants among them where the edition has such
    writes: tuple[str, ...] = ()
    without: tuple[str, ...] = ()  # editions that show the published run instead, unless ALL=1
    reads: tuple[str, ...] = ()  # notebooks whose results of other editions, run or published, it reads too
    index: bool = False  # does it list the published runs?
    trainings: bool = False  # does it take the networks of those trainings that its parameter of this name lists?
    photos: str = ""  # the data cache's folder that ALL=1 must find; without it the published run stays


MODEL = ("model.safetensors", "model.json", "history.json")
LONG = ("quick",)  # left out there: hours, or photos that the reader must have
DAYS = ("quick", "cpu")  # left out there: more trainings than a night has hours for
# whose files book/claims.yaml names
EVIDENCE = (
    *("speed", "results", "comparison", "table_1", "right_answers", "colourisation"),
    *("matching_ablation", "robustness", "ablations", "failures"),
)
# of Table II, and the rows and second seeds beside it: variants of the training chapter, where an edition has them
LEFT_OUT = ("gan", "reconstruction", "feature", "total_variation", "non_local", "multi_task", "damage", "hue_rotation")
ABLATED = ("full", *(f"without_{part}" for part in LEFT_OUT), "draft_damage", "unconditional", "paper_gan")
ABLATIONS = tuple(f"training-{row}{number}" for row in ABLATED for number in ("", "_1", "_2"))
IDEAS = ("training-full", *(f"training-{idea}" for idea in ("learned", "object", "answers", "better")))

STEPS = {
    "setup_check": Step(),
    "shoes": Step(writes=("dataset.json",), without=LONG, photos="ut-zap50k"),
    "paper_pictures": Step(writes=("pictures.json",), without=LONG, photos="anime-faces"),
    "avatars": Step(writes=("dataset.json",), without=LONG),
    "data": Step(after=("shoes",), writes=("dataset.json",)),
    "semantic_match": Step(after=("data",), writes=("timing.json",)),
    "correspondence": Step(after=("data",), writes=("scores.json",)),
    "speed": Step(after=("training",), writes=("match.json", "network.json")),
    "self_supervision": Step(after=("data",)),
    "network": Step(after=("data",)),
    "losses": Step(after=("data",)),
    "training": Step(after=("data",), writes=MODEL),
    "pix2pix": Step(after=("data",), writes=MODEL, without=LONG),
    "bicyclegan": Step(after=("data",), writes=MODEL, without=LONG),
    "munit": Step(after=("data",), writes=MODEL, without=LONG),
    "matchers": Step(
        after=("data",), writes=("truth.safetensors", "reference.safetensors", "matchers.json"), without=LONG
    ),
    "outputs": Step(after=("training", "pix2pix", "bicyclegan", "munit"), writes=("outputs.json",), without=LONG),
    "results": Step(after=("training",), writes=("metrics.json",)),
    "comparison": Step(after=("outputs",), writes=("collapse.json",), without=LONG),
    "metrics": Step(after=("data",), writes=("sensitivity.json",)),
    "table_1": Step(after=("outputs", "right_answers"), writes=("scores.json",), without=LONG, reads=("table_1",)),
    "right_answers": Step(after=("training", "pix2pix", "bicyclegan", "munit"), writes=("scores.json",), without=LONG),
    "learning_curve": Step(after=("training", "pix2pix", "bicyclegan", "munit"), writes=("curves.json",), without=LONG),
    "colourisation": Step(after=("training",), writes=("scores.json",), without=LONG, trainings=True),
    "matching_ablation": Step(
        after=("training", "matchers"), writes=("scores.json",), without=LONG, reads=("matching_ablation",)
    ),
    "robustness": Step(after=("training", "matchers"), writes=("curves.json",), without=LONG),
    "ablations": Step(after=("training", *ABLATIONS), writes=("scores.json",), without=DAYS),
    "choosing_the_match": Step(after=("training",), writes=("scores.json",), without=LONG),
    "choosing_the_recipe": Step(after=("data",), writes=("trials.json",), without=LONG),
    "failures": Step(after=("training",), writes=("warning.json",)),
    "learned_match": Step(after=("data",), writes=("model.safetensors", "model.json", "scores.json"), without=LONG),
    "better": Step(after=("training", "learned_match", *IDEAS), writes=("scores.json",), without=DAYS),
    "claims": Step(after=EVIDENCE, writes=("claims.json",), reads=EVIDENCE),
    "models": Step(after=("training",), writes=("models.json",), without=LONG, reads=("training", "right_answers")),
    "translate_your_own": Step(),
    "your_own_data": Step(writes=("dataset.json",)),
    "how_this_book_is_built": Step(after=("training",)),
    "introduction": Step(
        after=("table_1", "right_answers", "claims"), reads=("table_1", "right_answers"), index=True
    ),
}


def source(step: str) -> Path:
    """The notebook of a step."""
    return Path("book") / f"{step.partition('-')[0]}.ipynb"


def variants(edition: str) -> dict[str, Step]:
    """The edition's variants. Each waits for those of the same name, where there are any, and for its own data.

    A training whose match is not the paper's waits for the chapter that trains that match, too.
    """
    found = sorted(file.stem for file in Path("params", edition).glob("*-*.yaml"))

    def step(name: str) -> Step:
        notebook, _, variant = name.partition("-")
        values = load_overrides(edition, name)
        data = values.get("data", "data").partition("/")[0]
        after = dict.fromkeys(data if other == "data" else other for other in ("data", *STEPS[notebook].after))
        if values.get("matcher", "paper") != "paper":
            after[values.get("match_run", "learned_match")] = None
        same = {other: f"{other}-{variant}" for other in after if f"{other}-{variant}" in found}
        after = tuple(same.get(other, other) for other in after if other in STEPS or other in same)
        return STEPS[notebook]._replace(after=after, without=DAYS, reads=())  # other results are the edition's to read

    return {name: step(name) for name in found}


def all_steps(edition: str) -> dict[str, Step]:
    """Every notebook, and the edition's variants. Who takes the networks of other trainings waits for them, too."""
    known = STEPS | variants(edition)
    takers = [name for name, step in known.items() if step.trainings]
    for name in (name for name in takers if Path("params", edition, f"{name}.yaml").is_file()):
        listed = load_overrides(edition, name).get("trainings", [])
        more = [run for run in listed if run in known and run not in known[name].after]
        known[name] = known[name]._replace(after=(*known[name].after, *more))
    return known


def left_out(edition: str, step: str) -> bool:
    """Does `make book` show the published run of this step instead of running it?"""
    return edition in all_steps(edition)[step].without


def steps(edition: str, run: str = "edition") -> dict[str, Step]:
    """The notebooks to execute: the edition's own, "all" or "none"; their `after` names only such.

    One of the edition's own never waits for one that is left out: ALL=1 would make it run anew.
    """
    known = all_steps(edition)
    own = [name for name, step in known.items() if edition not in step.without]
    more = [name for name, step in known.items() if not step.photos or (data_cache() / step.photos).is_dir()]
    chosen = [name for name in known if run != "none" and (name in own or (run == "all" and name in more))]

    def waits(name: str, other: str) -> bool:
        free = other not in own and name in own and not known[name].reads
        return other in chosen and not free

    def after(name: str) -> list[str]:
        read = [other for other in known if other not in STEPS and source(other).stem in known[name].reads]
        return [other for other in (*known[name].after, *read) if waits(name, other)]

    return {name: known[name]._replace(after=tuple(after(name))) for name in chosen}


def results(edition: str, step: str) -> list[str]:
    """The result files of a step, relative to the project's root."""
    return [f"runs/{edition}/{step}/{name}" for name in STEPS[source(step).stem].writes]


def executed(edition: str, step: str) -> str:
    """Where the executed copy of a step's notebook lies, relative to the project's root."""
    return f"runs/{edition}/notebooks/{step}.ipynb"


def published(edition: str, step: str) -> str:
    """Where the executed copy of a published run lies, relative to the project's root."""
    return f"published/{edition}/notebooks/{step}.ipynb"


def load_index() -> dict[str, dict[str, dict[str, Any]]]:
    """What published/index.json says: step -> edition -> where that copy comes from."""
    return json.loads(INDEX.read_text(encoding="utf-8")) if INDEX.is_file() else {}


def inputs(edition: str, step: str, run: str = "edition") -> list[str]:
    """The files a step waits for or reads, beside its notebook and its parameters, relative to the project's root.

    Of a step that writes no results this is the executed copy.
    """
    after, notebook = steps(edition, run)[step].after, source(step).stem
    reads = all_steps(edition)[step].reads
    files = {file for name in after for file in results(edition, name) or [executed(edition, name)]}
    for other in PUBLISHED if reads and edition in PUBLISHED else ():
        for name in all_steps(other):
            if source(name).stem in reads and (other, name) != (edition, notebook):
                files |= {_found(file) for file in results(other, name) if file not in files} - {None}
    own = [f"book/{notebook}.yaml", *([str(INDEX)] if STEPS[notebook].index else [])]
    return sorted(files | {file for file in own if Path(file).is_file()})


def _found(result: str) -> str | None:
    """A result file where it was run, else where it is published."""
    places = (result, result.replace("runs/", "published/", 1))
    return next((place for place in places if Path(place).is_file()), None)
