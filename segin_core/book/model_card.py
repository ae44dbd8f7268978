"""The card of a network that is given away: what it is, what it learned from, what it scores, what it cannot do."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from segin_core.book.figures import with_interval
from segin_core.book.trivial_rows import CEILING, TRIVIAL, not_beaten
from segin_core.running.shipped import file_digest

TASKS = {
    "drawing": "line drawings of emojis to coloured drawings",
    "hed": "edges of coloured drawings to the drawings",
    "colourisation": "grey drawings to coloured ones",
    "avatars": "line drawings of faces, put together from drawn parts, to coloured faces",
    "photos": "edges of product photos (shoes) to photos",
}
MEASURES = {  # of the chapter on right answers, and which way is better
    "part_colours": "higher",
    "right_answer": "lower",
    "right_answer_lpips": "lower",
    "right_answer_l1": "lower",
    "structure": "higher",
    "double_retrieval": "higher",
}
ROWS = {"segin": "this network"} | TRIVIAL | CEILING


def scores_of(run: str, description: dict[str, Any], edition_folder: Path) -> dict[str, Any] | None:
    """What the chapter on right answers measured of this very network in its edition; None where it was not scored.

    The network is known by its folder, its images seen and its seconds.
    """
    for file in sorted(edition_folder.glob("right_answers*/scores.json")):
        found = json.loads(file.read_text(encoding="utf-8"))
        segin, folder = found["methods"]["segin"], f"training{found['provenance']['parameters']['networks']}"
        seen = description["images_seen"], description["provenance"]["seconds"]
        if (folder, segin["images_seen"], segin["seconds"]) == (run, *seen):
            return {
                "file": file.relative_to(edition_folder.parent.parent).as_posix(),
                "commit": found["provenance"]["commit"],
                "measures": {
                    f"{found['metrics'][name]} ({better} is better)": _measure(found["measures"][name], better)
                    for name, better in MEASURES.items()
                    if name in found["measures"]
                },
            }
    return None


def _measure(column: dict[str, Any], better: str) -> dict[str, Any]:
    """Mean and interval of each row, and the rows without a method that the network does not beat."""
    rows = {row: {key: column[row][key] for key in ("value", "interval")} for row in ROWS if row in column}
    behind = not_beaten(column, "segin", higher=better == "higher")
    return {"rows": rows, "not_beaten": [TRIVIAL[row] for row in behind]}


def model_card(
    path: Path, description: dict[str, Any], *, dataset: dict[str, Any], difference: float,
    scores: dict[str, Any] | None,
) -> dict[str, Any]:  # fmt: skip
    """The card of the weights in `path`, to be stored beside them as JSON.

    description: what the training saved. dataset: the dataset.json of its pairs. difference: mean of |half - full| over
    test pictures, in levels of 255. scores: of `scores_of`.
    """
    task, size = TASKS[dataset["task"]], description["image_size"]
    made, seen = description["provenance"], description["images_seen"]
    return description | {
        "name": path.stem,
        "what": "SEGIN's translation network N (Huang, Liao and Kwong, 2019), trained anew",
        "task": task,
        "file": path.name,
        "bytes": path.stat().st_size,
        "sha256": file_digest(path),
        "precision": "float16, what has one number a channel float32; to be computed in float32",
        "difference_to_float32": round(difference, 4),
        "data": {key: dataset[key] for key in ("task", "size", "counts", "sha256", "artwork")},
        "steps": made["parameters"]["steps"],
        "seconds": made["seconds"],
        "commit": made["commit"],
        "scores": scores,
        "limits": [
            f"It works on squares of {size} pixels; a larger picture is scaled down and back, finer detail is lost.",
            f"It has seen nothing but {task}: other sketches and references may give anything.",
            "The colours are those of the matched places of the reference; a wrong match is painted as it is.",
            f"It has seen {seen:,} images; the paper's 20 epochs of 50,000 are 1,000,000.",
        ],
        "licence": {
            "code": "MIT",
            "data": dataset["artwork"],
            "weights": "may be used and passed on under the terms of their data, with the same attribution",
        },
    }


def in_markdown(card: dict[str, Any]) -> str:
    """The card for people."""
    matching, data, licence = card["matching"], card["data"], card["licence"]
    match = f"{matching['source']} at {matching['layer']}, patches of {matching['patch']} x {matching['patch']}"
    counts = ", ".join(f"{number:,} {part}" for part, number in data["counts"].items())
    facts = {
        "task": card["task"],
        "size": f"{card['image_size']} x {card['image_size']} pixels",
        "match": f"{match}, blended by {matching['blend']}",
        "network": ", ".join(f"{key} {value}" for key, value in card["networks"]["translator"].items()),
        "weights": f"{card['parameters']['translator']:,} numbers, {card['bytes'] / 1e6:.1f} MB, {card['precision']}",
        "against float32": f"{card['difference_to_float32']:.3f} of 255 levels, mean over test pictures",
        "data": f"{data['artwork']} ({counts} pairs)",
        "training": f"{card['images_seen']:,} images in {card['steps']:,} steps, {card['seconds'] / 60:.0f} minutes",
        "trained at": f"commit {card['commit']} on {card['provenance']['hardware']}, {card['provenance']['date'][:10]}",
        "SHA-256": f"`{card['sha256']}`",
    }
    lines = [f"# {card['name']}", "", card["what"] + ".", "", "| | |", "|---|---|"]
    lines += [f"| {key} | {value} |" for key, value in facts.items()]
    lines += ["", "## Scores", "", *_scores(card["scores"])]
    lines += ["", "## Limits", "", *(f"- {limit}" for limit in card["limits"])]
    lines += ["", "## Licence", "", *(f"- {what}: {terms}" for what, terms in licence.items())]
    return "\n".join(lines) + "\n"


def _scores(scores: dict[str, Any] | None) -> list[str]:
    if scores is None:
        return ["This network was not scored."]
    source = f"Mean and 95 % interval over test triples whose right answer is known; from `{scores['file']}`, "
    rows = [
        [measure, *(with_interval(of["rows"].get(row), 3) or "-" for row in ROWS), ", ".join(of["not_beaten"]) or "-"]
        for measure, of in scores["measures"].items()
    ]
    heads = ["measure", *ROWS.values(), "not beaten, though no method"]
    table = [heads, ["---"] * len(heads), *rows]
    return [f"{source}commit {scores['commit']}.", "", *(f"| {' | '.join(row)} |" for row in table)]
