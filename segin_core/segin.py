"""SEGIN as it is trained: N and D, their optimisers and one step of each (Section III-B3 and "General settings")."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from segin_core import losses
from segin_core.discriminator import Discriminator
from segin_core.self_supervision import Batch
from segin_core.translator import Translator
from segin_core.vgg import VGGFeatures


class SEGIN:
    """N(x, W) against D, with the objective of Eq. 11. `update(batch)` is one training step of both.

    `networks` and `optimisers` are what `loop.train` saves and resumes. Loss terms with weight 0 are not computed
    (the ablations). Paper: rates 2e-4 (N) and 1.3e-5 (D), optimiser not said. / Here: Adam, as in the released draft.
    """

    def __init__(
        self, translator: Translator, discriminator: Discriminator, features: VGGFeatures, *,
        weights: losses.Weights, feature_layer: str = "relu3_2", lr_translator: float = 2e-4,
        lr_discriminator: float = 1.3e-5, betas: tuple[float, float] = (0.9, 0.999),
        betas_discriminator: tuple[float, float] = (0.9, 0.999),
    ) -> None:  # fmt: skip
        self.translator, self.discriminator, self.features = translator, discriminator, features
        self.weights, self.feature_layer = weights, feature_layer
        self.networks: dict[str, nn.Module] = {"translator": translator, "discriminator": discriminator}
        adam = torch.optim.Adam
        self.optimisers = {
            "translator": adam(translator.parameters(), lr=lr_translator, betas=betas),
            "discriminator": adam(discriminator.parameters(), lr=lr_discriminator, betas=betas_discriminator),
        }

    def update(self, batch: Batch) -> dict[str, Tensor]:
        """One step of D, then one of N, on images on the networks' device; returns the loss terms, unweighted."""
        output, mask = self.translator(batch.x, batch.w)
        found = self._update_discriminator(batch, output.detach()) if self.weights.adversarial else {}
        terms = self._terms(batch, output, mask)
        self.optimisers["translator"].zero_grad(set_to_none=True)
        losses.total_loss(self.weights, **terms).backward()
        self.optimisers["translator"].step()
        return found | {name: term.detach() for name, term in terms.items()}

    def _update_discriminator(self, batch: Batch, output: Tensor) -> dict[str, Tensor]:
        self.discriminator.requires_grad_(True)
        real, fake = self.discriminator(batch.y, batch.x), self.discriminator(output, batch.x)
        loss = losses.discriminator_loss(real, fake)
        self.optimisers["discriminator"].zero_grad(set_to_none=True)
        loss.backward()
        self.optimisers["discriminator"].step()
        return {"discriminator": loss.detach()}

    def _terms(self, batch: Batch, output: Tensor, mask: Tensor | None) -> dict[str, Tensor]:
        """Eq. 5 to 10 for one batch, by the names of `losses.Weights`."""
        weights, terms = self.weights, {}
        if weights.reconstruction:
            terms["reconstruction"] = losses.reconstruction_loss(output, batch.y)
        if weights.feature:
            with torch.no_grad():
                wanted = self.features(batch.y)[self.feature_layer].float()
            terms["feature"] = losses.feature_loss(self.features(output)[self.feature_layer].float(), wanted)
        if weights.adversarial:
            self.discriminator.requires_grad_(False)
            terms["adversarial"] = losses.adversarial_loss(self.discriminator(output, batch.x))
        if mask is not None and weights.segmentation:
            terms["segmentation"] = losses.segmentation_loss(mask, batch.mask)
        if mask is not None and weights.attention:
            terms["attention"] = losses.attention_loss(mask, output, batch.mask, batch.y)
        if weights.total_variation:
            terms["total_variation"] = losses.total_variation_loss(output)
        return terms
