"""BacktestGroup: `backtest desk:app ...` beside `backtest list`, `backtest show` and the others."""

from __future__ import annotations

import copy
import difflib
from pathlib import Path
from typing import Any

from typer.core import TyperGroup

from closingbell.cli.target import looks_like_target

#: How like a command's name a word must be to be taken for one: two letters swapped.
_SLIP = 0.75


class BacktestGroup(TyperGroup):
    """A group of commands with a plain form: what names none of them is the plain one's target."""

    #: The command behind the plain form; nobody needs to type it.
    plain = "run"

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Put the plain command's name before a target or an option."""
        if args and not self._names_command(args[0], ctx):
            args = [self.plain, *args]
        return super().parse_args(ctx, args)

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """Write the plain form's options together with the list of commands."""
        shown = copy.copy(self)
        plain = self.commands[self.plain]
        shown.params, shown.help = plain.params, plain.help
        super(BacktestGroup, shown).format_help(ctx, formatter)

    def _names_command(self, word: str, ctx: Any) -> bool:
        if word in self.commands or word in ctx.help_option_names:
            return True
        if looks_like_target(word) or Path(word).is_dir() or Path(f"{word}.py").is_file():
            return False
        # A slip of the pen is refused as an unknown command, and not looked for as a module.
        return bool(difflib.get_close_matches(word, list(self.commands), n=1, cutoff=_SLIP))
