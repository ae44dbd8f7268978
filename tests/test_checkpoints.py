import json
import pickle
import shutil
from functools import partial

import pytest
import torch

from segin_core.errors import InputError
from segin_core.running.checkpoints import kept, load_state, load_tensors, load_translator, save_networks, save_tensors
from segin_core.running.files import write_json
from segin_core.running.identity import Identity
from segin_core.translator import Translator


def test_a_saved_translator_gives_the_same_output(checkpoint):
    model, description = load_translator(checkpoint)
    assert not model.training and description["image_size"] == 32
    assert json.loads(checkpoint.with_suffix(".json").read_text()) == description
    torch.manual_seed(0)
    fresh = Translator(8, downsamplings=3).eval()
    x, w = torch.rand(1, 1, 32, 32), torch.rand(1, 3, 32, 32)
    assert torch.equal(model(x, w).image, fresh(x, w).image)


def test_another_width_is_said(tmp_path):
    states = {f"translator/{key}": value for key, value in Translator(8).state_dict().items()}
    save_tensors(tmp_path / "m.safetensors", states, {"networks": {"translator": Translator(16).config}})
    with pytest.raises(InputError, match=r"m\.safetensors: .*another width"):
        load_translator(tmp_path / "m.safetensors")


class Hostile:
    """Whoever unpickles it removes the folder that it names."""

    def __init__(self, folder):
        self.folder = folder

    def __reduce__(self):
        return shutil.rmtree, (self.folder,)


def test_nothing_is_unpickled(tmp_path):
    path = tmp_path / "model.safetensors"
    path.write_bytes(pickle.dumps(Hostile(str(tmp_path))))
    with pytest.raises(InputError, match=r"model\.safetensors: no checkpoint"):
        load_translator(path)
    assert path.is_file()


@pytest.mark.parametrize("content", [b"", b"not a checkpoint", b"\xff" * 16, None])
def test_damaged_or_missing_files_are_said(tmp_path, content, checkpoint):
    path = tmp_path / "model.safetensors"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(InputError, match=r"model\.safetensors"):
        load_translator(path)
    path.write_bytes(checkpoint.read_bytes()[:-1000])
    with pytest.raises(InputError, match="cut short"):
        load_translator(path)


def test_a_setting_of_another_version_is_said(tmp_path):
    save_tensors(tmp_path / "m.safetensors", {}, {"networks": {"translator": Translator(8).config | {"skips": 3}}})
    with pytest.raises(InputError, match=r"m\.safetensors: translator .*another version"):
        load_translator(tmp_path / "m.safetensors")


def test_what_is_kept_is_made_once_for_each_identity(tmp_path):
    made = []

    def make():
        made.append(1)
        return {"a": torch.tensor([len(made)])}

    first, other = Identity({}, "these", "code"), Identity({}, "those", "code")
    found = [kept(tmp_path, identity, make)["a"].item() for identity in (first, first, other, first)]
    assert found == [1, 1, 2, 1]


def test_what_is_kept_and_damaged_is_made_anew_and_it_is_said(tmp_path):
    identity = Identity({}, "these", "code")
    again = partial(kept, tmp_path, identity, lambda: {"a": torch.ones(9)})
    again()
    file = tmp_path / f"{identity.key}.safetensors"
    file.write_bytes(file.read_bytes()[:-9])
    with pytest.warns(UserWarning, match=r"cut short .*done here"):
        assert torch.equal(again()["a"], torch.ones(9))


def test_a_file_without_a_network_is_said(tmp_path):
    save_tensors(tmp_path / "m.safetensors", {"a": torch.zeros(1)}, {"step": 1})
    with pytest.raises(InputError, match="holds no network 'translator'"):
        load_translator(tmp_path / "m.safetensors")


def test_missing_and_surplus_weights_are_named():
    model = Translator(8)
    state = model.state_dict()
    state.pop("bottleneck.0.theta.weight")
    with pytest.raises(InputError, match=r"bottleneck\.0\.theta\.weight is absent in the file"):
        load_state(model, state, "m.safetensors")


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path):
    path = tmp_path / "a.json"
    write_json(path, {"good": 1})
    with pytest.raises(TypeError):
        write_json(path, {"bad": object()})
    save_networks(tmp_path / "model.safetensors", {"translator": Translator(8)}, {})
    before = (tmp_path / "model.safetensors").read_bytes()
    with pytest.raises(TypeError):
        save_tensors(tmp_path / "model.safetensors", {"a": torch.zeros(1)}, {"bad": object()})
    assert json.loads(path.read_text()) == {"good": 1}
    assert (tmp_path / "model.safetensors").read_bytes() == before
    assert {p.name for p in tmp_path.iterdir()} == {"a.json", "model.safetensors", "model.json"}


def test_tensors_and_description_come_back(tmp_path):
    tensors = {"a": torch.rand(2, 3), "b": torch.arange(4, dtype=torch.uint8)}
    save_tensors(tmp_path / "t.safetensors", tensors, {"step": 3, "history": [{"l": 0.5}]})
    found, description = load_tensors(tmp_path / "t.safetensors")
    assert description == {"step": 3, "history": [{"l": 0.5}]}
    assert all(torch.equal(found[key], value) for key, value in tensors.items())
