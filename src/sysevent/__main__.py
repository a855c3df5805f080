"""`python -m sysevent`: the sysevent command."""

import sys

from sysevent.cli import main

sys.exit(main())
