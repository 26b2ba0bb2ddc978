"""T5 QAGens of random weights around the small SentencePiece model, in folders laid out as the public ones are."""

import itertools
import json
import shutil
from pathlib import Path

from flax import nnx

from quals_jax.checkpoints import export, save_huggingface
from quals_jax.models.t5 import T5, T5Config
from quals_jax.sentencepiece import SentencePieceTokenizer

PIECES = Path(__file__).parent / "golden" / "sentencepiece" / "spiece.model"
ROWS = 928  # 800 pieces, 100 <extra_id_...>, a few added tokens; the rest of the table has no text, as in the public models


def make_tiny_t5(folder: Path, *, kind: str = "qag", model_type: str = "t5", seed: int = 0, **described) -> Path:
    """Writes one. kind: qag, sep, or none (a folder that does not say what it writes). described: more of its `config.json`."""
    gated = model_type == "mt5"
    config = T5Config(
        vocab_size=ROWS, d_model=16, d_kv=6, d_ff=24, num_layers=1, num_heads=2, model_type=model_type,
        feed_forward_proj="gated-gelu" if gated else "relu", scale_decoder_outputs=False, own_output=True,
    )  # fmt: skip
    extra = {"n_positions": 512} | described
    settings = {} if model_type == "t5" else {"extra_ids": 0}
    added = {}
    if kind == "qag":
        extra.setdefault(
            "_name_or_path", "lmqg/t5-small-squad-qag" if model_type == "t5" else "lmqg/mt5-small-jaquad-qag"
        )
        extra.setdefault("add_prefix", model_type == "t5")
    if kind == "sep":
        extra.setdefault("_name_or_path", "potsawee/t5-large-generation-squad-QuestionAnswer")
        settings["sep_token"], added = "<sep>", {"<sep>": 900}
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copy(PIECES, folder / "spiece.model")
    (folder / "tokenizer_config.json").write_text(json.dumps({"tokenizer_class": "T5Tokenizer", **settings}))
    special = {"eos_token": "</s>", "pad_token": "<pad>", "unk_token": "<unk>"} | (
        {"sep_token": "<sep>"} if added else {}
    )
    (folder / "special_tokens_map.json").write_text(json.dumps(special))
    if added:
        (folder / "added_tokens.json").write_text(json.dumps(added))
    tensors = export(T5(config, rngs=nnx.Rngs(seed)))
    _teach(tensors, SentencePieceTokenizer.from_pretrained(folder, extra_ids=settings.get("extra_ids")))
    save_huggingface(folder, config, tensors, extra=extra)
    return folder


def _teach(tensors: dict, pieces: SentencePieceTokenizer) -> None:
    """Gives the model a liking for a few short words, for what separates and ends pairs, and for the pieces of `, answer:` in a row."""
    names = ("shared.weight", "lm_head.weight")
    tensors |= {name: 0.3 * tensors[name] for name in names}
    embedding, output = (tensors[name] for name in names)
    embedding[:, 1:8] = output[:, 1:8] = 0.0
    embedding[:, 0] = 4.0  # of every token alike: what the output has there is a bias
    output[:, 0] = -2.0
    words = [id for word in ("the", "a", "bridge", "mayor", "spoke", "to") for id in pieces.encode_pieces([word])[0]]
    for id in (*words, *pieces.ids_with("|"), 1, *([pieces.sep_id] if pieces.sep_id else ())):
        output[id, 0] = 1.0
    output[1, 0] = 1.5
    chain = pieces.encode_pieces(["a, answer: a"])[0][1:-1]
    output[chain[0], 0] = 0.8
    for place, (one, following) in enumerate(itertools.pairwise(chain), 1):
        embedding[one, place] = 10.0
        output[following, place] = 2.0
