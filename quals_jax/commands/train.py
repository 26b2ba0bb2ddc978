"""`train.py`: reads a configuration and the changes to it, trains, and turns every user's error into one line."""

from __future__ import annotations

import dataclasses
import difflib
import os
import sys
import traceback
from pathlib import Path

from quals_jax import __version__
from quals_jax.commands.errors import out_of_memory
from quals_jax.commands.manners import TRY_AGAIN, about_the_machine
from quals_jax.shipped import shipped

HELP = "train a QAGen, or a summarizer by likelihood or by ConSeq"
USAGE = """usage: python train.py --config configs/NAME.py --workdir DIR [--config.PATH=VALUE ...]

Trains what the configuration describes, and writes the result as a Hugging Face folder, DIR/model.
Started again with the same arguments it goes on from the last checkpoint in DIR.

  --config FILE          a Python file whose get_config() returns a TrainConfig (quals_jax/training/config.py), or a
                         ConseqConfig for the whole recipe of ConSeq (quals_jax/recipes/config.py)
  --config.PATH=VALUE    changes a field, for example --config.optimizer.learning_rate=1e-5
  --workdir DIR          checkpoints, metrics.jsonl and the result
  --export best|last|STEP  writes DIR/model from that checkpoint, without training
  --dry_run              no step: shapes of batches and their memory, steps, disk, hours; also in DIR/plan.json
  --memory GB            with --dry_run: for a device of so much memory, by formula
  --cpu_devices N        devices that the CPU is seen as; as many as it has cores trains fastest
  --profile DIR          what the devices do in the first step and 20 s after it, for XProf or Perfetto
  --verbose              progress even where standard error is no terminal

Several hosts (see docs/training.md):
  --distributed          find the other processes by the cluster's own means (Slurm, a TPU pod)
  --coordinator HOST:PORT --num_processes N --process_id I
"""
STOPPED = 143  # 128 + SIGTERM
NO_ROOM = (
    "memory does not hold a step; try --config.optimizer.accumulate=4 (a batch in parts), --config.model.remat=True,"
    " --config.model.shard_params=True (several devices), or a smaller --config.data.batch_size"
)


class UsageError(ValueError):
    """Arguments that cannot be used."""


def main(arguments: list[str]) -> int:
    """Runs the command; the exit status: 0 done, 1 a loss not finite, 2 a user's error, 143 stopped by SIGTERM."""
    if not arguments or {"-h", "--help"} & set(arguments):
        print(USAGE, end="")
        return 0 if arguments else 2
    if "--version" in arguments:
        print(f"quals_jax {__version__}")
        return 0
    try:
        config, options = parse([_spelled(argument) for argument in arguments])
        return _run(config, options)
    except Exception as error:
        if isinstance(error, ValueError) or _users(error):
            print(f"train.py: {' '.join(str(error).split())}", file=sys.stderr)
            return _leave(2)
        if out_of_memory(error):
            print(f"train.py: {NO_ROOM}", file=sys.stderr)
            return _leave(2)
        if "jax" in sys.modules and (line := _about_peers(error)):
            print(f"train.py: {line}", file=sys.stderr)
            return _leave(TRY_AGAIN)
        if line := about_the_machine(error):
            print(f"train.py: {line}", file=sys.stderr)
            return _leave(2)
        traceback.print_exc()
        return _leave(1)


def _about_peers(error: Exception) -> str | None:
    from quals_jax import parallel

    return parallel.about_peers(error)


def _leave(status: int) -> int:
    """The status. Where others wait for this process it ends here and now."""
    if "jax" not in sys.modules:
        return status
    from quals_jax import parallel

    return parallel.leave(status)


def _run(config, options) -> int:
    if not options.verbose:
        os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # what JAX logs when a process is gone is many lines
    import jax

    from quals_jax import parallel
    from quals_jax.compiled import keep_compiled_programs
    from quals_jax.recipes.config import ConseqConfig

    keep_compiled_programs()  # a run that goes on compiles nothing again
    if isinstance(config, ConseqConfig):
        if options.export:
            raise UsageError("--export is for likelihood training; ConSeq writes its model when it is trained")
        from quals_jax.commands.runtime import prepare

        prepare()  # the recipe searches as much as it trains
    if options.cpu_devices:
        jax.config.update("jax_num_cpu_devices", options.cpu_devices)
    if config.model.dtype == "float64":
        jax.config.update("jax_enable_x64", True)
    parallel.start_processes(
        coordinator=options.coordinator or "",
        num_processes=options.num_processes,
        process_id=options.process_id,
        detect=options.distributed,
    )
    from quals_jax.recipes import likelihood
    from quals_jax.training.loop import Stopped

    workdir = Path(options.workdir)
    profile = Path(options.profile) if options.profile else None
    terminal = sys.stderr if options.verbose or sys.stderr.isatty() else None
    try:
        if options.dry_run:
            return _dry_run(config, workdir, options.memory)
        if isinstance(config, ConseqConfig):
            return _run_recipe(config, workdir, terminal, profile)
        if options.export:
            step = int(options.export) if options.export.isdecimal() else None
            chosen = config if step is not None else dataclasses.replace(config, export=options.export)
            folder = likelihood.export_now(chosen, workdir, step)
        else:
            folder = likelihood.run(config, workdir, terminal=terminal, profile=profile)
    except FloatingPointError as error:
        print(f"train.py: {error}", file=sys.stderr)
        return 1
    except Stopped as stopped:
        print(f"train.py: stopped after step {stopped}; the same command goes on from there", file=sys.stderr)
        return STOPPED
    if parallel.is_first_process():
        print(folder)
    return 0


def _dry_run(config, workdir: Path, memory: float | None) -> int:
    """Prints the plan, and status 2 where a shape does not fit."""
    from quals_jax import parallel
    from quals_jax.recipes import likelihood
    from quals_jax.recipes.config import ConseqConfig
    from quals_jax.training.memory import GIGABYTE
    from quals_jax.training.plan import require_fits, table

    limit = None if memory is None else int(memory * GIGABYTE)
    if isinstance(config, ConseqConfig):
        plan = _recipe(config).plan(config, workdir, limit=limit)
    else:
        plan = likelihood.plan(config, limit=limit)
    if parallel.is_first_process():
        print(table(plan))
        plan.write(workdir / "plan.json")
    require_fits(plan)
    return 0


def _run_recipe(config, workdir: Path, terminal, profile: Path | None) -> int:
    """ConSeq, from sampling to the table, once or in rounds."""
    from quals_jax import parallel

    table = _recipe(config).run(config, workdir, terminal=terminal, profile=profile)
    if parallel.is_first_process():
        print(table)
        print(workdir / "model")
    return 0


def _recipe(config):
    """The module that has `run` and `plan` for this kind of ConSeq."""
    from quals_jax.recipes import conseq, online
    from quals_jax.recipes.config import OnlineConseqConfig

    return online if isinstance(config, OnlineConseqConfig) else conseq


def parse(arguments: list[str]):
    """The configuration with its changes, and the other options.

    Raises:
        UsageError: naming the argument, and for an unknown one the nearest that exists.
    """
    from absl import flags
    from ml_collections import config_flags

    from quals_jax.training.config import TrainConfig

    arguments = _with_shipped_config(arguments)
    values = flags.FlagValues()
    config_flags.DEFINE_config_file("config", flag_values=values, sys_argv=["train.py", *arguments])
    flags.DEFINE_string("workdir", None, "", flag_values=values)
    flags.DEFINE_string("export", None, "", flag_values=values)
    flags.DEFINE_bool("dry_run", False, "", flag_values=values)
    flags.DEFINE_float("memory", None, "", lower_bound=0.001, flag_values=values)
    flags.DEFINE_integer("cpu_devices", 0, "", lower_bound=0, flag_values=values)
    flags.DEFINE_string("profile", None, "", flag_values=values)
    flags.DEFINE_bool("verbose", False, "", flag_values=values)
    flags.DEFINE_bool("distributed", False, "", flag_values=values)
    flags.DEFINE_string("coordinator", None, "", flag_values=values)
    flags.DEFINE_integer("num_processes", 0, "", flag_values=values)
    flags.DEFINE_integer("process_id", -1, "", flag_values=values)
    path = _config_file(arguments)
    try:
        rest = values(["train.py", *arguments])
    except KeyError as error:
        raise UsageError(_unknown_field(arguments, path, error)) from None
    except flags.UnrecognizedFlagError as error:
        raise UsageError(_unknown_flag(error.flagname, list(values))) from None
    except flags.Error as error:
        raise UsageError(str(error)) from None
    except Exception as error:  # the file is Python: anything can be wrong with it
        raise UsageError(f"--config {path}: {type(error).__name__}: {error}") from None
    if len(rest) > 1:
        raise UsageError(f"{rest[1]!r} is no flag")
    if values.export and values.export not in ("best", "last") and not values.export.isdecimal():
        raise UsageError(f"--export {values.export}: must be best, last or the number of a step")
    if values.memory is not None and not values.dry_run:
        raise UsageError("--memory is for --dry_run")
    if not values.workdir:
        raise UsageError("--workdir is missing: where checkpoints and the result go")
    if "://" in values.workdir:
        raise UsageError(
            f"--workdir {values.workdir}: is no folder of a file system; mount the bucket and name that folder"
        )
    config = values.config
    if not isinstance(config, TrainConfig):
        raise UsageError(
            f"--config {path}: get_config() must return a TrainConfig or a ConseqConfig, not a {type(config).__name__}"
        )
    config.validate()
    return config, values


def _spelled(argument: str) -> str:
    """A flag with underscores for the hyphens of its name."""
    name, equals, value = argument.partition("=")
    return f"--{name[2:].replace('-', '_')}{equals}{value}" if name.startswith("--") else argument


def _with_shipped_config(arguments: list[str]) -> list[str]:
    """The arguments with the path of a configuration that came with the package, where `configs/NAME.py` is no file here."""
    arguments = list(arguments)
    for place, argument in enumerate(arguments):
        name, equals, value = argument.lstrip("-").partition("=")
        if name != "config" or not argument.startswith("-"):
            continue
        if equals:
            arguments[place] = f"--config={shipped(value)}"
        elif place + 1 < len(arguments):
            arguments[place + 1] = str(shipped(arguments[place + 1]))
        break
    return arguments


def _config_file(arguments: list[str]) -> Path:
    for number, argument in enumerate(arguments):
        name, equals, value = argument.lstrip("-").partition("=")
        if name == "config" and argument.startswith("-"):
            path = Path(value if equals else "".join(arguments[number + 1 : number + 2]))
            if not path.is_file():
                raise UsageError(f"--config {path}: there is no such file")
            return path
    raise UsageError("--config is missing: a file such as configs/gazette_qagen.py")


def _unknown_field(arguments: list[str], path: Path, error: KeyError) -> str:
    """Names the unknown field and the nearest that exists."""
    import runpy

    known = list(_paths(runpy.run_path(str(path))["get_config"]()))
    for argument in arguments:
        name = argument.lstrip("-").partition("=")[0]
        if name.startswith("config.") and name.removeprefix("config.") not in known:
            return f"--{name}: the configuration has no such field{_nearest(name.removeprefix('config.'), known)}"
    return str(error)


def _unknown_flag(name: str, known: list[str]) -> str:
    return f"--{name}: there is no such flag{_nearest(name, known)}"


def _nearest(name: str, known: list[str]) -> str:
    # The last part first: `--config.learning_rate` means `optimizer.learning_rate`.
    ends = [path for path in known if path.split(".")[-1] == name.split(".")[-1]]
    near = ends or difflib.get_close_matches(name, known, n=1, cutoff=0.4)
    return f"; the nearest is {near[0]}" if near else ""


def _paths(config, prefix: str = ""):
    for field in dataclasses.fields(config):
        value = getattr(config, field.name)
        yield prefix + field.name
        if dataclasses.is_dataclass(value):
            yield from _paths(value, f"{prefix}{field.name}.")


def _users(error: Exception) -> bool:
    """Whether an error of the system's comes of what the user asked for: a path, or a full disk."""
    return isinstance(error, OSError) and error.errno is not None
