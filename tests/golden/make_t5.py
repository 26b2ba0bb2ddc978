"""Makes `tests/golden/t5/`: small random T5s of three kinds, and what `transformers` computes with them in PyTorch (float32, CPU).

    python tests/golden/make_t5.py      (with torch and transformers; versions are written into each file)

Of each kind: `config.json` and `model.safetensors` as transformers writes them, and `states.npz` with the batch, the encoder's and the
decoder's states, logits, and greedy continuations. `buckets.npz`: the buckets of relative positions.
"""

import json
from pathlib import Path

import numpy as np
import torch
import transformers
from transformers import MT5Config, MT5ForConditionalGeneration, T5Config, T5ForConditionalGeneration
from transformers.models.t5.modeling_t5 import T5Attention

FOLDER = Path(__file__).parent / "t5"
SIZES = dict(vocab_size=48, d_model=16, d_kv=6, d_ff=24, num_layers=3, num_decoder_layers=2, num_heads=2)
START = dict(decoder_start_token_id=0)
KINDS = {  # name -> (classes, further settings, whether the output has a table of its own)
    "v1_0": (T5Config, T5ForConditionalGeneration, START, False),
    "v1_1": (T5Config, T5ForConditionalGeneration, START | dict(feed_forward_proj="gated-gelu", tie_word_embeddings=False), True),
    "mt5": (MT5Config, MT5ForConditionalGeneration, {}, True),
}  # fmt: skip


def make(name: str, seed: int) -> None:
    config_class, model_class, settings, own_output = KINDS[name]
    torch.manual_seed(seed)
    model = model_class(config_class(**SIZES, **settings)).eval()
    if own_output:
        model.lm_head.weight = torch.nn.Parameter(torch.randn(SIZES["vocab_size"], SIZES["d_model"]))
    with torch.no_grad():
        for key, parameter in model.named_parameters():
            if "norm" in key:  # ones, or zeros, would hide a mistake
                parameter.copy_(1 + 0.3 * torch.randn_like(parameter))
            elif "shared" not in key and "lm_head" not in key:
                parameter.copy_(0.3 * torch.randn_like(parameter))
    generator = np.random.default_rng(seed)
    source = generator.integers(3, 48, (3, 40))
    lengths = np.array([40, 23, 7])
    source[np.arange(40) >= lengths[:, None]] = 0
    target = generator.integers(3, 48, (3, 21))
    inputs = np.concatenate([np.zeros((3, 1), int), target[:, :-1]], axis=1)
    mask = torch.tensor(source != 0)
    with torch.no_grad():
        found = model(
            input_ids=torch.tensor(source), attention_mask=mask, decoder_input_ids=torch.tensor(inputs),
            output_hidden_states=True,
        )  # fmt: skip
        greedy = model.generate(
            torch.tensor(source), attention_mask=mask, do_sample=False, num_beams=1, max_new_tokens=20, min_new_tokens=20,
            suppress_tokens=[0],  # padding, which a random model may choose
        )  # fmt: skip
    model.save_pretrained(FOLDER / name)
    (FOLDER / name / "generation_config.json").unlink(missing_ok=True)
    if (
        name == "v1_1"
    ):  # as versions before 5 wrote it: every name of every table, and an old way to say what version it is
        older = FOLDER / "v1_1_bin"
        older.mkdir(exist_ok=True)
        torch.save(model.state_dict(), older / "pytorch_model.bin")
        described = json.loads((FOLDER / name / "config.json").read_text()) | {"tie_word_embeddings": False}
        del described["scale_decoder_outputs"]
        (older / "config.json").write_text(json.dumps(described, indent=2) + "\n")
    np.savez_compressed(
        FOLDER / name / "states.npz", source=source, target=target, inputs=inputs,
        encoder=found.encoder_last_hidden_state.numpy(), decoder=found.decoder_hidden_states[-1].numpy(),
        logits=found.logits.numpy(), greedy=greedy.numpy(),
        made_with=np.array(f"torch {torch.__version__}, transformers {transformers.__version__}"),
    )  # fmt: skip


if __name__ == "__main__":
    for seed, name in enumerate(KINDS):
        make(name, seed)
    positions = torch.arange(-1200, 1201)
    buckets = {
        name: T5Attention._relative_position_bucket(positions, bidirectional=both, num_buckets=32, max_distance=128).numpy()
        for name, both in (("encoder", True), ("decoder", False))
    }  # fmt: skip
    np.savez_compressed(FOLDER / "buckets.npz", positions=positions.numpy(), **buckets)
