"""The table at the end of a scoring run, made from its rows in one pass."""

from __future__ import annotations

import heapq
import json
import math
from array import array
from collections.abc import Iterable

from quals_jax.scoring.groups import Groups, mean_of
from quals_jax.statistics import interval_of_mean
from quals_jax.world import Strangers

WORST = 5
WIDTH = 100


class Summary:
    """What the rows of an output add up to. `strangers` counts those that the model knows nothing of, if there can be such;
    `group_by` names a field whose values are compared."""

    def __init__(self, strangers: Strangers | None = None, group_by: str | None = None):
        self.groups = Groups(group_by) if group_by else None
        self.scores, self.strangers = array("d"), strangers
        self.without_pairs = self.truncated = self.summary_truncated = self.longer_than_document = self.answers = 0
        self.f1 = array("d")
        self._worst: list = []
        self._count = 0

    def add(self, row: dict) -> None:
        """Counts one output row."""
        self._count += 1
        self.truncated += row["truncated"] and row["summary_index"] == 0  # documents, not their summaries
        self.summary_truncated += row.get("summary_truncated", False)  # not in outputs of the first version
        if self.strangers:
            self.strangers.add_row(row)
        if self.groups:
            self.groups.add(row)
        self.longer_than_document += len(row["summary"]) > len(row["document"])
        self.answers += row["num_pairs"]
        if row.get("f1") is not None:
            self.f1.append(row["f1"])
        if row["quals"] is None:
            self.without_pairs += 1
            return
        self.scores.append(row["quals"])
        pair = min(row["pairs"], key=lambda pair: pair["score"])
        entry = (
            -row["quals"],
            -self._count,
            row["id"],
            row["summary"],
            pair["question"],
            pair["answer"],
            pair["score"],
            pair.get("document_answer"),
            pair.get("document_answer_logprob"),
        )
        heapq.heappush(self._worst, entry)
        if len(self._worst) > WORST:
            heapq.heappop(self._worst)

    @classmethod
    def of_lines(cls, lines: Iterable[str], strangers: Strangers | None = None, group_by: str | None = None) -> Summary:
        summary = cls(strangers, group_by)
        for line in lines:
            summary.add(json.loads(line))
        return summary

    @property
    def mean(self) -> float | None:
        return sum(self.scores) / len(self.scores) if self.scores else None

    def to_dict(self, signature: str, *, skipped: int = 0) -> dict:
        """The object of `--summary_json`.

        Raises:
            UserError: if no row has the field of `group_by`.
        """
        return {
            **mean_of(self.scores),
            "without_pairs": self.without_pairs,
            "truncated": self.truncated,
            "summary_truncated": self.summary_truncated,
            "skipped": skipped,
            "signature": signature,
            "groups": self.groups.to_dict() if self.groups else {},
            **({"f1": sum(self.f1) / len(self.f1)} if self.f1 else {}),
        }

    def lines(self, signature: str, *, skipped: int = 0, notes: Iterable[str] = ()) -> list[str]:
        """The table, and as its last line the mean with its signature."""
        total = self._count
        lines = [f"summaries      {total}"]
        lines.append(f"without pairs  {self.without_pairs} ({self.without_pairs / max(total, 1):.1%}): no score")
        cure = "; --long_documents windows reads all of them" if self.truncated else ""
        lines.append(f"cut documents  {self.truncated}: longer than the model reads{cure}")
        if self.summary_truncated:
            lines.append(f"cut summaries  {self.summary_truncated}: nothing was asked about their ends")
        if skipped:
            lines.append(f"skipped rows   {skipped}: see --on_error")
        if self.scores:
            interval = ""
            if len(self.scores) > 1:  # of one there is none
                low, high = interval_of_mean(self.scores)
                interval = f", 95% interval {low:.3f} to {high:.3f}"
            lines.append(f"mean           {self.mean:.3f}{interval} (near 0: supported, far below: not)")
            if self.f1:
                mean = sum(self.f1) / len(self.f1)
                lines.append(f"QUALS-F1       {mean:.3f} (1: summary and document answer alike, 0: not)")
            lines += self.groups.lines() if self.groups else []
            lines += ["", "worst summaries, each with its worst question"]
            for loss, _, id, text, question, answer, score, said, logprob in sorted(self._worst, reverse=True):
                lines.append(f"  {-loss:7.3f}  {_short(id, 28)}  {_short(text, WIDTH)}")
                question, answer = _short(question.strip(), 60), _short(answer.strip(), 30)
                if logprob is None:
                    lines.append(f"  {score:7.3f}  {question} -> {answer}")
                else:
                    said = "no answer" if said is None else _short(said.strip(), 30)
                    said = f"document: {said} ({math.exp(logprob):.2f})"
                    lines.append(f"  {score:7.3f}  {question} summary: {answer}; {said}")
        if self.longer_than_document * 2 > total:
            notes = [*notes, "most summaries are longer than their documents: were the two exchanged?"]
        if total and not self.answers and not (self.strangers and self.strangers.outside):
            notes = [
                *notes,
                "no pair could be used: is the model a QAGen, and trained enough? (a summarizer, or a model that has hardly learnt,"
                " writes no questions whose answers stand in the summary)",
            ]
        lines += ["", *(f"note: {note}" for note in notes)] if notes else [""]
        mean = "none" if self.mean is None else f"{self.mean:.3f}"
        lines.append(f"QUALS = {mean} (n = {len(self.scores)}) | {signature}")
        return lines


def _short(value: object, width: int) -> str:
    text = " ".join(str(value).split())
    return text if len(text) <= width else text[: width - 1] + "…"
