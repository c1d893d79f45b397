"""What the API says when it does not answer: problem details (RFC 9457) with one plain sentence."""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Final

from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import Response

PROBLEM_JSON: Final = "application/problem+json"
RETRY_SECONDS: Final = 10


class Problem(BaseModel):
    """Why there is no answer."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    type: str = Field("about:blank", description="Always about:blank: the status says which kind it is.")
    title: str = Field(description="The name of the status.")
    status: int = Field(description="The status of the answer.")
    detail: str = Field(description="What happened and what to do next, in one sentence.")


class Refusal(Exception):  # noqa: N818 - not an error of ours
    """An answer that is none, with the sentence that says why."""

    def __init__(self, status: HTTPStatus, says: str, **headers: str) -> None:
        self.status = status
        self.says = says
        self.headers = {name.replace("_", "-"): value for name, value in headers.items()}
        super().__init__(says)


def problem(status: HTTPStatus, says: str, headers: Mapping[str, str] | None = None) -> Response:
    """The answer that says what went wrong."""
    told = Problem(title=status.phrase, status=status, detail=says)
    return Response(told.model_dump_json(), status, headers, media_type=PROBLEM_JSON)
