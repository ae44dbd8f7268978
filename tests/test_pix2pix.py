"""pix2pix: the published counts and maps, its objective written out, test-time dropout, training and exact resume."""

import copy

import pytest
import torch
from tiny_run import RUN
from torch import nn

from segin_core.baselines.pix2pix import Discriminator, Generator, Pix2Pix, translate
from segin_core.data.pairs import PairBatch, PairFolder
from segin_core.errors import InputError
from segin_core.running.checkpoints import load_networks, save_networks
from segin_core.running.loop import checkpoint_path, resume, train


def tiny(*, dropout=0.0, **arguments) -> Pix2Pix:
    """pix2pix+noise of width 8 for 32 px."""
    torch.manual_seed(0)
    return Pix2Pix(Generator(8, 5, noise=8, dropout=dropout), Discriminator(8, layers=2), **arguments)


@pytest.fixture(scope="module")
def two(pair_folder) -> PairBatch:
    batch = PairFolder(pair_folder).batch([0, 1])
    return PairBatch(batch["x"], batch["y"])


def count(model: nn.Module) -> int:
    return sum(p.numel() for p in model.parameters())


def in_running_order(model: nn.Module, *inputs: torch.Tensor) -> bool:
    """Whether the layers with parameters were registered in the order in which data meets them."""
    layers, met = [m for m in model.modules() if list(m.parameters(recurse=False))], []
    hooks = [layer.register_forward_hook(lambda layer, *_: met.append(layer)) for layer in layers]
    model(*inputs)
    for hook in hooks:
        hook.remove()
    return met == layers


def test_counts_are_the_official_ones():
    with torch.device("meta"):
        assert count(Generator()) == 54_413_955
        assert count(Discriminator()) == 2_768_705
        assert count(Generator(noise=8)) == 54_413_955 + 8 * 64 * 4 * 4
        assert count(Generator(24, 6, noise=8)) == 4_119_027
        assert count(Discriminator(24, layers=2)) == 96_313


@pytest.mark.parametrize(("depth", "size"), [(2, 4), (5, 32), (6, 64)])
def test_the_unet_goes_down_to_one_cell_and_back(depth, size):
    generator = Generator(8, depth)
    maps = []
    generator.down[-1].register_forward_hook(lambda *found: maps.append(found[-1].shape))
    image = generator(torch.rand(2, 1, size, size) * 2 - 1)
    assert image.shape == (2, 3, size, size) and image.abs().max() <= 1
    assert maps[0][2:] == (1, 1)
    assert not any(isinstance(m, nn.BatchNorm2d) for end in (generator.down[0], generator.down[-1]) for m in end)
    assert all(any(isinstance(m, nn.BatchNorm2d) for m in block) for block in generator.down[1:-1])


@torch.no_grad()
def test_every_skip_reaches_the_picture():
    generator, x = Generator(8, 5, dropout=0.0).eval(), torch.rand(1, 3, 32, 32)
    for block in generator.up[1:]:
        before = generator(x)
        convolution = next(m for m in block if isinstance(m, nn.ConvTranspose2d))
        convolution.weight[len(convolution.weight) // 2 :] = 0  # what the skip brings
        assert not torch.equal(generator(x), before)


def test_dropout_is_in_the_first_three_up_convolutions_and_never_in_the_last():
    assert [any(isinstance(m, nn.Dropout) for m in up) for up in Generator(8, 6).up] == [True] * 3 + [False] * 3
    assert [any(isinstance(m, nn.Dropout) for m in up) for up in Generator(8, 2).up] == [True, False]


def test_maps_of_the_discriminator():
    wide, x = Discriminator(4), torch.rand(1, 1, 256, 256)
    assert wide(x, torch.rand(1, 3, 256, 256)).shape == (1, 1, 30, 30)
    assert Discriminator(4, layers=2)(x[..., :64, :64], torch.rand(1, 3, 64, 64)).shape == (1, 1, 14, 14)


@pytest.mark.parametrize(("layers", "field"), [(1, 16), (2, 34), (3, 70)])
def test_a_logit_sees_a_patch(layers, field):
    discriminator = Discriminator(4, layers).eval()  # in training BatchNorm lets every pixel reach every logit
    y = torch.rand(1, 3, 128, 128, requires_grad=True)
    logits = discriminator(torch.rand(1, 1, 128, 128), y)
    logits[0, 0, logits.shape[2] // 2, logits.shape[3] // 2].backward()
    rows, columns = (y.grad.abs().sum(1)[0] > 0).nonzero().T
    assert (int(rows.max() - rows.min()) + 1, int(columns.max() - columns.min()) + 1) == (field, field)


def test_the_discriminator_looks_at_x():
    discriminator, x, y = Discriminator(8, 2).eval(), torch.rand(2, 1, 32, 32), torch.rand(2, 3, 32, 32)
    assert not torch.equal(discriminator(x, y), discriminator(-x, y))
    assert torch.equal(discriminator(x, y), discriminator(x.expand(-1, 3, -1, -1), y))


def test_parameters_come_in_the_order_in_which_data_meets_them():
    x, y = torch.rand(2, 1, 32, 32), torch.rand(2, 3, 32, 32)
    assert in_running_order(Generator(8, 5), x) and in_running_order(Discriminator(8, 2), x, y)


def test_weights_start_as_published():
    for layer in (*Generator(32, 5).modules(), *Discriminator(32).modules()):
        if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d):
            assert layer.weight.std().item() == pytest.approx(0.02, rel=0.1)
        if isinstance(layer, nn.BatchNorm2d):
            assert layer.weight.mean().item() == pytest.approx(1.0, abs=0.02) and layer.weight.std() > 0.01


def test_z_changes_the_picture_and_only_where_there_is_noise(two):
    generator = Generator(8, 5, noise=8, dropout=0.0).eval()
    z = torch.randn(2, 8)
    assert torch.equal(generator(two.x, z), generator(two.x, z))
    assert not torch.equal(generator(two.x, z), generator(two.x, -z))
    assert torch.equal(generator(two.x, z), generator(two.x.expand(-1, 3, -1, -1), z))
    plain = Generator(8, 5, dropout=0.0).eval()
    assert torch.equal(plain(two.x), plain(two.x, torch.zeros(2, 0)))


def test_the_objective_is_the_papers_written_out(two):
    method = tiny(l1=100.0)
    g, d = copy.deepcopy((method.generator, method.discriminator))
    torch.manual_seed(5)
    found = method.update(two)
    torch.manual_seed(5)
    output = g(two.x, torch.randn(2, 8))
    real, fake = torch.sigmoid(d(two.x, two.y)), torch.sigmoid(d(two.x, output))
    wanted = -(real.log().mean() + (1 - fake).log().mean()) / 2
    torch.testing.assert_close(found["discriminator"], wanted.detach())
    for p, q in zip(torch.autograd.grad(wanted, d.parameters()), method.discriminator.parameters(), strict=True):
        torch.testing.assert_close(p, q.grad)
    after = method.discriminator  # G is judged by the D that has just learnt
    adversarial = -torch.sigmoid(after(two.x, output)).log().mean()
    reconstruction = (output - two.y).abs().mean()
    torch.testing.assert_close(found["adversarial"], adversarial.detach())
    torch.testing.assert_close(found["reconstruction"], reconstruction.detach())
    total = adversarial + 100 * reconstruction
    for p, q in zip(torch.autograd.grad(total, g.parameters()), method.generator.parameters(), strict=True):
        torch.testing.assert_close(p, q.grad, rtol=1e-3, atol=1e-5)
    assert not any(torch.equal(p, q) for p, q in zip(g.up.parameters(), method.generator.up.parameters(), strict=True))


def test_losses_are_finite_under_bf16(two):
    method = tiny(dropout=0.5)
    for _ in range(3):
        with torch.autocast("cpu", torch.bfloat16):
            found = method.update(two)
        assert all(value.dtype == torch.float32 and value.isfinite() for value in found.values())
    assert all(p.grad.isfinite().all() for p in method.generator.parameters())


def test_a_nearly_white_output_still_has_a_gradient_under_bf16(two):
    generator = Generator(8, 5, dropout=0.0)
    torch.nn.init.constant_(generator.up[-1][-1].bias, 4.0)
    with torch.autocast("cpu", torch.bfloat16):
        output = generator(two.x)
    assert output.dtype == torch.float32 and 0.99 < output.mean() and output.max() < 1


def test_translate_keeps_dropout_on_and_every_mode_as_it_was(two):
    generator = Generator(8, 5, noise=8)
    generator.down[1].eval()  # a mixture, to be kept
    before, statistics = [m.training for m in generator.modules()], copy.deepcopy(generator.state_dict())
    z = torch.randn(2, 8)
    first, second = translate(generator, two.x, z), translate(generator, two.x, z)
    assert not torch.equal(first, second) and not first.requires_grad
    assert [m.training for m in generator.modules()] == before
    assert all(torch.equal(value, statistics[key]) for key, value in generator.state_dict().items())
    with pytest.raises(InputError):
        translate(generator, two.x)
    assert [m.training for m in generator.modules()] == before


def test_translate_does_not_depend_on_the_rest_of_the_batch(two):
    generator, z = Generator(8, 5, noise=8, dropout=0.0).train(), torch.randn(2, 8)
    alone = translate(generator, two.x[:1], z[:1])
    torch.testing.assert_close(translate(generator, two.x, z)[:1], alone, rtol=1e-4, atol=1e-5)


def test_training_lowers_l1_on_two_pictures(two, tmp_path):
    options = {"precision": "fp32", "checkpoint_every": 40, "progress": False}
    history = train(tiny(lr=2e-3), lambda step: two, steps=40, folder=tmp_path, **RUN, **options).history
    assert history[-1]["reconstruction"] < 0.5 * history[0]["reconstruction"]


def test_a_resumed_run_equals_an_uninterrupted_one_to_the_bit(two, tmp_path):
    def stopping(step):
        if step == 4:
            raise KeyboardInterrupt
        return two

    options = {"steps": 6, **RUN, "checkpoint_every": 2, "log_every": 2, "lr_decay": 0.5, "progress": False}
    whole = tiny(dropout=0.5)
    train(whole, lambda step: two, folder=tmp_path / "whole", **options)
    part = tiny(dropout=0.5)
    with pytest.raises(KeyboardInterrupt):
        train(part, stopping, folder=tmp_path / "part", **options)
    part = tiny(dropout=0.5)
    assert resume(part, checkpoint_path(tmp_path / "part", RUN["identity"])).step == 4
    train(part, lambda step: two, folder=tmp_path / "part", **options)
    for name, network in whole.networks.items():
        other = part.networks[name].state_dict()
        assert all(torch.equal(value, other[key]) for key, value in network.state_dict().items())


def test_saved_networks_come_back(two, tmp_path):
    method, z = tiny(dropout=0.5), torch.randn(2, 8)
    method.update(two)
    path = save_networks(tmp_path / "model.safetensors", {"generator": method.generator}, {"method": "pix2pix"})
    generator = load_networks(path, {"generator": Generator})[0]["generator"]
    assert torch.equal(generator(two.x, z), method.generator.eval()(two.x, z))
    assert Discriminator(**method.discriminator.config).config == method.discriminator.config


def test_what_does_not_fit_is_named():
    x = torch.zeros(2, 1, 64, 64)
    with pytest.raises(InputError, match=r"depth 5: .* 32 x 32 pixels"):
        Generator(8, 5)(x)
    with pytest.raises(InputError, match=r"z of shape \(2, 0\) does not fit: give 8 numbers"):
        Generator(8, 6, noise=8)(x)
    with pytest.raises(InputError, match=r"z of shape \(1, 8\)"):
        Generator(8, 6, noise=8)(x, torch.zeros(1, 8))
    with pytest.raises(InputError, match=r"z of shape \(2, 8\) does not fit: give 0"):
        Generator(8, 6)(x, torch.zeros(2, 8))
    with pytest.raises(InputError, match="16 x 16 pixels do not fit pix2pix's discriminator"):
        Discriminator(8)(x[..., :16, :16], torch.zeros(2, 3, 16, 16))
    for settings, word in (({"width": 0}, "width=0"), ({"depth": 1}, "depth=1"), ({"noise": -1}, "code=-1")):
        with pytest.raises(InputError, match=f"a U-Net: {word} must be at least"):
            Generator(**settings)
    with pytest.raises(InputError, match="at least 1"):
        Discriminator(layers=0)
