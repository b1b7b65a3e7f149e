"""GET /table and /groups: tasks as people look at them, page by page."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter, Query
from fastapi.responses import Response
from pydantic import BaseModel, ConfigDict, Field

from passloop.web.models.table import TableAsk, groups, table
from passloop.web.port import EngineHere, json_reply

__all__ = ["router"]

router = APIRouter(tags=["tasks"])
Words = Annotated[list[str], Field(max_length=1_000)]
MOST_LINES = 500


class TableQuery(BaseModel):
    """Which tasks, in which order, and which page. Several values of one kind widen it, several kinds narrow it."""

    model_config = ConfigDict(extra="forbid")
    select: Words = []
    state: Words = []
    run: Words = []
    group: Words = []
    outcome: Annotated[list[str], Field(alias="class", max_length=1_000)] = []
    key: Words = []
    text: Annotated[str, Field(max_length=200)] = ""
    sort: Literal["newest", "oldest", "priority", "ended"] = "newest"
    offset: Annotated[int, Field(ge=0, le=2**53)] = 0
    limit: Annotated[int, Field(ge=0, le=MOST_LINES)] = 100

    def ask(self) -> TableAsk:
        """The same in the words of selectors."""
        said = {"state": self.state, "run": self.run, "group": self.group, "class": self.outcome, "key": self.key}
        words = [*self.select, *(f"{kind}:{value}" for kind, values in said.items() for value in values)]
        return TableAsk(select=words, text=self.text.strip(), sort=self.sort, offset=self.offset, limit=self.limit)


@router.get("/table")
async def show_table(engine: EngineHere, query: Annotated[TableQuery, Query()]) -> Response:
    """One page of the tasks that the filter chooses, how many there are, and how many in each state."""
    ask = query.ask()
    return json_reply(await engine.read(lambda reader: table(reader, ask)))


@router.get("/groups")
async def list_groups(engine: EngineHere) -> Response:
    """Every group: whether it is held, and how many of its tasks are in which state."""
    return json_reply(await engine.read(groups))
