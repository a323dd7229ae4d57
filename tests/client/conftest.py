"""Tests of the client use the breaking server and the ledger of tests/lab."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "lab"))
