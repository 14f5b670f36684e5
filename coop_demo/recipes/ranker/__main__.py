"""`python -m coop_demo.recipes.ranker`."""

import sys

from coop_demo.recipes.ranker.train import main

sys.exit(main())
