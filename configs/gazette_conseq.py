"""ConSeq by QUALS on Gazette, from the embedded MLE summarizer, learning from its own good summaries.

Of 600 documents QUALS scores the six beams of the summarizer's search. S+ is the likeliest beam that scores as high as good references do
(the lowest of the best 35%), S- the lowest beam: about 510 contrasts. The paper's recipe, with references as S+ and samples as S-, is
`--config.candidates.samples=6 --config.candidates.beams=0 --config.candidates.rows=2000 --config.selection.positive=reference` and a folder
of its own; it lost 3 to 6 points of ROUGE-1, which this does not. Chosen on 400 validation stories read by the oracle: what was tried
stands in docs/results.md. The learning rate was tuned for the paper's recipe on Gazette, 5e-4, and left as it was.

    python train.py --config configs/gazette_conseq.py --workdir out/gazette-conseq --cpu_devices 2

Candidates and scores are kept in out/gazette-beams, where runs with other seeds (`--config.seed=2 --workdir out/gazette-conseq-2`)
find them. Evaluated here on some validation stories, for tuning; `examples/gazette_experiment.sh` runs three seeds of this and of
`gazette_conseq_rouge.py` and evaluates them on the test stories.
"""

from quals_jax.recipes.config import CandidateConfig, ConseqConfig, EvaluationConfig, SelectionConfig
from quals_jax.training.config import DataConfig, ModelConfig, OptimizerConfig


def get_config() -> ConseqConfig:
    return ConseqConfig(
        kind="conseq",
        seed=1,
        epochs=4.0,
        checkpoint_every=50,
        export_dtype="float16",
        candidates=CandidateConfig(folder="out/gazette-beams", rows=600, samples=0, beams=6),
        selection=SelectionConfig(candidate_ratio=0.9, reference_ratio=0.35, positive="candidate"),
        evaluation=EvaluationConfig(data="gazette:validation", rows=100),
        data=DataConfig(
            train="gazette:train",
            batch_size=8,
            false_share=0.6,
            false_kinds=("role_exchange", "outcome"),
            source_buckets=(192, 512),
            target_buckets=(64, 128),
        ),
        model=ModelConfig(initial="quals_jax/assets/gazette_mle", dropout=0.0),
        optimizer=OptimizerConfig(
            name="fairseq_adam", learning_rate=5e-4, warmup_steps=10, weight_decay=0.01, clip_norm=0.1
        ),
    )
