"""How a set is divided: by group and by hash, alike for drawings and photos."""

from itertools import combinations
from pathlib import Path

import numpy as np
import pytest

from segin_core.data.parts import LARGEST, PARTS, digest, grouped, limited, split_by_group
from segin_core.errors import InputError

WANTED = {"test": 20, "validation": 30, "final": 20}


def family(name: str) -> str:
    return name.split(".")[0]


def colourways(groups: int, *, seed: int = 0) -> list[str]:
    counts = np.random.default_rng(seed).integers(1, 6, groups)
    return [f"shoe{group}.{i}" for group, count in enumerate(counts) for i in range(count)]


@pytest.mark.parametrize("groups", [60, 100, 200, 1000])
def test_no_group_is_on_two_sides_and_nothing_is_lost(groups):
    items = colourways(groups)
    parts = split_by_group(items, family, WANTED)
    assert list(parts) == list(PARTS) and sorted(item for part in parts.values() for item in part) == sorted(items)
    for one, other in combinations(parts.values(), 2):
        assert not set(map(family, one)) & set(map(family, other))
    share = min(1, len(items) / 4 / sum(WANTED.values()))
    for part, count in WANTED.items():
        assert count * share - 5 < len(parts[part]) <= round(count * share)


def test_the_order_of_the_items_does_not_matter():
    items = colourways(200)
    shuffled = [items[i] for i in np.random.default_rng(1).permutation(len(items))]
    assert split_by_group(shuffled, family, WANTED) == split_by_group(items, family, WANTED)


def test_more_parts_leave_those_before_them_as_they_were():
    items = colourways(1000)
    whole = split_by_group(items, family, WANTED)
    assert split_by_group(items, family, {"test": 20})["test"] == whole["test"]
    assert split_by_group(items, family, {"test": 20, "validation": 30})["validation"] == whole["validation"]


def test_a_group_too_large_for_the_places_left_is_skipped():
    items = [f"big.{i}" for i in range(4)] + [f"small{i}.0" for i in range(8)]
    parts = split_by_group(items, family, {"test": 3})
    assert len(parts["test"]) == 3 and not any(item.startswith("big") for item in parts["test"])


def test_a_group_that_would_half_fill_a_part_is_learned_from():
    items = [f"crowd.{i}" for i in range(LARGEST + 1)] + [f"single{i}.0" for i in range(400)]
    assert {item for item in split_by_group(items, family, {"test": 100})["train"]} >= set(items[: LARGEST + 1])


@pytest.mark.parametrize(
    ("items", "empty"), [(["a.0", "a.1"], "validation, test, final"), (["a.0"], "train, validation")]
)
def test_too_few_items_for_every_part(items, empty):
    with pytest.raises(InputError, match=f"{len(items)} pictures of 1 products leave none for {empty}"):
        split_by_group(items, family, WANTED)


def test_groups_keep_the_order_of_their_items():
    assert grouped(["b.1", "a.0", "b.0"], family) == {"b": ["b.1", "b.0"], "a": ["a.0"]}
    assert digest("a") == "ca978112ca1bbdcafac231b39a23dc4da786eff8147c4e72b9807785afee48bb"


def test_a_limit_is_chosen_by_hash_and_nested():
    parts = {part: [f"{part}{i}" for i in range(9)] for part in PARTS}
    few, more = limited(parts, (2, 1)), limited(parts, (4, None))
    assert [len(few[part]) for part in PARTS] == [2, 1, 1, 1] and [len(more[part]) for part in PARTS] == [4, 9, 9, 9]
    assert all(set(few[part]) <= set(more[part]) <= set(parts[part]) for part in PARTS)
    assert limited(parts, None) == parts and limited(parts, (99, None)) == parts
    for limit in ((0, 1), (1, -1)):
        with pytest.raises(InputError, match="limit"):
            limited(parts, limit)


def test_paths_are_divided_like_names():
    parts = split_by_group([Path(f"{i}.jpg") for i in range(40)], lambda path: path.stem, {"test": 4, "final": 2})
    assert [len(parts[part]) for part in parts] == [34, 4, 2] and list(parts) == ["train", "test", "final"]
