"""The compared methods as the chapters of results load them."""

import pytest
import torch

from segin_core.baselines import bicyclegan, munit, pix2pix
from segin_core.book.compared import FOLDERS, NETWORKS, from_noise, load_compared
from segin_core.book.parameters import Compared
from segin_core.errors import InputError
from segin_core.running.checkpoints import save_networks

SMALL = {
    "pix2pix": {"generator": pix2pix.Generator(8, 5, noise=8, dropout=0.0)},
    "bicyclegan": {"generator": bicyclegan.Generator(8, 5), "encoder": bicyclegan.Encoder(8, 3)},
    "munit": {f"generator_{domain}": munit.Generator(8, mlp_width=16) for domain in "xy"},
}


@pytest.mark.parametrize("method", NETWORKS)
def test_a_method_comes_back_from_its_file_and_paints_from_noise(method, tmp_path) -> None:
    torch.manual_seed(0)
    made = SMALL[method]
    path = save_networks(tmp_path / "model.safetensors", made, {"images_seen": 8})
    loaded, about = load_compared(method, path)
    assert about["images_seen"] == 8 and len(loaded) == len(made)
    x, z = torch.rand(3, 1, 32, 32) * 2 - 1, torch.randn(3, 8)
    nets = [network.eval() for network in made.values()]
    own = {
        "pix2pix": lambda: pix2pix.translate(nets[0], x, z),
        "bicyclegan": lambda: nets[0](x, z),
        "munit": lambda: munit.translate(*nets, x, style=z),
    }
    with torch.no_grad():
        painted = from_noise(method, loaded, x, z)
        assert painted.shape == (3, 3, 32, 32)
        torch.testing.assert_close(painted, own[method](), atol=1e-4, rtol=0)
        assert (from_noise(method, loaded, x, z.roll(1, 0)) != painted).any()


def test_a_file_of_another_method_says_so(tmp_path) -> None:
    path = save_networks(tmp_path / "model.safetensors", SMALL["pix2pix"], {})
    with pytest.raises(InputError, match="holds no network"):
        load_compared("munit", path)


def test_the_parameter_names_the_same_methods() -> None:
    assert set(Compared.__args__) == set(NETWORKS) == FOLDERS.keys() - {"segin"}
