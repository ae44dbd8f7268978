"""N and D: the shapes and counts of Fig. 2, and Eq. 3-4 against a literal version."""

import pytest
import torch

from segin_core.discriminator import Discriminator
from segin_core.errors import InputError
from segin_core.translator import NonLocal, Translator


def count(model):
    return sum(p.numel() for p in model.parameters())


def test_full_width_counts_are_close_to_the_released_drafts():
    assert count(Translator()) == 31_707_972  # draft: 31.70 M
    assert count(Discriminator()) == 10_509_505  # draft: 10.51 M


@pytest.mark.parametrize(("size", "downsamplings"), [(16, 2), (32, 3), (64, 4), (128, 5)])
def test_translation_has_the_size_of_the_input(size, downsamplings):
    model = Translator(8, downsamplings=downsamplings).eval()
    image, mask = model(torch.rand(2, 1, size, size) * 2 - 1, torch.rand(2, 3, size, size) * 2 - 1)
    assert image.shape == (2, 3, size, size) and image.abs().max() <= 1
    assert mask.shape == (2, 1, size, size) and mask.min() >= 0 and mask.max() <= 1


def test_width_scales_every_depth():
    narrow = [p.shape for p in Translator(32).parameters()]
    wide = [p.shape for p in Translator(64).parameters()]
    for n, w in zip(narrow, wide, strict=True):
        assert all(2 * a == b or a == b for a, b in zip(n, w, strict=True))
    assert 0.24 < count(Translator(32)) / count(Translator(64)) < 0.26


def test_ablations_leave_their_part_out():
    assert not any(isinstance(m, NonLocal) for m in Translator(8, non_local=False).modules())
    model = Translator(8, downsamplings=2, mask_decoder=False).eval()
    assert model(torch.zeros(1, 1, 16, 16), torch.zeros(1, 3, 16, 16)).mask is None


def test_decoders_without_normalisation_have_biases_instead():
    model = Translator(8, downsamplings=2, decoder_norm=False)
    decoders = [*model.image_decoder.modules(), *model.mask_decoder.modules()]
    assert not any(isinstance(m, torch.nn.BatchNorm2d) for m in decoders)
    convolutions = [m for m in decoders if isinstance(m, torch.nn.Conv2d | torch.nn.ConvTranspose2d)]
    assert len(convolutions) == 12 and all(m.bias is not None for m in convolutions)
    assert count(Translator(decoder_norm=False)) == 31_705_540  # draft: 31.70 M


def test_non_local_is_equations_3_and_4():
    layer, x = NonLocal(6), torch.randn(2, 6, 3, 4)
    torch.nn.init.normal_(layer.out.weight)
    y = torch.zeros(2, 3, 12)
    theta, phi, g = (f(x).flatten(2) for f in (layer.theta, layer.phi, layer.g))
    for b in range(2):
        for i in range(12):
            affinity = torch.stack([torch.exp(theta[b, :, i] @ phi[b, :, j]) for j in range(12)])
            y[b, :, i] = sum(affinity[j] * g[b, :, j] for j in range(12)) / affinity.sum()
    torch.testing.assert_close(layer(x), x + layer.out(y.view(2, 3, 3, 4)), rtol=1e-4, atol=1e-5)


def test_non_local_starts_as_the_identity():
    x = torch.randn(1, 8, 4, 4)
    torch.testing.assert_close(NonLocal(8)(x), x)


@pytest.mark.parametrize("size", [16, 64])
def test_discriminator_gives_one_logit_and_looks_at_x(size):
    y, x = torch.rand(3, 3, size, size), torch.rand(3, 1, size, size)
    conditional = Discriminator(8, image_size=size).eval()
    assert conditional(y, x).shape == (3, 1)
    assert not torch.equal(conditional(y, x), conditional(y, -x))
    free = Discriminator(8, image_size=size, conditional=False).eval()
    assert torch.equal(free(y, x), free(y, -x))


def test_every_layer_of_the_discriminator_has_spectral_norm_one():
    model = Discriminator(8, image_size=16)
    for _ in range(30):  # the power iteration has converged by then
        model(torch.rand(2, 3, 16, 16), torch.rand(2, 1, 16, 16))
    weights = [m.weight for m in model.modules() if isinstance(getattr(m, "weight", None), torch.Tensor)]
    assert len(weights) == 11
    for weight in weights:
        assert torch.linalg.matrix_norm(weight.flatten(1), 2).item() == pytest.approx(1, abs=0.05)


def test_sizes_that_do_not_fit_are_named():
    with pytest.raises(InputError, match="multiples of 16"):
        Translator(8, downsamplings=4)(torch.zeros(1, 1, 40, 40), torch.zeros(1, 3, 40, 40))
    with pytest.raises(InputError, match="image_size=100"):
        Discriminator(image_size=100)
    with pytest.raises(InputError, match="downsamplings"):
        Translator(downsamplings=7)


def test_pictures_that_n_cannot_take_are_named():
    for x, w in (((2, 1, 16, 16), (2, 1, 16, 16)), ((2, 3, 16, 16), (2, 3, 16, 16)), ((1, 1, 16, 16), (2, 3, 16, 16)),
                 ((1, 16, 16), (3, 16, 16)), ((1, 1, 16, 32), (1, 3, 32, 32))):  # fmt: skip
        with pytest.raises(InputError, match="b 1 h w and b 3 h w") as caught:
            Translator(8, downsamplings=4)(torch.zeros(x), torch.zeros(w))
        assert str(x) in str(caught.value) and str(w) in str(caught.value)


def test_one_picture_with_a_bottleneck_of_one_cell_cannot_be_trained_on():
    model = Translator(8, downsamplings=5)
    one, two = ((torch.zeros(b, 1, 32, 32), torch.zeros(b, 3, 32, 32)) for b in (1, 2))
    with pytest.raises(InputError, match=r"bottleneck of 1 x 1 .* fewer downsamplings"):
        model(*one)
    model(*two)
    model.eval()(*one)


def test_every_layer_of_the_papers_discriminator_is_normalised_and_relu():
    model = Discriminator(8, image_size=32)
    layers = [m for m in model.layers if isinstance(m, torch.nn.Conv2d | torch.nn.Linear)]
    assert len(layers) == 11 and all(hasattr(m, "parametrizations") for m in layers)
    assert all(m.negative_slope == 0 for m in model.modules() if isinstance(m, torch.nn.LeakyReLU))


def test_a_free_logit_and_a_leak_are_what_they_say():
    model = Discriminator(8, image_size=32, leak=0.2, free_logit=True)
    *others, last = [m for m in model.layers if isinstance(m, torch.nn.Conv2d | torch.nn.Linear)]
    assert not hasattr(last, "parametrizations") and all(hasattr(m, "parametrizations") for m in others)
    assert all(m.negative_slope == 0.2 for m in model.modules() if isinstance(m, torch.nn.LeakyReLU))


def test_the_discriminators_logits_are_not_rounded_away_by_bf16():
    model = Discriminator(24, image_size=32).eval()
    y, x = torch.rand(4, 3, 32, 32) * 2 - 1, torch.rand(4, 1, 32, 32) * 2 - 1
    with torch.autocast("cpu", torch.bfloat16):
        logits = model(y, x)
    assert logits.dtype == torch.float32 and len(logits.unique()) == 4
    torch.testing.assert_close(logits, model(y, x))
