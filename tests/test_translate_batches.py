"""A whole test set in slices gives what one call gives, in bytes, wherever the pictures lie."""

from functools import partial

import pytest
import torch

from segin_core.data.images import from_bytes, to_bytes, to_pil, to_tensor
from segin_core.errors import InputError
from segin_core.evaluation.translate_batches import fed, in_batches, segin, translate_batches
from segin_core.matching import auxiliary_image
from segin_core.metrics import l1
from segin_core.running.checkpoints import load_tensors, save_tensors
from segin_core.translator import Translator
from segin_core.vgg import VGGFeatures

HOW = {"layer": "relu3_1", "patch": 3, "blend": "average"}


@pytest.fixture(scope="module")
def pictures() -> tuple[torch.Tensor, torch.Tensor]:
    """Seven inputs and references in bytes."""
    generator = torch.Generator().manual_seed(0)
    x, r = (torch.randint(256, (7, c, 32, 32), generator=generator, dtype=torch.uint8) for c in (1, 3))
    return x, r


@pytest.fixture(scope="module")
def features() -> VGGFeatures:
    return VGGFeatures(layers=("relu3_1",))


@pytest.mark.parametrize("mask_decoder", [True, False])
@pytest.mark.parametrize("batch_size", [3, 7, 20])  # one picture left over, one slice, more than there are
@pytest.mark.parametrize("kind", ["bytes", "floats"])
def test_slices_are_the_plain_loop(pictures, features, mask_decoder, batch_size, kind):
    torch.manual_seed(0)
    translator = Translator(8, downsamplings=3, mask_decoder=mask_decoder).eval()
    x, r = (from_bytes(each) for each in pictures)
    given = pictures if kind == "bytes" else (x, r)
    by_segin = segin(translator, partial(auxiliary_image, features=features, **HOW))
    found = translate_batches(by_segin, *given, batch_size=batch_size)
    assert found.keys() == {"image", "auxiliary", "index", "score"} | ({"mask"} if mask_decoder else set())
    for i in range(len(x)):
        w = auxiliary_image(x[i : i + 1], r[i : i + 1], features, **HOW)
        with torch.no_grad():
            image, mask = translator(x[i : i + 1], w.image)
        assert torch.equal(found["index"][i], w.index[0])
        torch.testing.assert_close(found["score"][i], w.score[0])
        for name, wanted in {"image": image, "auxiliary": w.image, "mask": mask}.items():
            if wanted is not None:
                assert found[name].dtype == torch.uint8
                torch.testing.assert_close(from_bytes(found[name][i]), wanted[0], rtol=0, atol=1.01 / 255)
    fed_alone = translate_batches(fed(translator), given[0], found["auxiliary"], batch_size=batch_size)
    assert fed_alone.keys() == found.keys() - {"auxiliary", "index", "score"}
    torch.testing.assert_close(fed_alone["image"], found["image"], rtol=0, atol=2)


def test_only_a_slice_is_ever_in_floats(pictures):
    seen = []

    def translate(x, z, name_of_row):
        assert x.dtype == z.dtype == torch.float32 and name_of_row.dtype == torch.long and not torch.is_grad_enabled()
        seen.append(len(x))
        return {"image": x * z[:, :1, None, None], "row": name_of_row, "features": z}

    z = torch.rand(7, 8)
    found = translate_batches(translate, pictures[0], z, torch.arange(7), batch_size=3, progress=reversed)
    assert seen == [1, 3, 3]  # `progress` has the slices in its hands
    assert found["row"].tolist() == [6, 3, 4, 5, 0, 1, 2] and found["image"].dtype == torch.uint8
    assert torch.equal(found["features"], z[found["row"]])


def test_one_reference_for_all_takes_no_memory(pictures):
    x, r = pictures
    same = r[:1].expand(7, -1, -1, -1)
    found = translate_batches(lambda a, b: {"image": b}, x, same, batch_size=2)
    assert torch.equal(found["image"], same)


def test_measures_in_slices(pictures):
    a, b = (each.expand(-1, 3, -1, -1) for each in pictures)
    found = in_batches(l1, a, b, batch_size=3)
    torch.testing.assert_close(found, l1(from_bytes(a), from_bytes(b)))
    assert in_batches(lambda p: p.flatten(1)[:, :5], b, batch_size=2).shape == (7, 5)


@pytest.mark.parametrize("stacks", [(7, 6), (0, 0), (0,)])
def test_rows_must_be_as_many(stacks):
    with pytest.raises(InputError, match="as many rows of each, at least one"):
        translate_batches(lambda *_: {}, *(torch.zeros(n, 3, 8, 8) for n in stacks))
    with pytest.raises(InputError, match="as many rows of each, at least one"):
        in_batches(l1, *(torch.zeros(n, 3, 8, 8) for n in stacks))


def test_bytes_are_a_png(tmp_path):
    stack = torch.rand(2, 3, 3, 8, 8) * 2.4 - 1.2
    save_tensors(tmp_path / "one.safetensors", {"many": to_bytes(stack)}, {"method": "none"})
    found, description = load_tensors(tmp_path / "one.safetensors")
    assert description == {"method": "none"} and found["many"].dtype == torch.uint8
    assert torch.equal(from_bytes(found["many"])[1, 2], to_tensor(to_pil(stack[1, 2].clamp(-1, 1))))
