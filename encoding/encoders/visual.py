"""Images as vectors of their patches and queries as vectors of their tokens: ColPali and ColQwen2 through transformers.

Faysse et al. 2024 (ColPali), section 4: projection, normalisation and the query's filling tokens are part of the
model and its processor. One input is run at a time: an image fills a batch by itself, and padding would move positions.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from opensearch_multivector.encoding.encoders import checkpoints
from opensearch_multivector.encoding.encoders.base import Encoded, FloatArray, IntArray, Kind
from opensearch_multivector.encoding.encoders.pooling import mean_pooled, normalised
from opensearch_multivector.encoding.encoders.tokens import tokenizer_identity
from opensearch_multivector.encoding.encoders.transformer import load_model, quiet
from opensearch_multivector.errors import InputError


class VisualEncoder:
    """`ImageEncoder` over a checkpoint of the transformers class ``architecture`` (``ColPaliForRetrieval``, ...)."""

    def __init__(self, name: str, folder: Path, architecture: str, device: str | None = None) -> None:
        self.name = name
        self._folder = folder
        checkpoints.require("PIL.Image", "images")
        self._model, self._device = load_model(folder, architecture, device)
        transformers = checkpoints.require("transformers", "torch")
        processor = getattr(transformers, architecture.replace("ForRetrieval", "Processor"))
        try:
            with quiet(transformers):
                self._processor = processor.from_pretrained(str(folder), local_files_only=True)
        except (OSError, ValueError, TypeError, AttributeError, ImportError) as error:
            reason = str(error).strip().partition("\n")[0]
            raise InputError(f"transformers can't load the image processor in {folder}: {reason}") from error
        self.dim: int = self._model.config.embedding_dim
        self.max_length: int = self._model.config.vlm_config.text_config.max_position_embeddings
        # Put before each query by the processor; only ColPali's writes the first token as text.
        first = self._processor.tokenizer.bos_token if architecture == "ColPaliForRetrieval" else ""
        self._query_prefix: str = first + self._processor.query_prefix

    @cached_property
    def fingerprint(self) -> str:
        """See `Encoder.fingerprint`."""
        settings = ("config.json", "preprocessor_config.json", "processor_config.json", "tokenizer_config.json")
        return checkpoints.fingerprint(
            checkpoints.weight_files(self._folder),
            {
                "form": "embeddings of all tokens",
                "tokenizer": tokenizer_identity(self._folder / "tokenizer.json"),
                **{name: checkpoints.read_json(self._folder / name) for name in settings},
            },
        )

    def encode(self, texts: Sequence[str], kind: Kind) -> list[Encoded]:
        """See `Encoder.encode`. Raises InputError for documents, which are images here."""
        if kind == "document":
            raise InputError(f"the documents of {self.name} are images: texts can only be its queries.")
        return [self._encoded(self._processor(text=[text]), self.offsets(text, kind)) for text in texts]

    def encode_images(self, images: Sequence[Any]) -> list[Encoded]:
        """See `ImageEncoder.encode_images`."""
        return [self._encoded(self._processor(images=[_opened(image)]), None) for image in images]

    def offsets(self, text: str, kind: Kind) -> IntArray:
        """See `Encoder.offsets`."""
        inputs = self._processor(text=[text], return_offsets_mapping=True)
        offsets = np.asarray(inputs["offset_mapping"]).reshape(-1, 2) - len(self._query_prefix)
        outside = (offsets[:, 1] <= 0) | (offsets[:, 0] >= len(text))
        return np.where(outside[:, None], 0, offsets.clip(0, len(text))).astype(np.int32)

    def _encoded(self, inputs: Any, offsets: IntArray | None) -> Encoded:
        import torch

        with torch.inference_mode():
            output = self._model(**{name: tensor.to(self._device) for name, tensor in inputs.items()})
        embeddings: FloatArray = output.embeddings[0].float().cpu().numpy()
        vectors = normalised(embeddings)
        return Encoded(vectors=vectors, pooled=mean_pooled(vectors), offsets=offsets)


def _opened(image: Any) -> Any:
    library = checkpoints.require("PIL.Image", "images")
    if isinstance(image, library.Image):
        return image.convert("RGB")
    try:
        with library.open(image) as opened:
            return opened.convert("RGB")
    except (OSError, AttributeError, ValueError, library.DecompressionBombError) as error:
        raise InputError(f"{image} can't be read as an image ({error}).") from error
