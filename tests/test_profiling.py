import gzip
import json

import jax
import jax.numpy as jnp

from quals_jax.profiling import profiled


@jax.jit
def recorded_program(x):
    return jnp.sin(x) @ x


@jax.jit
def later_program(x):
    return jnp.cos(x) @ x


def names(folder):
    (path,) = folder.rglob("perfetto_trace.json.gz")
    return {event.get("name", "") for event in json.loads(gzip.decompress(path.read_bytes()))["traceEvents"]}


def test_a_profile_names_the_programs_that_ran_until_its_time_was_up(tmp_path):
    x = jnp.ones((8, 8))
    with profiled(tmp_path / "new" / "folder", seconds=0) as unit_done:
        recorded_program(x).block_until_ready()
        unit_done()
        later_program(x).block_until_ready()
        unit_done()
    found = " ".join(names(tmp_path))
    assert "recorded_program" in found and "later_program" not in found


def test_an_error_inside_is_passed_on_and_ends_the_profile(tmp_path):
    try:
        with profiled(tmp_path):
            recorded_program(jnp.ones((8, 8))).block_until_ready()
            raise KeyError("x")
    except KeyError:
        pass
    assert any("recorded_program" in name for name in names(tmp_path))


def test_without_a_folder_nothing_is_recorded(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with profiled(None) as unit_done:
        unit_done()
    assert not list(tmp_path.iterdir())
