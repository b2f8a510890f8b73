"""Small random checkpoints in the layouts that users bring, written to a folder by transformers itself."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

WORDS = [
    *"abcdefghijklmnopqrstuvwxyz",
    *(f"##{letter}" for letter in "abcdefghijklmnopqrstuvwxyz"),
    "sea",
    "otter",
    ".",
]
VOCABULARY = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *WORDS, "[unused0]", "[unused1]"]


def save_tokenizer(folder: Path) -> None:
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors

    ids = {token: number for number, token in enumerate(VOCABULARY)}
    tokenizer = Tokenizer(models.WordPiece(ids, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", ids["[CLS]"]), ("[SEP]", ids["[SEP]"])]
    )
    tokenizer.add_special_tokens(VOCABULARY[:5])
    tokenizer.save(str(folder / "tokenizer.json"))
    names = {f"{name}_token": f"[{name.upper()}]" for name in ("pad", "unk", "cls", "sep", "mask")}
    settings = {"tokenizer_class": "BertTokenizerFast", **names}
    (folder / "tokenizer_config.json").write_text(json.dumps(settings))


def save_bert(folder: Path, architecture: str = "BertModel", **settings: Any) -> Any:
    """Save a random BERT of the named class with its tokenizer; returns the model."""
    import torch
    import transformers

    torch.manual_seed(7)
    config = transformers.BertConfig(
        vocab_size=len(VOCABULARY),
        hidden_size=16,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=32,
        max_position_embeddings=64,
        initializer_range=0.5,
        **settings,
    )
    folder.mkdir(parents=True, exist_ok=True)
    model = getattr(transformers, architecture)(config).eval()
    model.save_pretrained(str(folder))
    save_tokenizer(folder)
    return model


def save_modernbert(folder: Path) -> Any:
    """Save a random ModernBERT with a byte-level tokenizer, to which blanks at the ends of a text are tokens."""
    import torch
    import transformers
    from tokenizers import Tokenizer, models, pre_tokenizers, processors

    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    vocabulary = [*special, *sorted(pre_tokenizers.ByteLevel.alphabet()), "se", "sea"]
    ids = {token: number for number, token in enumerate(vocabulary)}
    tokenizer = Tokenizer(models.BPE(ids, merges=[("s", "e"), ("se", "a")]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", ids["[CLS]"]), ("[SEP]", ids["[SEP]"])]
    )
    tokenizer.add_special_tokens(special)
    torch.manual_seed(11)
    config = transformers.ModernBertConfig(
        vocab_size=len(vocabulary),
        hidden_size=16,
        intermediate_size=24,
        num_hidden_layers=2,
        num_attention_heads=2,
        max_position_embeddings=256,
        local_attention=8,
        global_attn_every_n_layers=2,
        initializer_range=0.5,
        **{f"{name}_token_id": ids[f"[{name.upper()}]"] for name in ("pad", "cls", "sep")},
        bos_token_id=ids["[CLS]"],
        eos_token_id=ids["[SEP]"],
    )
    folder.mkdir(parents=True, exist_ok=True)
    model = transformers.ModernBertModel(config).eval()
    model.save_pretrained(str(folder))
    names = {f"{name}_token": f"[{name.upper()}]" for name in ("pad", "unk", "cls", "sep", "mask")}
    transformers.PreTrainedTokenizerFast(tokenizer_object=tokenizer, **names).save_pretrained(str(folder))
    return model


def save_sentence_transformers_files(folder: Path, pooling: dict[str, Any], max_seq_length: int) -> None:
    (folder / "1_Pooling").mkdir()
    (folder / "1_Pooling" / "config.json").write_text(json.dumps(pooling))
    (folder / "sentence_bert_config.json").write_text(json.dumps({"max_seq_length": max_seq_length}))


def save_colbert(
    folder: Path, metadata: dict[str, Any], suffix: str = "safetensors", architecture: str = "HF_ColBERT", seed: int = 3
) -> Any:
    """Save a random BERT as ColBERT's library does: ``bert.*`` beside ``linear.weight``; returns the BERT."""
    import torch
    from safetensors.torch import save_file

    model = save_bert(folder)
    (folder / "model.safetensors").unlink()
    weight = torch.randn(8, 16, generator=torch.Generator().manual_seed(seed))
    tensors = {f"bert.{name}": tensor.contiguous() for name, tensor in model.state_dict().items()}
    tensors["linear.weight"] = weight
    if suffix == "bin":
        torch.save(tensors, folder / "pytorch_model.bin")
    else:
        save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"architectures": [architecture]}))
    (folder / "artifact.metadata").write_text(json.dumps({"dim": 8, **metadata}))
    return model
