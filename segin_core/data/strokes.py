"""Sketches as a person draws them: an edge map simplified to few, long, smooth strokes (Section IV, Dataset).

Paper: HED with the sketch simplification network of Simo-Serra et al. (2018). / Here: no network, since its weights are
not to be had as a package, but the steps that vectorise a line drawing (as in Favreau et al., 2016): trace the thinned
edges, join what continues, drop texture, fit smoothing splines (Dierckx, 1982), draw.
"""

from collections.abc import Iterator, Sequence

import numpy as np
from PIL import Image, ImageDraw
from scipy import ndimage
from scipy.interpolate import splev, splprep
from scipy.spatial.distance import cdist

Stroke = np.ndarray  # n 2: the points (row, column) of a line from one end to the other, in pixels
End = tuple[int, int]  # of a stroke: its number, and 0 for its first point or 1 for its last
EIGHT = np.ones((3, 3), int)  # a pixel's neighbours, diagonal ones too
FINE = 4  # strokes are drawn so many times larger, then averaged


def simplify(
    lines: np.ndarray, edge: np.ndarray, *, gap: float = 6, turn: float = 50, ink: float = 8, apart: float = 3,
    smooth: float = 0.7,
) -> list[Stroke]:  # fmt: skip
    """One-pixel lines `h w` and the edge probability `h w` they are the ridges of, to strokes, the strongest first.

    Ends up to `gap` pixels apart are joined where the line turns by less than `turn` degrees (`joined`); strokes of
    less than `ink` (the sum of probability along them), and those that run within `apart` pixels of stronger ones, are
    dropped (`strongest`); the rest are replaced by splines at a root mean square distance of `smooth` pixels.
    """
    strokes = joined(traced(lines), gap=gap, turn=turn)
    return [smoothed(stroke, smooth) for stroke in strongest(strokes, edge, ink=ink, apart=apart)]


def traced(lines: np.ndarray) -> list[Stroke]:
    """The branches of a one-pixel skeleton (bool, `h w`): strokes between its ends and crossings, in order along them.

    A branch that ends at a crossing gets the crossing's centre as its last point, so that branches meet there.
    """
    crossing = lines & (ndimage.convolve(lines.astype(int), EIGHT, mode="constant") > 3)
    centres, count = ndimage.label(crossing, EIGHT)
    middles = ndimage.center_of_mass(crossing, centres, range(1, count + 1))
    branches, _ = ndimage.label(lines & ~crossing, EIGHT)
    strokes = []
    for label, box in enumerate(ndimage.find_objects(branches), 1):
        points = _ordered(np.argwhere(branches[box] == label)) + [side.start for side in box]
        ends = [_beside(centres, *points[end]) for end in (0, -1)]
        before, after = ([middles[end - 1]] if end else [] for end in ends)
        strokes.append(np.array([*before, *points, *(after if len(points) > 1 else [])], float))
    return [stroke for stroke in strokes if len(stroke) > 1]


def _ordered(points: np.ndarray) -> np.ndarray:
    """The pixels of a branch from one end to the other; a closed one starts anywhere and comes back."""
    left = set(map(tuple, points.tolist()))
    here = min(left, key=lambda point: (len(_around(left, point)), point))  # an end has one neighbour
    path = [here]
    left.remove(here)
    while near := _around(left, here):
        here = min(near, key=lambda point: (abs(point[0] - here[0]) + abs(point[1] - here[1]), point))
        path.append(here)
        left.remove(here)
    if len(path) > 6 and max(abs(path[0][0] - here[0]), abs(path[0][1] - here[1])) == 1:
        path.append(path[0])
    return np.array(path)


def _around(points: set[tuple[int, int]], point: tuple[int, int]) -> list[tuple[int, int]]:
    row, column = point
    near = ((row + i, column + j) for i in (-1, 0, 1) for j in (-1, 0, 1) if i or j)
    return [other for other in near if other in points]


def _beside(labels: np.ndarray, row: int, column: int) -> int:
    """A label that touches this pixel, 0 for none."""
    return int(labels[max(row - 1, 0) : row + 2, max(column - 1, 0) : column + 2].max())


def joined(strokes: Sequence[Stroke], *, gap: float, turn: float) -> list[Stroke]:
    """Strokes that continue one another made into one, the straightest continuation first.

    Two ends may be joined if they are at most `gap` pixels apart and neither stroke has to turn by more than `turn`
    degrees, towards the other end or into the other stroke. Each end is joined once, so of the branches that meet at a
    crossing two pass through it and the others end there.
    """
    partner: dict[End, End] = {}
    for _, one, other in sorted(_continuations(strokes, gap, turn)):
        if one not in partner and other not in partner:
            partner |= {one: other, other: one}
    chains, left = [], set(range(len(strokes)))
    ends = [(i, end) for i in left for end in (0, 1)]
    for start in sorted(ends, key=partner.__contains__):  # open chains from an end of theirs, then closed ones
        chain, here = [], start
        while here and here[0] in left:
            i, end = here
            left.remove(i)
            chain.append(strokes[i][::-1] if end else strokes[i])
            here = partner.get((i, 1 - end))
        if chain:
            chains.append(np.concatenate([*chain, *([chain[0][:1]] if here else [])]))  # here: back at the start
    return chains


def _continuations(strokes: Sequence[Stroke], gap: float, turn: float) -> Iterator[tuple[float, End, End]]:
    """All pairs of ends that may be joined, each with its cost: the turn in radians, and a little for the gap."""
    ends = [(i, end) for i in range(len(strokes)) for end in (0, 1)]
    facing = [strokes[i] if end else strokes[i][::-1] for i, end in ends]
    points = np.array([stroke[-1] for stroke in facing]).reshape(-1, 2)
    headings = [_heading(stroke) for stroke in facing]
    for i, j in np.argwhere(np.triu(cdist(points, points) <= gap, k=1)):
        bridge = points[j] - points[i]
        length = float(np.hypot(*bridge))
        cosines = [-headings[i] @ headings[j]]
        if length > 2:  # a shorter one has no direction
            cosines += [headings[i] @ bridge / length, -headings[j] @ bridge / length]
        angle = float(np.arccos(np.clip(min(cosines), -1, 1)))
        if angle <= np.radians(turn):
            yield angle + length / 100, ends[i], ends[j]


def _heading(stroke: Stroke, reach: int = 6) -> np.ndarray:
    """The direction (a unit vector) in which a stroke leaves its last point; zero for a closed one."""
    ahead = stroke[-1] - stroke[max(len(stroke) - 1 - reach, 0)]
    return ahead / max(float(np.hypot(*ahead)), 1e-6)


def strongest(strokes: Sequence[Stroke], edge: np.ndarray, *, ink: float, apart: float) -> list[Stroke]:
    """Strokes by the probability summed along them, the largest first, without the faint, the short and the doubled.

    Dropped are those below `ink`, and those of which more than half lies within `apart` pixels of what is kept.
    """
    inks = [float(edge[tuple(_pixels(stroke, edge.shape))].sum()) for stroke in strokes]
    free, kept = np.ones(edge.shape, bool), []
    for i in sorted(range(len(strokes)), key=lambda i: -inks[i]):
        if inks[i] < ink:
            break
        places = tuple(_pixels(strokes[i], edge.shape))
        if free.all() or (ndimage.distance_transform_edt(free)[places] <= apart).mean() <= 0.5:
            free[places] = False
            kept.append(strokes[i])
    return kept


def _pixels(stroke: Stroke, shape: tuple[int, int]) -> np.ndarray:
    """The pixels (2 n) that a stroke's points lie in."""
    return np.clip(stroke.round().astype(int), 0, np.array(shape) - 1).T


def smoothed(stroke: Stroke, distance: float) -> Stroke:
    """A cubic smoothing spline in a stroke's place, at a root mean square distance of about `distance` pixels."""
    points = stroke[np.r_[True, np.abs(np.diff(stroke, axis=0)).sum(1) > 0]]
    if len(points) < 5:
        return points
    closed = bool((points[0] == points[-1]).all())
    spline, _ = splprep(points.T, s=len(points) * distance**2, per=closed)
    return np.stack(splev(np.linspace(0, 1, 2 * len(points)), spline), axis=1)


def draw(strokes: Sequence[Stroke], *, side: int, size: int, width: float = 1.2) -> Image.Image:
    """Strokes of a square of `side` pixels as dark lines on white ("L"), `size` x `size`, `width` pixels wide."""
    page = Image.new("L", (size * FINE,) * 2, 255)
    pen, scale = ImageDraw.Draw(page), size * FINE / side
    for stroke in strokes:
        points = [(float(column), float(row)) for row, column in (stroke + 0.5) * scale]
        pen.line(points, fill=0, width=max(1, round(width * FINE)), joint="curve")
    return page.resize((size, size), Image.Resampling.BOX)
