"""``python -m vetime_plugins`` is the command ``vetime``."""

from __future__ import annotations

import sys

from vetime_plugins.cli import main

sys.exit(main())
