"""N and the features of Eq. 1 as ONNX graphs: for programs without PyTorch, a browser among them.

Weights are most of such a file. They may be kept in 8 or 16 bits; everything is computed in float32.
"""

from __future__ import annotations

import io
import warnings

import numpy as np
import onnx
import torch
from onnx import ModelProto, TensorProto, helper, numpy_helper
from torch import Tensor, nn

from segin_core.translator import Translator
from segin_core.vgg import VGGFeatures

OPSET = 17
CHANNELS_OUT = {"Conv": 0, "ConvTranspose": 1}  # which axis of a convolution's weight counts its output channels


def translator_graph(translator: Translator, size: int) -> ModelProto:
    """N of Fig. 2 for one pair of `size` pixels: "x" 1 1 h w and "w" 1 3 h w to "image" 1 3 h w and "mask" 1 1 h w.

    Ranges as in `Translator`. A network without a mask decoder has no "mask".
    """
    outputs = ["image", "mask"] if translator.config["mask_decoder"] else ["image"]
    x, w = torch.zeros(1, translator.config["x_channels"], size, size), torch.zeros(1, 3, size, size)
    return _graph(translator, {"x": x, "w": w}, outputs)


def features_graph(features: VGGFeatures, size: int) -> ModelProto:
    """Phi of Eq. 1 for one picture of `size` pixels: "images" 1 3 h w in [-1, 1] to an output for each of its layers.

    A sketch of one channel is repeated to three, as `VGGFeatures` does itself.
    """
    return _graph(_Listed(features), {"images": torch.zeros(1, 3, size, size)}, list(features.layers))


class _Listed(nn.Module):
    """Features in the order of their layers, since a graph's outputs have an order."""

    def __init__(self, features: VGGFeatures) -> None:
        super().__init__()
        self.features = features

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        found = self.features(images)
        return tuple(found[layer] for layer in self.features.layers)


def _graph(network: nn.Module, inputs: dict[str, Tensor], outputs: list[str]) -> ModelProto:
    """What torch traces. Batch normalisation behind a convolution becomes part of its weights."""
    file, names = io.BytesIO(), {"input_names": list(inputs), "output_names": outputs}
    with warnings.catch_warnings():
        # The checks of N's input are traced as constants, which they are here. The exporter that is to replace this
        # one does not know attention without heads (Eq. 3) yet.
        warnings.simplefilter("ignore")
        torch.onnx.export(network.eval(), tuple(inputs.values()), file, **names, opset_version=OPSET, dynamo=False)
    return onnx.load_from_string(file.getvalue())


def with_integer_weights(model: ModelProto, kind: type[np.signedinteger]) -> ModelProto:
    """The same graph with the weights of its convolutions kept as np.int8, or np.int16: a quarter, or half, the bytes.

    Each is a whole number times a scale of its output channel. The graph makes float32 of them by Cast and Mul, which a
    program may compute once: DequantizeLinear would say the same, but ONNX Runtime repeats it in every run.
    """
    small = ModelProto()
    small.CopyFrom(model)
    graph, weights = small.graph, {tensor.name: tensor for tensor in model.graph.initializer}
    axes = {node.input[1]: CHANNELS_OUT[node.op_type] for node in graph.node if node.op_type in CHANNELS_OUT}
    for name in sorted(axes.keys() & weights.keys()):  # of layers with equal weights one has them, the others copy
        whole, scale = integers(numpy_helper.to_array(weights[name]), axes[name], kind)
        graph.initializer.remove(weights[name])
        graph.initializer.append(numpy_helper.from_array(whole, f"{name}.whole"))
        graph.initializer.append(numpy_helper.from_array(scale, f"{name}.scale"))
        graph.node.insert(0, helper.make_node("Cast", [f"{name}.whole"], [f"{name}.float"], to=TensorProto.FLOAT))
        graph.node.insert(1, helper.make_node("Mul", [f"{name}.float", f"{name}.scale"], [name]))
    onnx.checker.check_model(small)
    return small


def integers(weight: np.ndarray, axis: int, kind: type[np.signedinteger]) -> tuple[np.ndarray, np.ndarray]:
    """Whole numbers and a float32 scale for each channel along `axis`, whose product is nearest to the weight."""
    others, largest = tuple(i for i in range(weight.ndim) if i != axis), np.iinfo(kind).max
    scale = np.abs(weight).max(axis=others, keepdims=True).clip(min=1e-12).astype(np.float32) / largest
    return np.round(weight / scale).astype(kind), scale
