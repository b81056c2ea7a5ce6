"""What larger loads need, by what was measured on one machine: the page docs/scaling.md.

In: figures that commands printed. Out: Markdown; a test holds the page equal.
Renew it with ``python -m services.scaling > docs/scaling.md``. Pure: nothing is measured here.
"""
