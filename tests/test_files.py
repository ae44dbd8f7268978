"""Files are whole or not there, for everyone whom the umask allows, under any name that a folder takes."""

import json
import os
import stat
import subprocess
import sys

import pytest
import torch

from segin_core.data.images import save_image
from segin_core.errors import InputError
from segin_core.running.checkpoints import save_tensors
from segin_core.running.files import held, write_json, written_whole

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


@pytest.mark.parametrize("kind", WRITERS)
def test_a_full_disk_is_said_and_leaves_the_old_file_and_no_other(tmp_path, kind):
    resource = pytest.importorskip("resource")
    path = tmp_path / f"a.{kind}"
    path.write_bytes(b"old")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1, hard))  # a file of more than one byte fails as on a full disk
    try:
        with pytest.raises((InputError, OSError), match=r"cannot be written|too large"):
            WRITERS[kind](path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert path.read_bytes() == b"old" and [*tmp_path.iterdir()] == [path]


def test_a_lock_has_one_holder_and_is_free_when_its_process_is_killed(tmp_path):
    lock = tmp_path / "new" / ".lock"
    code = "import pathlib, sys; from segin_core.running.files import held\n"
    code += "with held(pathlib.Path(sys.argv[1])):\n    print('held', flush=True); sys.stdin.read()"
    command = [sys.executable, "-c", code, str(lock)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        assert other.stdout.readline() == b"held\n"
        with pytest.raises(InputError, match="another process is at work"), held(lock, wait=False):
            pass
        other.kill()
    with held(lock, wait=False):
        pass
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="cannot be written"), held(tmp_path / "file" / ".lock"):
        pass


@pytest.mark.parametrize("stopped_by", [ValueError, KeyboardInterrupt])
def test_a_block_that_fails_leaves_the_old_file_and_no_other(tmp_path, stopped_by):
    write_json(tmp_path / "a.json", "old")
    with pytest.raises(stopped_by), written_whole(tmp_path / "a.json") as temporary:
        temporary.write_text("half of the n")
        raise stopped_by
    assert json.loads((tmp_path / "a.json").read_text()) == "old"
    assert len([*tmp_path.iterdir()]) == 1
