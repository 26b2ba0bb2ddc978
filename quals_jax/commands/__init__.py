"""The commands: one module each, imported when it is run. `python -m quals_jax` lists them."""

COMMANDS = {
    "score": "score summaries against documents (the same as score.py)",
    "check": "what a QAGen would do in practice, on ten short texts",
    "correct": "suggest what summaries should say where their documents do not support them",
    "compare": "compare two outputs of score.py: difference, interval, significance",
    "merge": "join the outputs of sharded runs of score.py",
    "train": "train a QAGen or a summarizer, or run ConSeq (the same as train.py)",
    "evaluate": "evaluate summarizers: ROUGE, QUALS, and on Gazette the oracle",
    "evaluate_metric": "how well QUALS and others tell true from false summaries of Gazette",
    "correlate": "how well metrics agree with people, on public judged summaries",
    "study": "write blind pages for people to compare two systems on; count their answers",
    "distribution": "keep the QUALS of reference summaries beside a model, so that scores get percentiles",
    "prefer": "of several summaries of a document, write which to prefer, for preference trainers",
    "programs": "write every program as StableHLO text, lowered for the CPU, GPUs or TPUs",
    "rerank": "of several summaries of a document, pick the one with the best QUALS",
    "gazette": "print stories of the embedded newspaper, or write rows for score.py",
    "train_tokenizer": "learn a byte-level BPE from texts",
    "gazette_tokenizer": "write Gazette's tokenizer",
}
