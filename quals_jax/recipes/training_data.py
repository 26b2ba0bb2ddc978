"""What a run learns from, and what it is evaluated on: the words of `config.data` for each kind of training."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from quals_jax.data import gazette as gazette_data
from quals_jax.data import loader, sources
from quals_jax.data.infilling import Infilling
from quals_jax.data.lines import Blocks
from quals_jax.data.questions import AnswerConditioned, QuestionBatches
from quals_jax.data.texts import First, Text, Tokenise, fingerprint
from quals_jax.data.unanswered import WithUnanswered
from quals_jax.models.bart import BartConfig
from quals_jax.models.bert import BertConfig
from quals_jax.pair_formats import FORMATS, PairCodec
from quals_jax.recipes import encoders
from quals_jax.tokenizer import Tokenizer
from quals_jax.training.config import TrainConfig
from quals_jax.training.encoder_losses import encoder_sums
from quals_jax.training.losses import answer_sums, likelihood_sums
from quals_jax.training.plan import Sample
from quals_jax.wordpiece import PairTokenizer

LONGEST_SOURCE = 1024
GAZETTE_VALIDATION_BATCHES = 16
GAZETTE_VALIDATION_SEED = 0  # always the same stories, whatever the run's seed
SAMPLE_TEXTS, SAMPLE_BATCHES = 4096, 8  # of which a run says beforehand what it will do


@dataclass(frozen=True)
class Data:
    """What a run reads: a Grain dataset of batches, and what is evaluated on which other ones."""

    batches: object
    evaluate: Callable
    evaluation_batches: Sequence[dict]
    counts: Mapping[str, int]  # texts read since the start of this process, and what was cut or left out of them
    sample: Callable[[], Sample]  # some of the batches, and of how much they are made
    count_steps: Callable[[float], int] | None = None  # the steps of so many epochs; reads everything once
    fingerprint: Callable[[], str] | None = None  # a hash of all that is learnt from; reads everything once


def prepare_data(config: TrainConfig, sizes: BartConfig | BertConfig, tokenizer: Tokenizer | PairTokenizer) -> Data:
    """What the words of `config.data` mean for this kind of training."""
    data, seed = config.data, config.seed
    if config.kind in encoders.HEADS:
        training, held_out = encoders.prepare_data(config, sizes, tokenizer)
        return Data(training, encoder_sums(encoders.EVALUATED[config.kind]), held_out, {}, lambda: _first(training))
    pairs = config.kind == "qagen"
    if data.train.split(":")[0] == sources.GAZETTE:
        evaluate = answer_sums(tokenizer.connector_id, gazette_data.TYPES) if pairs else likelihood_sums
        training = gazette_batches(config, tokenizer, data.train, seed=seed, count=config.steps)
        held_out = gazette_batches(
            config, tokenizer, data.validation or "gazette:validation", seed=GAZETTE_VALIDATION_SEED,
            count=GAZETTE_VALIDATION_BATCHES, training=False,
        )  # fmt: skip

        def sample() -> Sample:
            places = sorted({len(training) * number // SAMPLE_BATCHES for number in range(SAMPLE_BATCHES)})
            return Sample([training[place] for place in places], len(places) * data.batch_size, None)

        return Data(loader.indexed_batches(training), evaluate, list(held_out), {}, sample)
    codec = (
        PairCodec(FORMATS[getattr(tokenizer, "pair_format", "connector")], tokenizer, eos_id=sizes.eos_token_id)
        if pairs
        else None
    )
    separated = codec is not None and codec.separator_id is not None
    evaluate = answer_sums(codec.separator_id, ("answer",)) if separated else likelihood_sums
    limits = {
        "source_limit": min(LONGEST_SOURCE, sizes.max_positions, data.source_buckets[-1]),
        "target_limit": min(data.max_target_tokens, sizes.max_positions, data.target_buckets[-1]),
    }

    def maker():
        if config.kind == "infilling":
            noise = {"share": data.infill_share, "mean_length": data.infill_length, "shuffle": data.shuffle_sentences}
            return Infilling(tokenizer, **limits, **noise)
        return Tokenise(tokenizer, codec=codec, collapse=data.collapse_spaces, **limits)

    tokenise = maker()
    texts = _texts(config, data.train)
    if data.borrowed:
        if not separated:
            raise ValueError("data.borrowed needs a pair format with one token between question and answer")
        texts = WithUnanswered(texts, data.borrowed, seed=seed)
    training = loader.training_batches(texts, tokenise, data, seed=seed)

    def sample() -> Sample:
        batches, count = loader.batches_of_sample(texts, maker(), data, SAMPLE_TEXTS)
        return Sample(batches, count, len(texts))

    held_out = []
    if data.validation:
        held = _texts(config, data.validation)
        held = First(held, data.validation_rows or len(held))
        held_out = loader.evaluation_batches(held, maker(), data)

    def count_steps(epochs: float) -> int:
        return loader.count_steps(texts, maker(), data, epochs)

    return Data(training, evaluate, held_out, tokenise.counts, sample, count_steps, lambda: fingerprint(texts))


def _first(training) -> Sample:
    """The first batches of those that are made from their numbers."""
    iterator = iter(training)
    batches = [batch for _, batch in zip(range(SAMPLE_BATCHES), iterator, strict=False)]
    iterator.close()
    return Sample(batches, len(batches), None)


def _texts(config: TrainConfig, words: str) -> Sequence[Text]:
    data = config.data
    texts = sources.open_sources(words, folder=data.folder, clean=data.clean, unanswerable=data.unanswerable)
    if config.kind == "infilling":
        return Blocks(texts, data.block_words)
    return AnswerConditioned(texts) if config.kind == "questions" else texts


def gazette_batches(
    config: TrainConfig, tokenizer: Tokenizer, word: str, *, seed: int, count: int, training: bool = True
):
    """Batches of Gazette for a QAGen or a summarizer. Validation has no copying lessons, and no false references."""
    split, rows = word.partition(":")[2] or "train", config.data.batch_size
    common = {"seed": seed, "split": split, "count": count, "rows": rows}
    if config.kind == "qagen":
        return gazette_data.QagenBatches(
            tokenizer,
            summaries=config.data.summaries_per_document,
            unanswered=config.data.unanswered,
            longest_pair=config.data.longest_pair,
            copy_batches=config.data.copy_batches if training else 0,
            **common,
        )
    if config.kind == "questions":
        return QuestionBatches(tokenizer, **common)
    share = config.data.false_share if training else 0.0
    return gazette_data.SummaryBatches(tokenizer, false_share=share, false_kinds=config.data.false_kinds, **common)
