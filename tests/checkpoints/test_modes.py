"""The modes of files that were made under another name first."""

import os
import stat

from quals_jax.checkpoints.modes import follow_umask


def test_exported_files_have_the_mode_of_any_new_file(tmp_path):
    before = os.umask(0o027)
    try:
        (tmp_path / "x").touch(0o600)
        follow_umask(tmp_path / "x")
    finally:
        assert os.umask(before) == 0o027
    assert stat.S_IMODE((tmp_path / "x").stat().st_mode) == 0o640
