"""The HTML report of a scored file: one page, no network."""

from quals_jax.report.page import write_report

__all__ = ["write_report"]
