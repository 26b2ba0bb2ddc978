"""QUALS of a whole corpus: the mean with its interval, the results, and ways to look at them."""

from __future__ import annotations

import html
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from quals_jax.inputs import check_texts
from quals_jax.remote import is_url, local_name, reach, send
from quals_jax.scoring.blocks import AT_ONCE
from quals_jax.statistics import interval_of_mean
from quals_jax.world import ONLY_GAZETTE, Strangers, row_is_outside

if TYPE_CHECKING:
    import pandas

    from quals_jax.quals import Quals, QualsResult

SHOWN_IN_NOTEBOOK = 5
SENTENCE_ROWS = 20


@dataclass(frozen=True, eq=False, repr=False)
class CorpusResult:
    """What `Quals.corpus` gives. QUALS is in nats per token; near 0: supported, far below: not.

    results, documents, summaries: in the order they were given, one of each per summary.
    signature: what made the numbers, for repeating them.
    """

    results: list[QualsResult]
    documents: list[str]
    summaries: list[str]
    signature: str
    quals: Quals = field(repr=False)

    @cached_property
    def scores(self) -> list[float]:
        """The QUALS of those summaries that have one."""
        return [result.quals for result in self.results if result.quals is not None]

    @property
    def n(self) -> int:
        """How many summaries have a score; `mean` is over these."""
        return len(self.scores)

    @property
    def mean(self) -> float | None:
        """None where no summary has a score."""
        return sum(self.scores) / self.n if self.scores else None

    @property
    def low(self) -> float | None:
        """The lower end of the 95% bootstrap interval of the mean; None without scores."""
        return self._interval[0]

    @property
    def high(self) -> float | None:
        """The upper end of the 95% bootstrap interval of the mean; None without scores."""
        return self._interval[1]

    @cached_property
    def _interval(self) -> tuple[float | None, float | None]:
        return interval_of_mean(self.scores) if self.scores else (None, None)

    def to_dict(self) -> dict:
        """The corpus as plain data that JSON can hold; `results` has a row for every summary, as `score.py` writes it."""
        return {
            "mean": self.mean,
            "low": self.low,
            "high": self.high,
            "n": self.n,
            "without_pairs": len(self.results) - self.n,
            "truncated": sum(result.truncated for result in self.results),
            "summary_truncated": sum(result.summary_truncated for result in self.results),
            "signature": self.signature,
            "results": self.rows(),
        }

    def to_pandas(self) -> pandas.DataFrame:
        """A table with a row for every summary: document, summary, its score, and its worst question and answer.

        Raises:
            ImportError: if pandas is not installed.
        """
        import pandas

        rows = []
        for row in self.rows():
            worst = min(row["pairs"], key=lambda pair: pair["score"], default={})
            plain = {name: value for name, value in row.items() if name not in ("pairs", "spans")}
            asked = {f"worst_{name}": worst.get(name) for name in ("question", "answer", "score")}
            rows.append(plain | asked)
        return pandas.DataFrame(rows).set_index("id") if rows else pandas.DataFrame()

    def save_report(self, path: str | Path, *, rows: int = 2000, sentence_rows: int = SENTENCE_ROWS) -> None:
        """Writes the HTML report, one page without a network, to a path or a URL; the worst `rows` summaries are in it.

        For the worst `sentence_rows` the model reads the documents once more, sentence by sentence, to say where to look; 0 saves
        that time.

        Raises:
            OSError: if the page cannot be written. ValueError: if it cannot be sent to its URL.
        """
        if is_url(path):
            reach(str(path))
            self.save_report(local_name(str(path)), rows=rows, sentence_rows=sentence_rows)
            return send(local_name(str(path)), str(path))
        strangers = Strangers()
        for row in self.rows() if self.quals.qagen.only_gazette else ():
            strangers.add_row(row)
        note = strangers.note("load another model")
        write_quals_report(
            Path(path), self.rows(), self.quals, shown=rows, sentence_rows=sentence_rows, notes=[note] if note else []
        )

    def rows(self) -> list[dict]:
        """The results as the rows of `score.py`'s output; ids are numbers from 0."""
        listed = []
        for number, (result, document, summary) in enumerate(
            zip(self.results, self.documents, self.summaries, strict=True)
        ):
            row = {"id": number, "summary_index": 0, **result.to_json(), "spans": list(result.spans)}
            if not result.outside and (percentile := self.quals.percentile(result.quals)) is not None:
                row["percentile"] = percentile
            listed.append(row | {"document": document, "summary": summary})
        return listed

    def __repr__(self) -> str:
        """Short: the results hold the log-probabilities of all tokens."""
        ends = {"mean": self.mean, "low": self.low, "high": self.high}
        numbers = ", ".join(f"{name}={'None' if end is None else f'{end:.3f}'}" for name, end in ends.items())
        return f"CorpusResult({numbers}, n={self.n}, summaries={len(self.summaries)}, signature={self.signature!r})"

    def _repr_html_(self) -> str:
        """In a notebook: the mean, and the worst summaries with the words that are not supported."""
        mean = "none" if self.mean is None else f"{self.mean:.3f}"
        interval = "" if self.n < 2 else f", 95% interval {self.low:.3f} to {self.high:.3f}"
        head = f"<p><b>QUALS {mean}</b> (n = {self.n}{interval}). Near 0: supported; far below: not.</p>"
        order = sorted(
            (number for number, result in enumerate(self.results) if result.quals is not None),
            key=lambda number: self.results[number].quals,
        )
        rows = "".join(
            f"<tr><td>{self.results[number].quals:.3f}</td><td style='text-align:left'>{self._marked(number)}</td></tr>"
            for number in order[:SHOWN_IN_NOTEBOOK]
        )
        more = len(order) - SHOWN_IN_NOTEBOOK
        note = f"<p>and {more} more; <code>save_report(path)</code> writes them all.</p>" if more > 0 else ""
        strange = sum(result.outside for result in self.results)
        warning = (
            f"<p>{strange} of {len(self.results)} summaries are of another world: {ONLY_GAZETTE}.</p>"
            if strange
            else ""
        )
        return f"{head}{warning}<table>{rows}</table>{note}"

    @cached_property
    def _threshold(self) -> float:
        from quals_jax.report.overview import threshold

        pairs = [pair.score for result in self.results for pair in result.pairs]
        return threshold(self.quals.reference_scores, pairs)[0]

    def _marked(self, number: int) -> str:
        from quals_jax.report.page import marked_parts

        spans = [] if self.results[number].outside else self.results[number].spans
        style = "background:#fde3dc;color:#b52f18;text-decoration:underline wavy"
        return "".join(
            html.escape(part["text"])
            if part["score"] is None
            else f'<mark style="{style}" title="{html.escape(part["question"])}">{html.escape(part["text"])}</mark>'
            for part in marked_parts(self.summaries[number], spans, self._threshold)
        )


def score_corpus(
    quals: Quals, documents: Sequence[str], summaries: Sequence[str], *, progress: bool = False
) -> CorpusResult:
    """`Quals.corpus`: in blocks, so that progress can be shown, and two of them at once, as in `scoring/blocks.py`."""
    documents = check_texts("documents", documents, empty=False)
    summaries = check_texts("summaries", summaries)
    if len(documents) != len(summaries):
        raise ValueError(f"there are {len(documents)} documents and {len(summaries)} summaries")
    size = quals.block_rows
    if progress:
        from tqdm import tqdm

        bar = tqdm(total=len(documents), unit="summary")
    results = []
    blocks = [slice(start, start + size) for start in range(0, len(documents), size)]
    with ThreadPoolExecutor(AT_ONCE) as pool:
        for found in pool.map(lambda block: quals.score(documents[block], summaries[block]), blocks):
            results += found
            if progress:
                bar.update(len(results) - bar.n)
    if progress:
        bar.close()
    return CorpusResult(results, documents, summaries, quals.signature, quals)


def write_quals_report(
    path: Path, rows: Path | Sequence[dict], quals: Quals, *, shown: int = 2000, group_by: str | None = None,
    notes: Sequence[str] = (), insist: bool = False, sentence_rows: int = SENTENCE_ROWS,
) -> None:  # fmt: skip
    """The report about rows that `quals` scored: it knows the tokens' texts, the reference scores, and where to look in a document.

    notes: what must be said at the top. insist: marks words also where the model knows nothing of such texts.
    sentence_rows: in so many rows, the worst, the document is read once more, sentence by sentence.

    Raises:
        OSError: if the page cannot be written.
    """
    from quals_jax.evidence import sentences_for_report
    from quals_jax.report import write_report

    tokenizer = quals.qagen.tokenizer
    names = {tokenizer.connector_id: "→", quals.qagen.config.eos_token_id: "end"}
    write_report(
        path,
        rows,
        signature=quals.signature,
        token_text=lambda token: names.get(token) or tokenizer.decode([token]),
        shown=shown,
        group_by=group_by,
        reference_scores=quals.reference_scores,
        sentences=sentences_for_report(quals.qagen) if sentence_rows else None,
        sentence_rows=sentence_rows,
        notes=notes,
        outside=row_is_outside if quals.qagen.only_gazette and not insist else None,
    )
