"""Graphs for programs without PyTorch give what PyTorch gives, with weights of 32, 16 and 8 bits."""

from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch
from onnx import ModelProto, numpy_helper

from segin_core.running.checkpoints import load_translator
from segin_core.running.onnx_export import features_graph, integers, translator_graph, with_integer_weights
from segin_core.translator import Translator
from segin_core.vgg import VGGFeatures


def run(model: ModelProto, **inputs: torch.Tensor) -> dict[str, torch.Tensor]:
    """The graph's outputs by name."""
    session = onnxruntime.InferenceSession(model.SerializeToString())
    outputs = session.run(None, {name: values.numpy() for name, values in inputs.items()})
    return {out.name: torch.from_numpy(values) for out, values in zip(session.get_outputs(), outputs, strict=True)}


def bytes_of(model: ModelProto) -> int:
    return sum(numpy_helper.to_array(tensor).nbytes for tensor in model.graph.initializer)


@pytest.mark.parametrize(("kept", "allowed", "share"), [(None, 1e-5, 1.0), (np.int16, 1e-4, 0.6), (np.int8, 2e-2, 0.4)])
def test_the_graph_of_n_is_n(checkpoint: Path, kept, allowed: float, share: float) -> None:
    translator, _ = load_translator(checkpoint)
    x, w = torch.rand(1, 1, 32, 32) * 2 - 1, torch.rand(1, 3, 32, 32) * 2 - 1
    whole = translator_graph(translator, 32)
    model = with_integer_weights(whole, kept) if kept else whole
    found = run(model, x=x, w=w)
    with torch.no_grad():
        image, mask = translator(x, w)
    assert (found["image"] - image).abs().mean() < allowed and (found["mask"] - mask).abs().mean() < allowed
    assert bytes_of(model) <= share * bytes_of(whole)


def test_a_network_without_a_mask_has_no_such_output() -> None:
    graph = translator_graph(Translator(8, downsamplings=3, mask_decoder=False), 32)
    assert [output.name for output in graph.graph.output] == ["image"]


def test_the_graph_of_the_features_is_the_vgg() -> None:
    features, images = VGGFeatures("vgg16-hed", ("relu1_2", "relu2_1")), torch.rand(1, 3, 32, 32) * 2 - 1
    found, right = run(with_integer_weights(features_graph(features, 32), np.int16), images=images), features(images)
    assert list(found) == ["relu1_2", "relu2_1"]
    for layer, values in right.items():
        torch.testing.assert_close(found[layer], values, rtol=1e-3, atol=1e-4 * float(values.max()))


@pytest.mark.parametrize("axis", [0, 1])
def test_eight_bits_keep_each_output_channel_to_a_127th_of_its_largest_weight(axis: int) -> None:
    weight = np.random.default_rng(0).normal(size=(4, 5, 3, 3)).astype(np.float32)
    weight[2] *= 100
    weight[:, 3] = 0  # a channel of zeros has no scale of its own
    whole, scale = integers(weight, axis, np.int8)
    back = whole * scale
    largest = np.abs(weight).max(axis=tuple({0, 1, 2, 3} - {axis}), keepdims=True)
    assert (np.abs(back - weight) <= largest / 254 + 1e-9).all()
