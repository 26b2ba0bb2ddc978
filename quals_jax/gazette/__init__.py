"""Gazette: an endless newspaper in which every fact is known, and an oracle that reads any summary against them."""

from quals_jax.gazette.corruptions import KINDS as CORRUPTION_KINDS
from quals_jax.gazette.corruptions import Corruption
from quals_jax.gazette.kinds import all_kinds
from quals_jax.gazette.names import SPLITS
from quals_jax.gazette.noise import Reference, noisy_reference
from quals_jax.gazette.oracle import Claim, Verdict, check
from quals_jax.gazette.story import Fact, Question, Story, stories, story

__all__ = [
    "CORRUPTION_KINDS", "SPLITS", "Claim", "Corruption", "Fact", "Question", "Reference", "Story", "Verdict", "all_kinds",
    "check", "noisy_reference", "stories", "story",
]  # fmt: skip
