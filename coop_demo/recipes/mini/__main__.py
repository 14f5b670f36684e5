"""`python -m coop_demo.recipes.mini`."""

import sys

from coop_demo.recipes.mini.text_tower import main

sys.exit(main())
