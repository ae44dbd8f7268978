"""Who learns from what: sets divided by family or product and by hash, so that no part leaks and none ever changes."""

from collections.abc import Callable, Hashable, Iterable, Mapping
from hashlib import sha256
from typing import TypeVar

from segin_core.errors import InputError

# train learns, validation chooses, test reports, final waits for the last run
PARTS = ("train", "validation", "test", "final")
KINDS = ("x", "y", "mask")  # the pictures of a pair
SHARE = 4  # at most one in so many is held out
LARGEST = 20  # a group of more is learned from: a part that it half filled would measure little else

Item = TypeVar("Item", bound=Hashable)
Limit = tuple[int | None, int | None] | None


def grouped(items: Iterable[Item], group_of: Callable[[Item], str]) -> dict[str, list[Item]]:
    """Items by the name of their group (a family, a product), in the order given."""
    members: dict[str, list[Item]] = {}
    for item in items:
        members.setdefault(group_of(item), []).append(item)
    return members


def digest(text: str) -> str:
    """SHA-256 of a text, in hexadecimal: an order that looks random and never changes."""
    return sha256(text.encode()).hexdigest()


def split_by_group(
    items: Iterable[Item], group_of: Callable[[Item], str], held_out: Mapping[str, int]
) -> dict[str, list[Item]]:
    """Whole groups to the parts of `held_out` (part to count), one part after the other; the others to "train".

    Each part is filled in the order of the SHA-256 of the groups' names; a group with more items than places are left,
    or than `LARGEST`, is skipped. A small set gives each part proportionally less, a quarter of it in all.
    Raises InputError if a part would be empty.
    """
    members = grouped(items, group_of)
    n, left = sum(map(len, members.values())), sorted(members, key=digest)
    scale = min(1, n / SHARE / sum(held_out.values()))
    parts: dict[str, list[Item]] = {}
    for part, count in held_out.items():
        places, chosen, skipped = max(1, round(count * scale)), [], []
        for name in left:
            fits = len(members[name]) <= min(LARGEST, places - len(chosen))
            chosen.extend(members[name]) if fits else skipped.append(name)
        parts[part], left = chosen, skipped
    parts["train"] = [item for name in left for item in members[name]]
    if empty := [part for part in PARTS if part in parts and not parts[part]]:
        raise InputError(f"{n} pictures of {len(members)} products leave none for {', '.join(empty)}: add some.")
    return {part: sorted(parts[part]) for part in PARTS if part in parts}


def limited(parts: Mapping[str, Iterable[str]], limit: Limit) -> dict[str, list[str]]:
    """At most `limit` (train, each other part) names, those with the smallest hashes, sorted; None keeps all.

    Raises InputError for a limit below 1.
    """
    train, others = limit or (None, None)
    if any(count is not None and count < 1 for count in (train, others)):
        raise InputError(f"limit={limit!r} holds a count below 1: give (train, each held-out part), None for all.")
    # "place of": the hash that chose the groups would put groups of one first
    ordered = {part: sorted(names, key=lambda name: digest(f"place of {name}")) for part, names in parts.items()}
    return {part: sorted(names[: train if part == "train" else others]) for part, names in ordered.items()}
