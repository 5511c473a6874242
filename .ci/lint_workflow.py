"""`snakemake --lint` without one check: that each rule names a conda environment or a container.

Every step runs in the environment that snakemake itself runs in, which requirements.lock pins whole
(the Dockerfile makes an image of it); a second description of it at each rule would only go stale.
"""

from snakemake.cli import main
from snakemake.linting.rules import RuleLinter

del RuleLinter.lint_missing_software_definition
main(["--lint"])
