"""A user's mistake, as data: what is wrong, where, how to fix it and one next command. Never a traceback.

`BadValue` is raised by whoever reads one value and knows nothing about where it stood; whoever knows the
place turns it into a `Problem`. All problems of one input are reported together in one `SpecError`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import ClassVar, NamedTuple, TypeVar

__all__ = ["BadValue", "Problem", "ProblemList", "SpecError", "did_you_mean"]

T = TypeVar("T")

MOST_SHOWN = 20


class BadValue(ValueError):
    """One value that cannot be: `what` is wrong with it and the `fix`; `path` leads to the part meant."""

    def __init__(self, what: str, fix: str, *, path: tuple[str | int, ...] = ()) -> None:
        super().__init__(f"{what}; {fix}")
        self.path = path
        self.what = what
        self.fix = fix


class Problem(NamedTuple):
    """One mistake. `where` is `file:line:column`, or the option's name."""

    what: str
    fix: str
    where: str = ""

    def __str__(self) -> str:
        return f"{_placed(self)}\n  how to fix: {self.fix}"


class SpecError(Exception):
    """A spec, option or request that cannot be: exit 2, nothing submitted. `problems` holds every mistake."""

    exit: ClassVar[int] = 2
    exit_code: ClassVar[int] = 2
    code: ClassVar[str] = "bad_spec"

    def __init__(self, problems: Sequence[Problem], *, next_command: str = "") -> None:
        self.problems = tuple(problems)
        self.next_command = next_command
        super().__init__(self._text())

    @property
    def message(self) -> str:
        """What is wrong and where, one line per problem; of several each with its fix."""
        shown = self.problems[:MOST_SHOWN]
        if len(shown) == 1:
            return _placed(shown[0])
        return "\n".join([*(f"{_placed(each)}; {each.fix}" for each in shown), *self._rest()])

    @property
    def hint(self) -> str:
        """The next command; of a single problem how to fix it, too. The lines of several have their fixes."""
        fix = self.problems[0].fix if len(self.problems) == 1 else "" if self.next_command else "mend each of them"
        if not fix or not self.next_command:
            return fix or self.next_command
        return f"{fix} (next: {self.next_command})"

    def _text(self) -> str:
        lines = [str(problem) for problem in self.problems[:MOST_SHOWN]]
        lines += self._rest()
        if self.next_command:
            lines.append(f"next: {self.next_command}")
        return "\n".join(lines)

    def _rest(self) -> list[str]:
        more = len(self.problems) - MOST_SHOWN
        return [f"... and {more} more problems"] if more > 0 else []


def _placed(problem: Problem) -> str:
    return f"{problem.where}: {problem.what}" if problem.where else problem.what


class ProblemList:
    """Collects the problems of one input, so that all of them are reported together."""

    __slots__ = ("_found",)

    def __init__(self) -> None:
        self._found: list[Problem] = []

    def __bool__(self) -> bool:
        return bool(self._found)

    def add(self, what: str, *, fix: str, where: str = "") -> None:
        """Note one problem."""
        self._found.append(Problem(what, fix, where))

    def read(self, where: str, parse: Callable[[str], T], text: str | None) -> T | None:
        """Parse `text`; a `BadValue` is noted at `where` and gives None, as does None itself."""
        if text is None:
            return None
        try:
            return parse(text)
        except BadValue as bad:
            self.add(bad.what, fix=bad.fix, where=where)
            return None

    def raise_if_any(self, *, next_command: str = "") -> None:
        """Raise `SpecError` with everything noted so far."""
        if self._found:
            raise SpecError(self._found, next_command=next_command)


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """A fix for an unknown name: the closest known one, or all of them."""
    import difflib  # here, because no command that succeeds should pay for it

    names = sorted(known)
    close = difflib.get_close_matches(name[:100], names, n=1, cutoff=0.6)
    if close:
        return f"did you mean `{close[0]}`?"
    return "use one of: " + ", ".join(names)
