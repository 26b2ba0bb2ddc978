"""Writes docs/api.md from the docstrings: `python docs/make_api.py > docs/api.md`."""

import inspect
import sys

import quals_jax
from quals_jax import conseq, gazette


def shown(name: str, thing: object, level: int) -> list[str]:
    """A heading with the signature, the docstring, and for a class its public members."""
    title = f"{name}{signature(thing)}" if callable(thing) else name
    lines = [f"{'#' * level} `{title}`", "", inspect.cleandoc(thing.__doc__ or "").strip(), ""]
    if inspect.isclass(thing):
        for member, value in vars(thing).items():
            if member.startswith("_"):
                continue
            value = value.__func__ if isinstance(value, classmethod | staticmethod) else value
            value = getattr(value, "fget", None) or getattr(value, "func", None) or value
            if inspect.isfunction(value) and value.__doc__:
                is_value = isinstance(vars(thing)[member], property) or hasattr(vars(thing)[member], "func")
                lines += [f"{'#' * (level + 1)} `{name}.{member}{'' if is_value else signature(value)}`", ""]
                lines += [inspect.cleandoc(value.__doc__), ""]
    return lines


def signature(thing) -> str:
    try:
        found = inspect.signature(thing)
    except (TypeError, ValueError):
        return ""
    own = [parameter for parameter in found.parameters.values() if parameter.name not in ("self", "cls")]
    plain = [parameter.replace(annotation=inspect.Parameter.empty) for parameter in own]
    return str(found.replace(parameters=plain, return_annotation=inspect.Signature.empty))


def page() -> str:
    lines = ["# API reference", "", "Made from the docstrings by `docs/make_api.py`.", "", "## quals_jax", ""]
    for name in sorted(quals_jax.__all__):
        if name != "__version__":
            lines += shown(name, getattr(quals_jax, name), 3)
    for module, names in ((conseq, ("select", "contrastive_loss")), (gazette, ("stories", "check"))):
        lines += [f"## {module.__name__}", ""]
        for name in names:
            lines += shown(name, getattr(module, name), 3)
    return "\n".join(lines).rstrip() + "\n"


if __name__ == "__main__":
    sys.stdout.write(page())
