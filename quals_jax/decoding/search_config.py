"""What a search may be asked for."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class SearchConfig:
    """How to search. The defaults are those of QUALS (the reference's `gen_qa`).

    num_groups: as many as beams, unless given. diversity_strength: what a token costs per choice of it by an earlier group; ignored
    with one group. min_length, max_length: in tokens without the end of sentence. length_penalty: the exponent of the length by which
    a hypothesis' score is divided. covering: answers are spans of the text by construction (`covering.py`), and as many
    hypotheses again are sampled so (`sampling.py`), which ask about what the beams leave out; not the paper's.
    """

    num_beams: int = 60
    num_groups: int | None = None
    diversity_strength: float = 0.5
    min_length: int = 8
    max_length: int = 60
    length_penalty: float = 1.0
    no_repeat_ngram_size: int = 0
    covering: bool = False

    def __post_init__(self):
        if self.num_groups is None:
            object.__setattr__(self, "num_groups", self.num_beams)
        for name, low in (
            ("num_beams", 1),
            ("num_groups", 1),
            ("max_length", 1),
            ("min_length", 0),
            ("no_repeat_ngram_size", 0),
        ):
            value = getattr(self, name)
            if not isinstance(value, int) or isinstance(value, bool) or value < low:
                raise ValueError(f"{name} is {value!r}; it must be a whole number of at least {low}")
        if self.num_beams % self.num_groups:
            raise ValueError(f"num_beams is {self.num_beams}; it must be a multiple of num_groups, {self.num_groups}")
        if self.min_length > self.max_length:
            raise ValueError(f"min_length is {self.min_length}; it must not exceed max_length, {self.max_length}")
        if not self.diversity_strength >= 0:
            raise ValueError(f"diversity_strength is {self.diversity_strength}; it must be at least 0")

    @property
    def beams_per_group(self) -> int:
        return self.num_beams // self.num_groups
