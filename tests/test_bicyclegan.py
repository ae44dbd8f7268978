"""BicycleGAN: the published counts and maps, its objective written out, who learns from what, training and resume."""

import copy

import pytest
import torch
from tiny_run import RUN
from torch import nn
from torch.distributions import Normal, kl_divergence

from segin_core.baselines.bicyclegan import (
    BicycleGAN,
    Discriminator,
    Encoder,
    Generator,
    kl_loss,
    reconstruct,
    reparameterise,
)
from segin_core.baselines.shared import halved, least_squares
from segin_core.data.pairs import PairBatch, PairFolder
from segin_core.errors import InputError
from segin_core.running.checkpoints import load_networks, save_networks
from segin_core.running.loop import checkpoint_path, resume, train


def tiny(**arguments) -> BicycleGAN:
    """BicycleGAN of width 8 for 32 px."""
    torch.manual_seed(0)
    networks = Generator(8, 5), Encoder(8), Discriminator(8, layers=2), Discriminator(8, layers=2)
    return BicycleGAN(*networks, **arguments)


@pytest.fixture(scope="module")
def four(pair_folder) -> PairBatch:
    batch = PairFolder(pair_folder).batch([0, 1, 2, 3])
    return PairBatch(batch["x"], batch["y"])


def count(model: nn.Module) -> int:
    return sum(p.numel() for p in model.parameters())


def test_counts_are_the_official_ones():
    with torch.device("meta"):
        assert count(Generator()) == 54_794_627
        assert count(Encoder()) == 2_590_032
        assert count(Discriminator()) == 3_458_978
        assert count(Generator(24, 6)) == 4_210_323
        assert count(Encoder(24)) == 366_472
        assert count(Discriminator(24, layers=2)) == 119_486


def test_z_enters_every_down_convolution_and_the_innermost_has_no_norm():
    generator, maps = Generator(8, 6), []
    convolutions = [next(m for m in block if isinstance(m, nn.Conv2d)) for block in generator.down]
    assert [c.in_channels - 8 for c in convolutions] == [3, 8, 16, 32, 64, 64]
    assert all(c.bias is not None for c in convolutions)
    norms = [any(isinstance(m, nn.InstanceNorm2d) for m in block) for block in (*generator.down, *generator.up)]
    assert norms == [False, True, True, True, True, False] + [True] * 5 + [False]
    generator.down[-1].register_forward_hook(lambda *found: maps.append(found[-1].shape))
    image = generator(torch.rand(1, 1, 64, 64), torch.randn(1, 8))  # in training mode: no norm of a single cell
    assert image.shape == (1, 3, 64, 64) and image.abs().max() <= 1 and maps[0][2:] == (1, 1)


def test_z_changes_the_picture(four):
    generator, z = Generator(8, 5), torch.randn(4, 8)
    assert torch.equal(generator(four.x, z), generator(four.x, z))
    assert not torch.equal(generator(four.x, z), generator(four.x, -z))
    for convolution in (next(m for m in block if isinstance(m, nn.Conv2d)) for block in generator.down):
        before = generator(four.x, z)
        convolution.weight.data[:, -8:] = 0  # one door after the other is closed
        assert not torch.equal(generator(four.x, z), before)
    assert torch.equal(generator(four.x, z), generator(four.x, -z))


@pytest.mark.parametrize("size", [32, 64, 256])
def test_encoder_gives_two_codes_whatever_the_size(size):
    mu, logvar = Encoder(4)(torch.rand(2, 3, size, size))
    assert mu.shape == logvar.shape == (2, 8) and not torch.equal(mu, logvar)


def test_discriminator_judges_two_scales():
    maps = Discriminator(4)(torch.rand(1, 3, 256, 256))
    assert [m.shape for m in maps] == [(1, 1, 30, 30), (1, 1, 14, 14)]
    discriminator = Discriminator(8, layers=2)
    assert [m.shape[2:] for m in discriminator(torch.rand(1, 3, 64, 64))] == [(14, 14), (6, 6)]
    assert [scale[0].out_channels for scale in discriminator.scales] == [8, 4]
    white = torch.ones(1, 3, 32, 32)
    assert torch.equal(halved(white), white[..., :16, :16])  # no grey rim


def test_parameters_come_in_the_order_in_which_data_meets_them():
    y, z = torch.rand(1, 3, 32, 32), torch.randn(1, 8)
    for model, inputs in ((Generator(8, 5), (y, z)), (Encoder(8), (y,)), (Discriminator(8, 2), (y,))):
        layers, met = [m for m in model.modules() if list(m.parameters(recurse=False))], []
        for layer in layers:
            layer.register_forward_hook(lambda layer, *_, met=met: met.append(layer))
        model(*inputs)
        assert met == layers


def test_weights_start_as_published():
    for network in (Generator(32, 5), Encoder(32), Discriminator(32)):
        for layer in network.modules():
            if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d):
                cells = layer.kernel_size[0] ** 2
                wanted = 0.02 * (2 / (cells * (layer.in_channels + layer.out_channels))) ** 0.5
                assert layer.weight.std().item() == pytest.approx(wanted, rel=0.15) and not layer.bias.any()


def test_kl_and_the_code_are_those_of_a_normal_distribution():
    mu, logvar, noise = torch.randn(5, 8), torch.randn(5, 8), torch.randn(5, 8)
    q = Normal(mu, (logvar / 2).exp())
    torch.testing.assert_close(kl_loss(mu, logvar), kl_divergence(q, Normal(0.0, 1.0)).sum(1).mean())
    torch.testing.assert_close(reparameterise(mu, logvar, noise), q.mean + q.stddev * noise)


def test_lsgan_sums_over_the_scales():
    a, b = torch.randn(2, 1, 6, 6), torch.randn(2, 1, 3, 3)
    for target in (0.0, 1.0):
        wanted = sum((v - target) ** 2 for v in a.flatten()) / 72 + sum((v - target) ** 2 for v in b.flatten()) / 18
        torch.testing.assert_close(least_squares([a, b], target), wanted)


def test_the_objective_is_the_papers_written_out(four):
    method = tiny()
    g, e, d, d2 = copy.deepcopy(list(method.networks.values()))
    torch.manual_seed(5)
    found = method.update(four)
    torch.manual_seed(5)
    z, noise = torch.randn(2, 8), torch.randn(2, 8)
    x, y, others = four.x[:2], four.y[:2], four.y[2:]
    mu, logvar = e(y)
    encoded, random = g(x, mu + (logvar / 2).exp() * noise), g(x, z)
    terms = {
        "adversarial": sum(((m - 1) ** 2).mean() for m in d(encoded)),
        "adversarial_2": sum(((m - 1) ** 2).mean() for m in d2(random)),
        "reconstruction": (encoded - y).abs().mean(),
        "kl": -0.5 * (1 + logvar - mu**2 - logvar.exp()).sum() / 2,
        "latent": (e(random)[0] - z).abs().mean(),
    }
    judged = {
        "discriminator": sum(((m - 1) ** 2).mean() for m in d(y)) + sum((m**2).mean() for m in d(encoded.detach())),
        "discriminator_2": sum(((m - 1) ** 2).mean() for m in d2(others))
        + sum((m**2).mean() for m in d2(random.detach())),
    }
    assert found.keys() == terms.keys() | judged.keys()
    for name, value in (terms | judged).items():
        torch.testing.assert_close(found[name], value.detach(), msg=name)
    both = terms["adversarial"] + terms["adversarial_2"] + 10 * terms["reconstruction"] + 0.01 * terms["kl"]
    wanted = {
        "generator": torch.autograd.grad(both + 0.5 * terms["latent"], list(g.parameters()), retain_graph=True),
        "encoder": torch.autograd.grad(both, list(e.parameters()), retain_graph=True),  # without "latent"
        "discriminator": torch.autograd.grad(judged["discriminator"], list(d.parameters())),
        "discriminator_2": torch.autograd.grad(judged["discriminator_2"], list(d2.parameters())),
    }
    for name, gradients in wanted.items():
        for gradient, parameter in zip(gradients, method.networks[name].parameters(), strict=True):
            torch.testing.assert_close(parameter.grad, gradient, rtol=1e-3, atol=1e-6, msg=name)


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_the_latent_loss_teaches_g_and_not_e(four, precision):
    method = tiny(gan=0.0, gan_2=0.0, l1=0.0, kl=0.0, latent=1.0)
    with torch.autocast("cpu", torch.bfloat16, enabled=precision == "bf16"):
        method.update(four)
    assert all(p.grad is None or not p.grad.any() for p in method.encoder.parameters())
    assert any(p.grad.any() for p in method.generator.parameters())
    assert all(p.requires_grad for p in method.encoder.parameters())


def test_losses_are_finite_under_bf16(four):
    method = tiny()
    for _ in range(3):
        with torch.autocast("cpu", torch.bfloat16):
            found = method.update(four)
        assert all(value.dtype == torch.float32 and value.isfinite() for value in found.values())
    for name in ("generator", "encoder"):
        assert all(p.grad.isfinite().all() for p in method.networks[name].parameters())


def test_reconstruction_takes_the_mean_code(four):
    generator, encoder = Generator(8, 5), Encoder(8)
    made = reconstruct(generator, encoder, four.x, four.y)
    assert torch.equal(made, reconstruct(generator, encoder, four.x, four.y))
    assert torch.equal(made, generator(four.x, encoder(four.y)[0]))


def test_training_lowers_l1_on_two_pictures(four, tmp_path):
    # both halves hold the same two pictures
    batch = PairBatch(four.x[[0, 1, 0, 1]], four.y[[0, 1, 0, 1]])
    options = {"precision": "fp32", "checkpoint_every": 60, "progress": False}
    history = train(tiny(lr=2e-3), lambda step: batch, steps=60, folder=tmp_path, **RUN, **options).history
    assert history[-1]["reconstruction"] < 0.5 * history[0]["reconstruction"]


def test_a_resumed_run_equals_an_uninterrupted_one_to_the_bit(four, tmp_path):
    def stopping(step):
        if step == 4:
            raise KeyboardInterrupt
        return four

    options = {"steps": 6, **RUN, "checkpoint_every": 2, "log_every": 2, "lr_decay": 0.5, "progress": False}
    whole = tiny()
    train(whole, lambda step: four, folder=tmp_path / "whole", **options)
    part = tiny()
    with pytest.raises(KeyboardInterrupt):
        train(part, stopping, folder=tmp_path / "part", **options)
    part = tiny()
    assert resume(part, checkpoint_path(tmp_path / "part", RUN["identity"])).step == 4
    train(part, lambda step: four, folder=tmp_path / "part", **options)
    for name, network in whole.networks.items():
        other = part.networks[name].state_dict()
        assert all(torch.equal(value, other[key]) for key, value in network.state_dict().items())


def test_saved_networks_come_back(four, tmp_path):
    method = tiny()
    both = {"generator": method.generator, "encoder": method.encoder}
    path = save_networks(tmp_path / "model.safetensors", both, {"method": "bicyclegan"})
    networks, _ = load_networks(path, {"generator": Generator, "encoder": Encoder})
    wanted = reconstruct(method.generator, method.encoder, four.x, four.y)
    assert torch.equal(reconstruct(networks["generator"], networks["encoder"], four.x, four.y), wanted)
    assert Discriminator(**method.discriminator.config).config == method.discriminator.config


def test_what_does_not_fit_is_named(four):
    for n in (1, 3):
        with pytest.raises(InputError, match=f"a batch of {n} has no two equal halves"):
            tiny().update(PairBatch(four.x[:n], four.y[:n]))
    with pytest.raises(InputError, match=r"z of shape \(4, 3\)"):
        Generator(8, 5)(four.x, torch.zeros(4, 3))
    with pytest.raises(InputError, match="multiples of 32"):
        Encoder(8)(torch.zeros(1, 3, 48, 48))
    with pytest.raises(InputError, match="at least 47"):
        Discriminator(8)(four.y)
    with pytest.raises(InputError, match="width=7 must be even"):
        Discriminator(7)
    with pytest.raises(InputError, match="nz=0"):
        Encoder(nz=0)
