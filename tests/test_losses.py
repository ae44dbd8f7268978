"""Eq. 5-11 against literal loops."""

import math

import pytest
import torch

from segin_core import losses


@pytest.fixture
def pictures():
    generator = torch.Generator().manual_seed(0)
    return [torch.rand(2, 3, 5, 6, generator=generator, dtype=torch.float64) * 2 - 1 for _ in range(2)]


def test_reconstruction_is_the_mean_absolute_difference(pictures):
    output, y = pictures
    literal = sum(abs(a - b) for a, b in zip(output.flatten().tolist(), y.flatten().tolist(), strict=True)) / y.numel()
    assert losses.reconstruction_loss(output, y).item() == pytest.approx(literal)


def test_feature_loss_is_a_sum_over_the_map_and_a_mean_over_the_batch(pictures):
    output, y = pictures
    literal = [sum(abs(a - b) for a, b in zip(o.flatten().tolist(), t.flatten().tolist(), strict=True))
               for o, t in zip(output, y, strict=True)]  # fmt: skip
    assert losses.feature_loss(output, y).item() == pytest.approx(sum(literal) / 2)


def test_adversarial_losses_are_eq_7():
    real, fake = torch.tensor([[0.3], [-1.2]]).double(), torch.tensor([[2.0], [-0.5]]).double()
    d = lambda logit: 1 / (1 + math.exp(-logit))  # noqa: E731
    eq_7 = sum(math.log(d(a)) + math.log(1 - d(b)) for a, b in zip(real, fake, strict=True)) / 2
    assert losses.discriminator_loss(real, fake).item() == pytest.approx(-eq_7)
    assert losses.adversarial_loss(fake).item() == pytest.approx(-sum(math.log(d(b)) for b in fake) / 2)


def test_adversarial_gradient_does_not_vanish_when_d_is_sure():
    fake = torch.tensor([[-20.0]], requires_grad=True)
    losses.adversarial_loss(fake).backward()
    assert fake.grad.item() == pytest.approx(-1, abs=1e-6)


def test_total_variation_is_eq_8(pictures):
    output, _ = pictures
    total = 0.0
    for image in output:
        for i in range(4):
            for j in range(5):
                squares = sum((image[c, i + 1, j] - image[c, i, j]) ** 2 + (image[c, i, j + 1] - image[c, i, j]) ** 2
                              for c in range(3))  # fmt: skip
                total += math.sqrt(squares)
    assert losses.total_variation_loss(output).item() == pytest.approx(total / (2 * 4 * 5), rel=1e-6)


def test_total_variation_of_a_flat_image_has_a_finite_gradient():
    flat = torch.zeros(1, 3, 4, 4, requires_grad=True)
    losses.total_variation_loss(flat).backward()
    assert torch.isfinite(flat.grad).all()


def test_mask_losses(pictures):
    output, y = pictures
    mask, mask_y = torch.full((2, 1, 5, 6), 0.25).double(), torch.ones(2, 1, 5, 6).double()
    assert losses.segmentation_loss(mask, mask_y).item() == pytest.approx(0.75)
    literal = (0.25 * output - y).abs().mean().item()
    assert losses.attention_loss(mask, output, mask_y, y).item() == pytest.approx(literal)


def test_total_is_the_weighted_sum_of_eq_11():
    names = ["reconstruction", "feature", "adversarial", "segmentation", "attention", "total_variation"]
    terms = {name: torch.tensor(float(i + 1)) for i, name in enumerate(names)}
    wanted = 100 * 1 + 5e-6 * 2 + 1 * 3 + 100 * 4 + 10 * 5 + 10 * 6
    assert losses.total_loss(losses.Weights(), **terms).item() == pytest.approx(wanted)
    del terms["segmentation"]
    assert losses.total_loss(losses.Weights(), **terms).item() == pytest.approx(wanted - 400)
    with pytest.raises(TypeError, match="discriminator"):
        losses.total_loss(losses.Weights(), discriminator=torch.ones(()))
