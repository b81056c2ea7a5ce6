"""Renew the golden file after an intended change of output: ``python -m tests.golden.renew``."""

from __future__ import annotations

import sys

from tests.golden.run import PATH, text


def main() -> None:
    """Write the file, and say what is to be done next."""
    new = text()
    if PATH.exists() and PATH.read_text(encoding="utf-8") == new:
        sys.stdout.write(f"{PATH.name} is as it was\n")
        return
    PATH.write_text(new, encoding="utf-8")
    sys.stdout.write(f"{PATH.name} is renewed: the same seed gives other payments now. Note it in CHANGELOG.md.\n")


if __name__ == "__main__":
    main()
