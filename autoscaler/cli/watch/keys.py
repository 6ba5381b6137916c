"""The keys: one table that they work by, that help shows and that the docs have."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from autoscaler.cli.watch.state import Page, Watch

_FAR = 10**9


@dataclass(frozen=True, kw_only=True, slots=True)
class Key:
    """What a key does."""

    names: tuple[str, ...]
    """As `terminal.Decoder` names them."""
    does: str
    """In a sentence of the help."""
    act: Callable[[Watch], None]
    hint: str = ""
    """In a word, for the last line of the screen; empty for keys that explain themselves."""

    @property
    def shown(self) -> str:
        """The key as a person calls it."""
        return " or ".join(_CALLED.get(name, name) for name in self.names)


_CALLED = {
    "up": "↑",
    "down": "↓",
    "pageup": "PgUp",
    "pagedown": "PgDn",
    "home": "Home",
    "end": "End",
    "enter": "Enter",
    "escape": "Esc",
    " ": "Space",
}

KEYS = (
    Key(names=("q",), hint="quit", does="ends the watch; so does Ctrl-C", act=Watch.quit),
    Key(names=("?", "h"), hint="help", does="shows these keys", act=lambda watch: watch.turn(Page.HELP)),
    Key(
        names=("c",),
        hint="concerns",
        does="shows all that needs a person, with the command that mends it",
        act=lambda watch: watch.turn(Page.CONCERNS),
    ),
    Key(
        names=("w",),
        hint="why",
        does="says why the pool that is picked, or each, is as it is, and why nothing else was done",
        act=lambda watch: watch.turn(Page.WHY),
    ),
    Key(
        names=("j",),
        hint="journal",
        does="shows what happened, the newest first",
        act=lambda watch: watch.turn(Page.JOURNAL),
    ),
    Key(names=("p",), hint="pool", does="picks the next pool, and after the last one all", act=Watch.next_pool),
    Key(names=("s",), hint="sort", does="sorts machines by the next column", act=Watch.next_order),
    Key(
        names=("/",),
        hint="filter",
        does="takes words that machines must have, until Enter; Esc drops them",
        act=Watch.type_filter,
    ),
    Key(names=(" ",), hint="freeze", does="keeps the picture as it is, and lets it go on again", act=Watch.freeze),
    Key(
        names=("enter",),
        does="shows the machine that is selected; on a concern, notes its command, to be printed at the end",
        act=Watch.choose,
    ),
    Key(names=("escape",), does="goes back; on the first page it drops the filter", act=Watch.back),
    Key(names=("up",), does="goes up a line", act=lambda watch: watch.move(-1)),
    Key(names=("down",), does="goes down a line", act=lambda watch: watch.move(1)),
    Key(names=("pageup",), does="goes up a page", act=lambda watch: watch.turn_page(-1)),
    Key(names=("pagedown",), does="goes down a page", act=lambda watch: watch.turn_page(1)),
    Key(names=("home",), does="goes to the first line", act=lambda watch: watch.move(-_FAR)),
    Key(names=("end",), does="goes to the last line", act=lambda watch: watch.move(_FAR)),
)
_BY_NAME = {name: key for key in KEYS for name in key.names}


def press(watch: Watch, name: str) -> None:
    """Do what a key does; one that is not in the table does nothing."""
    if watch.typing:
        watch.typed(name)
    elif name in _BY_NAME:
        _BY_NAME[name].act(watch)
