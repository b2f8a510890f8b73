"""Small random ColPali and ColQwen2 checkpoints with their processors, written by transformers itself."""

from __future__ import annotations

from pathlib import Path
from typing import Any

_LETTERS = [*"abcdefghijklmnopqrstuvwxyz:.?QDI \n"]


def _tokenizer(special: list[str], **names: Any) -> tuple[Any, dict[str, int]]:
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    ids = {token: number for number, token in enumerate([*special, "<unk>", *_LETTERS])}
    tokenizer = Tokenizer(models.WordLevel(ids, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Split("", "isolated")
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, unk_token="<unk>", **names), ids


def save_colpali(folder: Path) -> tuple[Any, Any]:
    """Returns the model and its processor."""
    import torch
    import transformers
    from transformers.models.siglip.image_processing_pil_siglip import SiglipImageProcessorPil

    names = {f"{name}_token": f"<{name}>" for name in ("pad", "eos", "bos")}
    tokenizer, ids = _tokenizer(
        ["<pad>", "<eos>", "<bos>", "<image>"], **names, extra_special_tokens={"image_token": "<image>"}
    )
    images = SiglipImageProcessorPil(size={"height": 28, "width": 28})
    images.image_seq_length = 4
    processor = transformers.ColPaliProcessor(image_processor=images, tokenizer=tokenizer)
    layers = {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2}
    vision = {"model_type": "siglip_vision_model", "image_size": 28, "patch_size": 14, "projection_dim": 16}
    text = {"model_type": "gemma", "num_key_value_heads": 1, "head_dim": 8, "max_position_embeddings": 128}
    config = transformers.PaliGemmaConfig(
        vision_config=vision | layers,
        text_config=text | layers | {"vocab_size": len(tokenizer)},
        image_token_index=ids["<image>"],
        projection_dim=16,
        hidden_size=16,
    )
    torch.manual_seed(3)
    model = transformers.ColPaliForRetrieval(transformers.ColPaliConfig(vlm_config=config, embedding_dim=8)).eval()
    return _saved(folder, model, processor)


def save_colqwen2(folder: Path) -> tuple[Any, Any]:
    """Returns the model and its processor."""
    import torch
    import transformers
    from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import Qwen2VLImageProcessorPil

    special = ["<|im_start|>", "<|im_end|>", "<|vision_start|>", "<|vision_end|>", "<|image_pad|>"]
    tokenizer, ids = _tokenizer(
        ["<|endoftext|>", *special], pad_token="<|endoftext|>", additional_special_tokens=special
    )
    images = Qwen2VLImageProcessorPil(patch_size=14, merge_size=2, min_pixels=28 * 28, max_pixels=56 * 56)
    processor = transformers.ColQwen2Processor(image_processor=images, tokenizer=tokenizer)
    config = transformers.Qwen2VLConfig(
        vision_config={"depth": 1, "embed_dim": 16, "num_heads": 2, "hidden_size": 16, "mlp_ratio": 2},
        text_config={
            "hidden_size": 16,
            "intermediate_size": 32,
            "num_hidden_layers": 1,
            "num_attention_heads": 2,
            "num_key_value_heads": 1,
            "vocab_size": len(tokenizer),
            "max_position_embeddings": 256,
            "rope_parameters": {"rope_type": "default", "mrope_section": [1, 1, 2], "rope_theta": 10000.0},
            "bos_token_id": None,
            "eos_token_id": 0,
        },
        image_token_id=ids["<|image_pad|>"],
        vision_start_token_id=ids["<|vision_start|>"],
        vision_end_token_id=ids["<|vision_end|>"],
    )
    torch.manual_seed(3)
    model = transformers.ColQwen2ForRetrieval(transformers.ColQwen2Config(vlm_config=config, embedding_dim=8)).eval()
    return _saved(folder, model, processor)


def _saved(folder: Path, model: Any, processor: Any) -> tuple[Any, Any]:
    model.save_pretrained(str(folder))
    processor.save_pretrained(str(folder))
    return model, processor
