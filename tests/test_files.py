"""Files are whole or not there, for everyone whom the umask allows, under any name that a folder takes."""

import json
import os
import stat

import pytest
import torch

from segin_core.data.images import save_image
from segin_core.running.checkpoints import save_tensors
from segin_core.running.files import write_json, written_whole

WRITERS = {
    "json": lambda path: write_json(path, {"a": 1}),
    "safetensors": lambda path: save_tensors(path, {"a": torch.zeros(1)}, {}),
    "png": lambda path: save_image(torch.zeros(3, 4, 4), path),
}


@pytest.mark.parametrize("kind", WRITERS)
@pytest.mark.parametrize("umask", [0o022, 0o077])
def test_files_have_the_permissions_of_the_umask(tmp_path, kind, umask):
    before = os.umask(umask)
    try:
        WRITERS[kind](tmp_path / "new" / f"a.{kind}")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "new" / f"a.{kind}").stat().st_mode) == 0o666 & ~umask


@pytest.mark.parametrize("kind", WRITERS)
def test_a_name_as_long_as_a_folder_takes_is_written(tmp_path, kind):
    path = tmp_path / f"{'n' * (250 - len(kind))}.{kind}"
    WRITERS[kind](path)
    assert [*tmp_path.iterdir()] == [path]


@pytest.mark.parametrize("stopped_by", [ValueError, KeyboardInterrupt])
def test_a_block_that_fails_leaves_the_old_file_and_no_other(tmp_path, stopped_by):
    write_json(tmp_path / "a.json", "old")
    with pytest.raises(stopped_by), written_whole(tmp_path / "a.json") as temporary:
        temporary.write_text("half of the n")
        raise stopped_by
    assert json.loads((tmp_path / "a.json").read_text()) == "old"
    assert len([*tmp_path.iterdir()]) == 1
