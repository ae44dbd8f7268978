"""MUNIT: the published counts, its normalisations and losses written out, styles, training and exact resume."""

import copy

import pytest
import torch
from tiny_run import RUN
from torch import nn

from segin_core.baselines.munit import (
    MUNIT,
    Discriminator,
    Generator,
    LayerNorm,
    adaptive_instance_norm,
    convolution,
    instance_norm,
    style_distance,
    translate,
)
from segin_core.baselines.shared import judged, least_squares
from segin_core.data.pairs import PairBatch, PairFolder
from segin_core.errors import InputError
from segin_core.running.checkpoints import load_networks, save_networks
from segin_core.running.loop import checkpoint_path, resume, train

OPTIONS = {**RUN, "checkpoint_every": 2, "log_every": 2, "progress": False}


def tiny_generator() -> Generator:
    return Generator(4, mlp_width=8, style_downsamplings=2, blocks=2)


def tiny(**arguments) -> MUNIT:
    """MUNIT of width 4, for 16 px and more."""
    torch.manual_seed(0)
    generators = [tiny_generator() for _ in range(2)]
    discriminators = [Discriminator(4, layers=2, scales=2) for _ in range(2)]
    return MUNIT(*generators, *discriminators, **arguments)


@pytest.fixture(scope="module")
def three(pair_folder) -> PairBatch:
    batch = PairFolder(pair_folder).batch([0, 1, 2])
    return PairBatch(*(batch[kind][..., 4:20, 4:20] for kind in ("x", "y")))


def images(n=2, size=16) -> torch.Tensor:
    return torch.rand(n, 3, size, size, generator=torch.Generator().manual_seed(n)) * 2 - 1


def count(model: nn.Module) -> int:
    return sum(p.numel() for p in model.parameters())


def kernels(model: nn.Module) -> list[tuple[int, int]]:
    """Kernel size and stride of every convolution."""
    return [(m.kernel_size[0], m.stride[0]) for m in model.modules() if isinstance(m, nn.Conv2d)]


def test_counts_are_the_official_ones():
    with torch.device("meta"):
        generator = Generator()
        assert count(generator) == 15_026_187
        assert count(generator.style_encoder) == 2_764_936
        assert count(generator.content_encoder) == 5_385_856
        assert count(generator.decoder) == 5_754_627
        assert count(generator.mlp) == 1_120_768
        assert count(Discriminator()) == 8_271_171


def test_kernels_strides_and_borders_are_the_official_ones():
    generator = Generator(2)
    assert kernels(generator.content_encoder) == [(7, 1), (4, 2), (4, 2), *[(3, 1)] * 8]
    assert kernels(generator.style_encoder) == [(7, 1), *[(4, 2)] * 4]  # and a linear layer for the 1 x 1
    assert kernels(generator.decoder) == [*[(3, 1)] * 8, (5, 1), (5, 1), (7, 1)]
    assert kernels(Discriminator(2)) == [*[(4, 2)] * 4, (1, 1)] * 3
    spatial = [m for m in generator.modules() if isinstance(m, nn.Conv2d)]
    assert all(m.padding_mode == "reflect" for m in spatial)


@pytest.mark.parametrize(("downsamplings", "size"), [(1, 16), (2, 16), (2, 32), (3, 32)])
def test_shapes(downsamplings, size):
    generator = Generator(4, style_dim=5, downsamplings=downsamplings, blocks=1, mlp_width=8)
    content, style = generator.encode(images(size=size))
    side = size // 2**downsamplings
    assert content.shape == (2, 4 * 2**downsamplings, side, side) and style.shape == (2, 5)
    made = generator.decode(content, style)
    assert made.shape == (2, 3, size, size) and made.abs().max() <= 1
    assert torch.equal(generator(images(size=size)), made)


def test_sides_may_differ():
    assert tiny_generator()(images()[..., :12]).shape == (2, 3, 16, 12)


def test_parameters_come_in_the_order_in_which_data_meets_them():
    met = []
    for model in (tiny_generator(), Discriminator(4, layers=2, scales=2)):
        layers = [m for m in model.modules() if list(m.parameters(recurse=False))]
        for layer in layers:
            layer.register_forward_hook(lambda layer, *_: met.append(layer))
        model(images())
        assert met == layers
        met.clear()


def test_weights_start_as_published():
    generator, discriminator = Generator(32), Discriminator(32)
    for layer in generator.modules():
        if isinstance(layer, nn.Conv2d | nn.Linear):
            wanted = (2 / layer.weight[0].numel()) ** 0.5
            assert layer.weight.std().item() == pytest.approx(wanted, rel=0.15) and not layer.bias.any()
        if isinstance(layer, LayerNorm):
            assert 0 <= layer.weight.min() < 0.2 and 0.8 < layer.weight.max() <= 1 and not layer.bias.any()
    for layer in discriminator.modules():
        if isinstance(layer, nn.Conv2d):
            assert layer.weight.std().item() == pytest.approx(0.02, rel=0.15)


def test_borders_are_reflected():
    layer, image = convolution(1, 1, 3), torch.rand(1, 1, 3, 3)
    wide = image[:, :, [1, 0, 1, 2, 1]][..., [1, 0, 1, 2, 1]]
    torch.testing.assert_close(layer(image), nn.functional.conv2d(wide, layer.weight, layer.bias))


def test_adaptive_instance_norm_is_its_definition():
    h, bias, weight = torch.randn(2, 3, 4, 5) * 3 + 1, torch.randn(2, 3), torch.randn(2, 3)
    wanted, plain = torch.empty_like(h), torch.empty_like(h)
    for b in range(2):
        for c in range(3):
            cells = [h[b, c, i, j] for i in range(4) for j in range(5)]
            mean = sum(cells) / 20
            deviation = (sum((cell - mean) ** 2 for cell in cells) / 20 + 1e-5) ** 0.5
            plain[b, c] = (h[b, c] - mean) / deviation
            wanted[b, c] = weight[b, c] * plain[b, c] + bias[b, c]
    torch.testing.assert_close(instance_norm(h), plain)
    torch.testing.assert_close(adaptive_instance_norm(h, bias, weight), wanted)


def test_layer_norm_is_its_definition():
    h, layer = torch.randn(2, 3, 4, 5) * 0.01 + 1, LayerNorm(3)
    nn.init.normal_(layer.bias)
    wanted = torch.empty_like(h)
    for b in range(2):
        cells = h[b].flatten().tolist()
        mean = sum(cells) / 60
        deviation = (sum((cell - mean) ** 2 for cell in cells) / 59) ** 0.5  # unbiased
        for c in range(3):
            wanted[b, c] = layer.weight[c] * (h[b, c] - mean) / (deviation + 1e-5) + layer.bias[c]
    torch.testing.assert_close(layer(h), wanted, rtol=1e-3, atol=1e-4)


def test_normalisations_take_their_statistics_in_fp32():
    h = (torch.randn(2, 4, 8, 8) + 30).bfloat16()  # in bf16 a mean of 30 is off by a tenth of the deviation
    for normalise in (instance_norm, LayerNorm(4)):
        assert normalise(h).dtype == torch.float32
        torch.testing.assert_close(normalise(h), normalise(h.float()))
    assert instance_norm(h).mean((2, 3)).abs().max() < 1e-4


def test_an_even_map_has_finite_gradients():
    for normalise in (instance_norm, LayerNorm(3)):
        h = torch.ones(1, 3, 4, 4, requires_grad=True)
        normalise(h).sum().backward()
        assert h.grad.isfinite().all()


def test_the_mlps_numbers_are_cut_bias_first_convolution_by_convolution():
    generator = tiny_generator()
    content, style = generator.encode(images())
    numbers, place, h = generator.mlp(style), 0, content

    def cut():
        nonlocal place
        place += 16
        return numbers[:, place - 16 : place]

    for block in generator.decoder.blocks:
        inner = block.first(h)
        inner = torch.relu(adaptive_instance_norm(inner, bias=cut(), weight=cut()))
        inner = block.second(inner)
        h = h + adaptive_instance_norm(inner, bias=cut(), weight=cut())
    assert place == numbers.shape[1]
    for up in generator.decoder.upsampling:
        h = h.repeat_interleave(2, 2).repeat_interleave(2, 3)
        h = torch.relu(up[2](up[1](h)))
    torch.testing.assert_close(generator.decode(content, style), torch.tanh(generator.decoder.image(h)))


def test_the_style_changes_the_image_and_leaves_nothing_behind():
    generator = tiny_generator()
    content, style = generator.encode(images())
    first = generator.decode(content, style)
    assert (first - generator.decode(content, torch.randn(2, 8))).abs().mean() > 1e-3
    assert torch.equal(generator.decode(content, style), first)


def test_a_scale_sees_the_means_of_the_one_before():
    model, image = Discriminator(4, layers=2, scales=2), images(1, 9)
    half = torch.empty(1, 3, 5, 5)
    for i in range(5):
        for j in range(5):  # what lies outside of the image is not counted
            half[..., i, j] = image[..., max(2 * i - 1, 0) : 2 * i + 2, max(2 * j - 1, 0) : 2 * j + 2].mean((2, 3))
    maps = model(image)
    assert [tuple(found.shape) for found in maps] == [(1, 1, 2, 2), (1, 1, 1, 1)]
    torch.testing.assert_close(maps[0], model.scales[0](image))
    torch.testing.assert_close(maps[1], model.scales[1](half))


def test_adversarial_losses_are_least_squares_of_every_scale():
    real, fake = ([torch.randn(2, 1, n, n) for n in (3, 2)] for _ in range(2))
    judge, fool = 0.0, 0.0
    for r, f in zip(real, fake, strict=True):
        n = r.numel()
        judge += sum((float(v) - 1) ** 2 for v in r.flatten()) / n + sum(float(v) ** 2 for v in f.flatten()) / n
        fool += sum((float(v) - 1) ** 2 for v in f.flatten()) / n
    scores = {0: real, 1: fake}
    assert judged(lambda place: scores[int(place)], torch.tensor(0), torch.tensor(1)).item() == pytest.approx(
        judge, rel=1e-5
    )
    assert least_squares(fake, 1.0).item() == pytest.approx(fool, rel=1e-5)


def written_out(method: MUNIT, batch: PairBatch) -> tuple[dict, list[torch.Tensor]]:
    """All terms but D's, line by line, with the method's networks as they are; and both translations."""
    gx, gy, dx, dy = method.networks.values()
    x, y = batch.x.repeat(1, 3, 1, 1), torch.stack([batch.y[-1], *batch.y[:-1]])
    z_y, z_x = torch.randn(len(x), 8), torch.randn(len(x), 8)
    content_x, content_y = gx.encode_content(x), gy.encode_content(y)
    style_x, style_y = gx.encode_style(x), gy.encode_style(y)
    in_y, in_x = gy.decode(content_x, z_y), gx.decode(content_y, z_x)
    again_x, again_y = gy.encode_content(in_y), gx.encode_content(in_x)

    def distance(a, b):
        return (a - b).abs().mean()

    own = distance(gx.decode(content_x, style_x), x) + distance(gy.decode(content_y, style_y), y)
    styles = distance(gy.encode_style(in_y), z_y) + distance(gx.encode_style(in_x), z_x)
    contents = distance(again_x, content_x) + distance(again_y, content_y)
    cycle = distance(gx.decode(again_x, style_x), x) + distance(gy.decode(again_y, style_y), y)
    fooled = sum(((found - 1) ** 2).mean() for found in (*dx(in_x), *dy(in_y)))
    terms = {"gan": fooled, "recon_x": own, "recon_s": styles, "recon_c": contents, "recon_x_cyc": cycle}
    return terms, [x, y, in_x, in_y]


def test_the_objective_is_written_out(three):
    method = tiny(recon_x=7.0, recon_s=2.0, recon_c=3.0, gan=5.0, recon_x_cyc=11.0)
    before = copy.deepcopy(method)
    torch.manual_seed(5)
    found = method.update(three)
    # D steps first, so the copy's G is judged by the D that has just learnt
    dx, dy = before.networks["discriminator_x"], before.networks["discriminator_y"]
    torch.manual_seed(5)
    with torch.no_grad():
        _, (x, y, in_x, in_y) = written_out(before, three)
    judged = sum(((v - 1) ** 2).mean() for v in (*dx(x), *dy(y))) + sum((v**2).mean() for v in (*dx(in_x), *dy(in_y)))
    torch.testing.assert_close(found["discriminator"], judged.detach())
    for d, after in ((dx, method.networks["discriminator_x"]), (dy, method.networks["discriminator_y"])):
        wanted = torch.autograd.grad(judged, d.parameters(), retain_graph=True)
        for p, q in zip(wanted, after.parameters(), strict=True):
            torch.testing.assert_close(p, q.grad)
        d.load_state_dict(after.state_dict())
    torch.manual_seed(5)
    terms, _ = written_out(before, three)
    assert found.keys() == {"discriminator", *terms}
    for name, term in terms.items():
        torch.testing.assert_close(found[name], term.detach())
    total = sum(weight * terms[name] for name, weight in (
        ("recon_x", 7), ("recon_s", 2), ("recon_c", 3), ("gan", 5), ("recon_x_cyc", 11),
    ))  # fmt: skip
    for old, new in (
        (before.networks["generator_x"], method.networks["generator_x"]),
        (before.networks["generator_y"], method.networks["generator_y"]),
    ):
        wanted = torch.autograd.grad(total, old.parameters(), retain_graph=True)
        for p, q in zip(wanted, new.parameters(), strict=True):
            torch.testing.assert_close(p, q.grad, rtol=1e-3, atol=1e-4)
        assert not torch.equal(old.decoder.image.weight, new.decoder.image.weight)


def test_a_pair_never_shares_a_row(three):
    method, seen = tiny(), {"x": [], "y": []}
    for name in ("x", "y"):
        encoder = method.networks[f"generator_{name}"].content_encoder
        encoder.register_forward_hook(lambda _, given, __, name=name: seen[name].append(given[0]))
    method.update(three)
    assert torch.equal(seen["x"][0], three.x.expand(-1, 3, -1, -1))
    assert torch.equal(seen["y"][0], three.y[[2, 0, 1]])


def test_the_adam_is_the_published_one():
    for optimiser in tiny().optimisers.values():
        group = optimiser.param_groups[0]
        assert (group["lr"], group["betas"], group["weight_decay"]) == (1e-4, (0.5, 0.999), 1e-4)
    trained = [p for optimiser in tiny().optimisers.values() for g in optimiser.param_groups for p in g["params"]]
    assert sum(p.numel() for p in trained) == sum(count(network) for network in tiny().networks.values())


@pytest.mark.parametrize("term", ["gan", "recon_x", "recon_s", "recon_c", "recon_x_cyc"])
def test_a_weight_of_zero_leaves_the_term_out(three, term):
    found = tiny(**{"recon_x_cyc": 1.0, term: 0.0}).update(three)
    assert term not in found and len(found) >= 4
    assert ("discriminator" in found) == (term != "gan")


def test_losses_are_finite_under_bf16(three):
    method = tiny(recon_x_cyc=10.0)
    for _ in range(3):
        with torch.autocast("cpu", torch.bfloat16):
            found = method.update(three)
        assert all(value.dtype == torch.float32 and value.isfinite() for value in found.values())
    for network in (method.networks["generator_x"], method.networks["generator_y"]):
        assert all(p.grad.isfinite().all() for p in network.parameters())


def test_reconstruction_from_own_codes_is_fp32_under_bf16(three):
    generator = tiny_generator()
    with torch.autocast("cpu", torch.bfloat16):
        made = generator.decode(generator.encode_content(three.y), generator.encode_style(three.y))
        loss = (made - three.y).abs().mean()
        maps = Discriminator(4, layers=2, scales=2)(made)
    loss.backward()
    assert made.dtype == torch.float32 and all(found.dtype == torch.float32 for found in maps)
    assert loss.isfinite() and all(p.grad.isfinite().all() for p in generator.parameters())


def test_generators_are_judged_by_the_new_discriminators_under_bf16_too(three):
    """Autocast keeps the weights it has cast; those of D change in the middle of an update."""
    method = tiny(lr=0.05)
    before = copy.deepcopy(method)
    torch.manual_seed(5)
    with torch.autocast("cpu", torch.bfloat16):
        found = method.update(three)
    torch.manual_seed(5)
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        _, (_, _, in_x, in_y) = written_out(before, three)
        old = least_squares(before.networks["discriminator_x"](in_x), 1.0) + least_squares(
            before.networks["discriminator_y"](in_y), 1.0
        )
        new = least_squares(method.networks["discriminator_x"](in_x), 1.0) + least_squares(
            method.networks["discriminator_y"](in_y), 1.0
        )
    assert abs(new - old) > 0.1
    torch.testing.assert_close(found["gan"], new, rtol=1e-2, atol=1e-2)


@torch.no_grad()
def test_translate_takes_the_content_of_x_and_a_style_of_y(three):
    gx, gy = tiny_generator(), tiny_generator()
    content, z = gx.encode_content(three.x.expand(-1, 3, -1, -1)), torch.randn(3, 8)
    torch.testing.assert_close(translate(gx, gy, three.x, style=z), gy.decode(content, z))
    small = three.y[:1, :, 2:14]
    wanted = gy.decode(content, gy.encode_style(small).repeat(3, 1))
    torch.testing.assert_close(translate(gx, gy, three.x, reference=small), wanted)
    torch.manual_seed(3)
    drawn = translate(gx, gy, three.x)
    torch.manual_seed(3)
    torch.testing.assert_close(drawn, gy.decode(content, torch.randn(3, 8)))


def test_style_distance_is_the_mean_difference():
    s, t = torch.randn(2, 8), torch.randn(2, 8)
    wanted = [sum(abs(float(s[i, k] - t[i, k])) for k in range(8)) / 8 for i in range(2)]
    assert style_distance(s, t).tolist() == pytest.approx(wanted)


def test_training_lowers_the_reconstruction_losses(three, tmp_path):
    options = OPTIONS | {"checkpoint_every": 30, "log_every": 5, "precision": "fp32"}
    history = train(tiny(lr=3e-3), lambda step: three, steps=30, folder=tmp_path, **options).history
    assert history[-1]["recon_x"] < 0.6 * history[0]["recon_x"]


def test_a_resumed_run_equals_an_uninterrupted_one_to_the_bit(three, tmp_path):
    def stopping(step):
        if step == 4:
            raise KeyboardInterrupt
        return three

    whole = tiny()
    train(whole, lambda step: three, steps=6, folder=tmp_path / "whole", lr_decay=0.5, **OPTIONS)
    part = tiny()
    with pytest.raises(KeyboardInterrupt):
        train(part, stopping, steps=6, folder=tmp_path / "part", lr_decay=0.5, **OPTIONS)
    part = tiny()
    assert resume(part, checkpoint_path(tmp_path / "part", RUN["identity"])).step == 4
    train(part, lambda step: three, steps=6, folder=tmp_path / "part", lr_decay=0.5, **OPTIONS)
    for name, network in whole.networks.items():
        other = part.networks[name].state_dict()
        assert all(torch.equal(value, other[key]) for key, value in network.state_dict().items())


def test_saved_generators_come_back(three, tmp_path):
    method = tiny()
    generators = {name: method.networks[name] for name in ("generator_x", "generator_y")}
    path = save_networks(tmp_path / "model.safetensors", generators, {"method": "munit"})
    loaded, description = load_networks(path, dict.fromkeys(generators, Generator))
    wanted = translate(method.networks["generator_x"], method.networks["generator_y"], three.x, reference=three.y)
    assert torch.equal(translate(*loaded.values(), three.x, reference=three.y), wanted)
    assert description["method"] == "munit"
    assert (
        Discriminator(**method.networks["discriminator_x"].config).config == method.networks["discriminator_x"].config
    )


def test_what_does_not_fit_is_named(three):
    generator = tiny_generator()
    with pytest.raises(InputError, match=r"18 x 16 pixels.*multiples of 4"):
        generator.encode_content(torch.zeros(1, 3, 18, 16))
    with pytest.raises(InputError, match="at least 16"):
        Generator(2).encode_style(torch.zeros(1, 3, 8, 8))
    assert len(Discriminator(2)(torch.zeros(1, 3, 64, 64))) == 3
    with pytest.raises(InputError, match=r"60 x 60 pixels do not fit.*at least 61"):
        Discriminator(2)(torch.zeros(1, 3, 60, 60))
    for broken in ({"width": 0}, {"blocks": 0}, {"style_dim": -1}):
        with pytest.raises(InputError, match=f"generator: {next(iter(broken))}"):
            Generator(**broken)
    with pytest.raises(InputError, match="discriminator: scales=0"):
        Discriminator(scales=0)
    with pytest.raises(InputError, match="both given"):
        translate(generator, generator, three.x, style=torch.zeros(3, 8), reference=three.y)
    with pytest.raises(InputError, match="2 styles for 3 images"):
        translate(generator, generator, three.x, reference=three.y[:2])
