"""All else stands in pyproject.toml; this puts the configurations, which lie beside the package, into it."""

from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py


class BuildWithConfigs(build_py):
    def run(self):
        super().run()
        if not self.editable_mode:
            for config in sorted(Path("configs").glob("*.py")):
                target = Path(self.build_lib, "quals_jax", "configs", config.name)
                self.mkpath(str(target.parent))
                self.copy_file(str(config), str(target))


setup(cmdclass={"build_py": BuildWithConfigs})
