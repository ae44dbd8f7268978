import importlib.util
import sys
import types

import pytest
import torch

from segin_core.errors import InputError
from segin_core.metrics import l1, shift_tolerant, st_lpips


def package_model(monkeypatch):
    """The package's own model, imported behind stubs for the two packages that it asks for and does not use."""
    for name, attribute in (("torchsummary", "summary"), ("torchvision.models.utils", "load_state_dict_from_url")):
        stub = types.ModuleType(name)
        setattr(stub, attribute, None)
        monkeypatch.setitem(sys.modules, name, stub)
    if importlib.util.find_spec("IPython") is None:
        pytest.skip("IPython is absent")
    from stlpips_pytorch.stlpips import LPIPS

    return LPIPS(net="alex", variant="shift_tolerant", verbose=False)


@pytest.mark.parametrize(("height", "width"), [(64, 64), (97, 70)])
def test_st_lpips_is_the_packages_own(monkeypatch, height, width):
    a, b = torch.rand(3, 3, height, width) * 2 - 1, torch.rand(3, 3, height, width) * 2 - 1
    with torch.no_grad():
        wanted = package_model(monkeypatch)(a, b).flatten()
    found = st_lpips(a, b)
    assert found.shape == (3,)
    torch.testing.assert_close(found, wanted, rtol=0, atol=1e-4)


def test_st_lpips_of_equal_images_is_zero_and_symmetric():
    a, b = torch.rand(2, 3, 48, 48) * 2 - 1, torch.rand(2, 3, 48, 48) * 2 - 1
    assert st_lpips(a, a).abs().max() == 0
    torch.testing.assert_close(st_lpips(a, b), st_lpips(b, a))
    assert st_lpips(a, b).min() > 0.01


def test_l1_is_in_units_of_zero_to_one():
    white, black = torch.ones(2, 3, 4, 4), -torch.ones(2, 3, 4, 4)
    assert l1(white, black).tolist() == [1, 1]


def test_missing_weights_name_the_command(monkeypatch):
    monkeypatch.setattr(shift_tolerant, "find_spec", lambda name: None)
    with pytest.raises(InputError, match="pip install --no-deps stlpips-pytorch"):
        shift_tolerant.weights_path()
