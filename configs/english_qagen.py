"""A QAGen for real English, from nothing, second part: questions and answers, from the model that
configs/english_qagen_pretrain.py made. `make english` runs both.

SQuAD 1.1 whole, SQuADShifts (encyclopaedia, forum, reviews), Natural Questions as annotated by QED, and a hundred sentences of
QAMR (news, crude questions); and SQuAD once more a sentence at a time, as short as summaries are. For three questions of its own a
text has one of another text, to be answered with "unknown", which the filter of QUALS drops. Pairs of more than 48 tokens are left out.

    python train.py --config configs/english_qagen.py --workdir out/english/finetune

Data: data/squad-v1.1, data/squadshifts, data/nq-qed, data/qamr-wikinews. SQuAD is CC BY-SA 4.0: a model trained on it must say so.
Hardware: a step wants up to 23 GB (compiled for a CPU), so one GPU with 40 GB and bfloat16. Not run
on a GPU yet.
"""

from quals_jax.training.config import DataConfig, ModelConfig, OptimizerConfig, TrainConfig

FILES = (  # in the folder of the data
    "squad-v1.1/train-v1.1.json",
    "squadshifts/new_wiki_v1.0.json",
    "squadshifts/reddit_v1.0.json",
    "squadshifts/amazon_reviews_v1.0.json",
    "nq-qed/train.json",
    "qamr-wikinews/train.json#100",
)


def training(folder: str = "data") -> str:
    return " ".join(f"squad:{folder}/{name}" for name in FILES) + f" squad-sentences:{folder}/{FILES[0]}"


def validation(folder: str = "data") -> str:
    return f"squad:{folder}/squad-v1.1/dev-v1.1.json"


def get_config() -> TrainConfig:
    return TrainConfig(
        kind="qagen",
        steps=2600,
        checkpoint_every=400,
        checkpoint_minutes=3.0,
        keep=1,
        eval_every=400,
        export="best",
        export_dtype="float16",
        data=DataConfig(
            train=training(),
            validation=validation(),
            validation_rows=600,
            collapse_spaces=True,
            borrowed=0.34,
            batch_size=256,
            batch_tokens=24_576,
            batch_target_tokens=49_152,
            max_targets=8,
            max_target_tokens=48,
            source_buckets=(64, 192, 512),  # few shapes: each is compiled, and the whole run takes minutes
            pair_buckets=(2,),
            target_buckets=(48,),
            window=8,
        ),
        model=ModelConfig(
            initial="out/english/pretrain-2/model",
            tokenizer="out/english/tokenizer",
            d_model=384,
            ffn_dim=1536,
            layers=4,
            heads=6,
            max_positions=512,
            dropout=0.1,
            dtype="bfloat16",
        ),
        optimizer=OptimizerConfig(
            learning_rate=5e-4, warmup_steps=200, decay="polynomial", beta2=0.98, weight_decay=0.01, clip_norm=1.0
        ),
    )
