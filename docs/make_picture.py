"""The README's picture: what a terminal shows, as SVG.

In: a terminal's text with ANSI colours on stdin, such as ``tmux capture-pane -p -e`` prints. Out: SVG on stdout.
"""

from __future__ import annotations

import io
import re
import sys

from rich.console import Console
from rich.text import Text

text = Text.from_ansi(sys.stdin.read().rstrip())
width = max(line.cell_len for line in text.split("\n"))
console = Console(record=True, width=width, file=io.StringIO(), force_terminal=True)
console.print(text)
svg = console.export_svg(title="quetma demo")
# Fonts from elsewhere would not load offline, and are not needed.
sys.stdout.write(re.sub(r"@font-face \{.*?\}\s*", "", svg, flags=re.DOTALL))
