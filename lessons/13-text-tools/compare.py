"""What changed between two drafts, set for a narrow column."""
import difflib
import html
import textwrap


def compare(first, second, width):
    changes = []
    for line in difflib.unified_diff(first, second, "first", "second", lineterm="", n=1):
        changes.append(html.escape(line))
    column = textwrap.fill(" ".join(second), width)
    return changes, column
