"""`python -m coop_demo.recipes.samples`."""

import sys

from coop_demo.recipes.samples.build import main

sys.exit(main())
