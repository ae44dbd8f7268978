"""What an edition has prepared, or says it has not."""

from pathlib import Path

import pytest

from segin_core.book.editions import edition_pairs
from segin_core.errors import InputError


@pytest.mark.parametrize(
    ("data", "advice"),
    [
        ("avatars", "run the notebook avatars of this edition first."),
        (
            "paper_pictures/bags",
            "run the notebook paper_pictures of this edition first, with pictures of bags at hand.",
        ),
    ],
)
def test_data_that_are_missing_name_the_notebook_that_prepares_them(
    data: str, advice: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "_config.yml").touch()
    (tmp_path / "segin_core").mkdir()
    with pytest.raises(InputError) as error:
        edition_pairs("cpu", "train", data)
    assert str(error.value) == f"runs/cpu/{data}/dataset.json is missing: {advice}"
