"""Who got what was sent, and what each of them answered. No I/O."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from html import escape
from typing import Any

from .._util.foreign_text import listed, plain_line
from ..errors import SampError
from ..values import Response

__all__ = ["Answer", "Selection", "SendError", "Sent"]

_LONGEST_NAME = 60


@dataclass(frozen=True, slots=True)
class Answer:
    """What one recipient made of it: a `response`, or an `error` why there is none.

    A samp.error is both: the response, and the `ReplyError` that it makes.

    Attributes:
        public_id: The public id of the recipient.
        name: Its samp.name.
        mtype: What it was sent.
        response: What it answered; None if no answer came.
        error: Why there is none, or what a samp.error says; None if all went well.
    """

    public_id: str
    name: str
    mtype: str
    response: Response | None = None
    error: SampError | None = None

    @property
    def ok(self) -> bool:
        """Whether the recipient has processed it, perhaps with a warning."""
        return self.error is None

    def __str__(self) -> str:
        told = plain_line(self.name, _LONGEST_NAME) or "a client without a name"
        if self.error is not None:
            return f"{told} ({self.public_id}): {self.error}"
        status = "samp.ok" if self.response is None else self.response.status
        text = "" if self.response is None or not self.response.errortxt else f", {self.response.errortxt}"
        return f"{told} ({self.public_id}): {status}{text}"


@dataclass(frozen=True, slots=True, eq=False)
class Selection:
    """Rows that a client has selected in some table.

    Attributes:
        table_id: The table-id, "" if none was sent.
        url: The URL of the table, "" if none was sent.
        rows: Their numbers from 0, as a numpy integer array.
        sender: The public id of the client.
    """

    table_id: str
    url: str
    rows: Any
    sender: str


class Sent(Mapping[str, Answer]):
    """Public id to `Answer`, for each client that it was sent to.

    `failed` holds those who did not take it; when all did not, `SendError` was raised
    instead.

    Args:
        answers: What came of it, for each recipient.
        url: What was sent; "" if the message had no URL.
        item_id: Its id, the table-id for a table; "" if the message had none.
    """

    def __init__(self, answers: list[Answer], *, url: str = "", item_id: str = "") -> None:
        self._answers = {answer.public_id: answer for answer in answers}
        self.url = url
        self.item_id = item_id

    def __getitem__(self, public_id: str) -> Answer:
        return self._answers[public_id]

    def __iter__(self) -> Iterator[str]:
        return iter(self._answers)

    def __len__(self) -> int:
        return len(self._answers)

    def __repr__(self) -> str:
        return f"<Sent {listed(map(str, self._answers.values()), '; ')}>"

    def _repr_html_(self) -> str:
        rows = "".join(
            f"<tr><td>{'&#10003;' if answer.ok else '&#10007;'}</td><td>{escape(str(answer))}</td></tr>"
            for answer in self._answers.values()
        )
        return f"<table>{rows}</table>"

    @property
    def names(self) -> list[str]:
        """The samp.names of those who took it."""
        return [answer.name for answer in self._answers.values() if answer.ok]

    @property
    def failed(self) -> dict[str, Answer]:
        """Public id to answer of those who did not take it."""
        return {public_id: answer for public_id, answer in self._answers.items() if not answer.ok}

    def describe_failures(self) -> str:
        """Return what went wrong, client by client, in one line."""
        return listed(map(str, self.failed.values()), "; ")


class SendError(SampError):
    """All who should have got some data failed.

    Args:
        what: What was sent, for the text.
        results: How it failed, client by client.
    """

    def __init__(self, what: str, results: Sent) -> None:
        self.results = results
        super().__init__(f"{what} reached nobody: {results.describe_failures()}")
