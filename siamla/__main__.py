"""`python -m siamla` is the command `siamla`."""

import sys

from siamla.cli.main import main

sys.exit(main())
