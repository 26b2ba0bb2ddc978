"""A scoring job over files: rows in blocks, scored, written and noted, so that a run that is killed goes on."""
