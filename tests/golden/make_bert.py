"""Makes tests/golden/bert: two small random BERTs as `transformers` saves them, and what its PyTorch models compute from them.

    python tests/golden/make_bert.py     # in an environment with torch and transformers

`span` is question answering with a vocab.txt, lower-cased; `labels` is sequence classification with three labels, a head of its own for
every layer's width, stored as one `.bin`. Weights are drawn wide enough that every part of the model matters.
"""

from pathlib import Path

import numpy as np
import torch
from transformers import BertConfig, BertForQuestionAnswering, BertForSequenceClassification, BertTokenizerFast

FOLDER = Path(__file__).parent / "bert"
SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
WORDS = SPECIAL + [
    "who",
    "won",
    "the",
    "title",
    "?",
    "mar",
    "##len",
    "tol",
    "##vik",
    "of",
    "vel",
    "##mora",
    ",",
    ".",
    "a",
    "be",
    "##lt",
    "took",
    "on",
    "14",
    "march",
]
PAIRS = [
    ("Who won the title?", "Marlen Tolvik of Velmora took the belt on 14 March."),
    ("who of Velmora?", "the márlen, ZZZ."),
]


def main() -> None:
    torch.manual_seed(0)
    arrays = {}
    config = dict(
        vocab_size=len(WORDS),
        hidden_size=24,
        num_hidden_layers=3,
        num_attention_heads=4,
        intermediate_size=40,
        max_position_embeddings=32,
        initializer_range=0.3,
    )
    span = BertForQuestionAnswering(BertConfig(**config)).eval()
    labels = BertForSequenceClassification(
        BertConfig(**config, num_labels=3, hidden_act="gelu_new", layer_norm_eps=1e-6)
    ).eval()
    with torch.no_grad():
        for model in (span, labels):
            for name, parameter in model.named_parameters():
                if name.endswith(("bias", "LayerNorm.weight")):  # zeros and ones at first: they would hide an exchange
                    parameter.add_(0.2 * torch.randn_like(parameter))
    span.save_pretrained(FOLDER / "span")
    (FOLDER / "span" / "vocab.txt").write_text("\n".join(WORDS) + "\n", encoding="utf-8")
    labels.config.save_pretrained(FOLDER / "labels")
    torch.save(labels.state_dict(), FOLDER / "labels" / "pytorch_model.bin")

    tokenizer = BertTokenizerFast(vocab=str(FOLDER / "span" / "vocab.txt"), do_lower_case=True)
    batch = tokenizer([first for first, _ in PAIRS], [second for _, second in PAIRS], padding=True, return_tensors="pt")
    inputs = {name: batch[name] for name in ("input_ids", "token_type_ids", "attention_mask")}
    arrays |= {name: tensor.numpy().astype(np.int32) for name, tensor in inputs.items()}
    with torch.no_grad():
        hidden = span.bert(**inputs, output_hidden_states=True).hidden_states
        arrays |= {f"span_hidden_{number}": tensor.numpy() for number, tensor in enumerate(hidden)}
        found = span(**inputs)
        arrays |= {"start_logits": found.start_logits.numpy(), "end_logits": found.end_logits.numpy()}
        arrays["labels_hidden"] = labels.bert(**inputs).last_hidden_state.numpy()
        arrays["label_logits"] = labels(**inputs).logits.numpy()
    np.savez(FOLDER / "outputs.npz", **arrays)


if __name__ == "__main__":
    main()
