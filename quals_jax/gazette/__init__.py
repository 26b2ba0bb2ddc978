"""Gazette: an endless newspaper in which every fact is known, and an oracle that reads any summary against them."""

from quals_jax.gazette.corruptions import Corruption
from quals_jax.gazette.kinds import all_kinds
from quals_jax.gazette.oracle import Claim, Verdict, check
from quals_jax.gazette.story import Fact, Question, Story, stories, story

__all__ = ["Claim", "Corruption", "Fact", "Question", "Story", "Verdict", "all_kinds", "check", "stories", "story"]
