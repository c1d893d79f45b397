"""A stand-in Telegram: bots, people and chats in memory, and the Bot API over them."""

import asyncio
import inspect
import json
from collections import Counter
from collections.abc import Callable, Mapping
from datetime import datetime
from itertools import count
from pathlib import PurePosixPath
from typing import Any

import orjson

from rehearsal import parameters as p
from rehearsal.accounts import Account
from rehearsal.bell import Bell
from rehearsal.chats import Chat, Profile, StoredFile
from rehearsal.faults import Answer, Call, Ending, Fault, Faults, Limits, as_answer, as_fields
from rehearsal.methods import METHODS, Method, Raw
from rehearsal.people import Person
from rehearsal.rules import RefusalError, bad_request
from rehearsal.webhook import Post, Pusher, post_by_http

# Shaped like a real token, and plainly not one.
TOKEN = "7000000001:REHEARSAL-ONLY-not-a-secret-0000001"  # noqa: S105
_FIRST_PERSON = 7_100_000_001


class Telegram:
    """Everything there is; bots call it, people live in it, tests script it."""

    def __init__(
        self,
        clock: Callable[[], datetime],
        *,
        limits: Limits | None = None,
        post: Post = post_by_http,
        webhook_pause_seconds: float = 0.05,
    ) -> None:
        self.clock = clock
        self.bell = Bell()
        self.bots: dict[str, Account] = {}
        self.people: dict[int, Person] = {}
        self.files: dict[str, StoredFile] = {}
        self.faults = Faults()
        self.limits = limits
        self.sent: list[Call] = []
        self._in_flight = 0
        self._done = 0
        self._post = post
        self._pause = webhook_pause_seconds
        self._pushers: dict[str, Pusher] = {}
        self._retired: list[Pusher] = []
        self._person_ids = count(_FIRST_PERSON)

    # Who there is.

    def bot(self, token: str = TOKEN, username: str = "daybook_rehearsal_bot", name: str = "Daybook") -> Account:
        """Make a bot, as BotFather does; asked again with the same token, answer the same one."""
        if token not in self.bots:
            profile = Profile(int(token.partition(":")[0]), name, is_bot=True, username=username)
            self.bots[token] = Account(token, profile, self.clock, self.bell)
        return self.bots[token]

    def person(self, first_name: str, *, language_code: str | None = "en", username: str | None = None) -> Person:
        """Make a person with a phone."""
        return self.bring_back(Profile(next(self._person_ids), first_name, False, username, language_code))

    def bring_back(self, profile: Profile) -> Person:
        """Let somebody be there under an id they have already; whoever comes later gets one of their own."""
        self.people[profile.id] = Person(self, profile)
        self._person_ids = count(max(self.people) + 1)
        return self.people[profile.id]

    def only_bot(self) -> Account:
        """Answer the bot when there is just one."""
        assert len(self.bots) == 1, f"there are {len(self.bots)} bots; say which one"
        return next(iter(self.bots.values()))

    def chat_of(self, account: Account, chat_id: int | str) -> Chat:
        """Answer the chat with this id as the bot sees it, or refuse."""
        if isinstance(chat_id, str):
            raise bad_request("chat not found")
        if chat_id in account.chats:
            return account.chats[chat_id]
        if chat_id in self.people:
            return account.chat_with(self.people[chat_id].profile)
        raise bad_request("chat not found")

    def is_deactivated(self, chat: Chat) -> bool:
        """Whether the person of this chat has left Telegram."""
        return chat.person is not None and self.people[chat.person.id].deactivated

    def keep_file(self, name: str, mime: str, content: bytes, folder: str) -> StoredFile:
        """Keep a file and give it an id."""
        number = len(self.files)
        path = f"{folder}/file_{number}{PurePosixPath(name).suffix}"
        file = StoredFile(f"file{number:06d}", name, mime, content, path)
        self.files[file.id] = file
        return file

    def file_at(self, token: str, path: str) -> StoredFile | None:
        """Answer the file at this path if the token is a bot's."""
        if token not in self.bots:
            return None
        return next((file for file in self.files.values() if file.path == path), None)

    # What bots call.

    async def call(self, token: str, method: str, fields: Mapping[str, Any]) -> Answer:
        """Carry out one call of the Bot API and answer what goes back over the wire."""
        account = self.bots.get(token)
        if account is None:
            return as_answer(RefusalError(401, "Unauthorized"))
        known = METHODS.get(method.lower())
        call = Call(self.clock(), account.username, known.name if known else method, as_fields(fields))
        self.sent.append(call)
        polling = call.method == "getUpdates"
        self._in_flight += not polling
        try:
            return await self._meet_faults(account, known, call, fields)
        finally:
            self._in_flight -= not polling
            self._done += not polling
            self.bell.ring()

    def calls(self, method: str | None = None, *, chat_id: int | None = None) -> list[Call]:
        """Answer the log, or the part of it about this method and chat."""
        return [
            call
            for call in self.sent
            if (method is None or call.method == method) and (chat_id is None or call.chat_id == chat_id)
        ]

    def counts(self) -> Counter[str]:
        """Answer how often each method was called."""
        return Counter(call.method for call in self.sent)

    # How tests wait.

    async def until(self, true: Callable[[], object], *, seconds: float = 5.0) -> None:
        """Wait until this becomes true."""
        try:
            async with asyncio.timeout(seconds):
                while not true():
                    await self.bell.wait(0.005)
        except TimeoutError:
            raise AssertionError(f"still not so after {seconds} s; last calls: {self._last_calls()}") from None

    async def quiet(
        self,
        *,
        idle: Callable[[], bool] = lambda: True,
        settle_seconds: float = 0.02,
        seconds: float = 5.0,
    ) -> None:
        """Wait until every update is confirmed and no call is under way, nor was for a moment.

        A bot that confirms before it has handled an update hands in `idle`, which says whether it is done.
        """
        loop = asyncio.get_running_loop()
        until = loop.time() + seconds
        calm_since, done = loop.time(), self._done
        while True:
            await self.bell.wait(0.002)
            # The time is read once for each look: between two readings a busy machine may let seconds pass.
            now = loop.time()
            if self._done != done or self._busy() or not idle():
                calm_since, done = now, self._done
            elif now - calm_since >= settle_seconds:
                return
            if now > until:
                raise AssertionError(f"not quiet after {seconds} s: {self._busy() or 'idle() says no'}")

    def _busy(self) -> str:
        if self._in_flight:
            return f"{self._in_flight} calls under way"
        if any(pusher.busy for pusher in self._pushers.values()):
            return "an update is being pushed"
        waiting = sum(len(account.updates.pending()) for account in self.bots.values())
        return f"{waiting} updates not confirmed" if waiting else ""

    def _last_calls(self) -> str:
        return ", ".join(f"{call.method} {call.status} {call.description}" for call in self.sent[-5:])

    # Webhooks.

    def start_pushing(self, account: Account) -> None:
        """Push this bot's updates from now on."""
        self.stop_pushing(account)
        self._pushers[account.token] = Pusher(account, self._post, self._pause)

    def stop_pushing(self, account: Account) -> None:
        """Push no more; what is under way ends on its own."""
        pusher = self._pushers.pop(account.token, None)
        if pusher:
            self._retired.append(pusher)
            pusher.cancel()

    async def close(self) -> None:
        """Stop pushing."""
        pushers, self._pushers = [*self._pushers.values(), *self._retired], {}
        for pusher in pushers:
            await pusher.stop()

    # How a call runs.

    async def _meet_faults(
        self, account: Account, known: Method | None, call: Call, fields: Mapping[str, Any]
    ) -> Answer:
        fault = self.faults.take(call)
        if fault and fault.delay_seconds:
            await asyncio.sleep(fault.delay_seconds)
        if fault and not fault.carried_out:
            return self._noted(call, _answer_of(fault))
        answer = await self._carry_out(account, known, call, fields)
        call.carried_out = answer.status == 200  # noqa: PLR2004 - HTTP's own number
        if fault and fault.answer and call.carried_out:
            answer = fault.answer
        return self._noted(call, answer)

    async def _carry_out(
        self, account: Account, known: Method | None, call: Call, fields: Mapping[str, Any]
    ) -> Answer:
        if known is None:
            return as_answer(RefusalError(404, "Not Found"))
        try:
            if self.limits:
                self.limits.check(call)
            asked = p.read(known.asked, with_uploads(fields))
            result = known.run(self, account, asked)
            if inspect.isawaitable(result):
                result = await result
        except RefusalError as refusal:
            return as_answer(refusal)
        written = result.text.encode() if isinstance(result, Raw) else orjson.dumps(result)
        return Answer(200, b'{"ok":true,"result":%b}' % written)

    def _noted(self, call: Call, answer: Answer) -> Answer:
        call.status = answer.status
        call.ending = answer.ending
        if answer.ending is Ending.ANSWERED and answer.status != 200:  # noqa: PLR2004 - HTTP's own number
            call.description = _description(answer)
        return answer


def with_uploads(fields: Mapping[str, Any]) -> dict[str, Any]:
    """Put files where `attach://name` points to them."""
    texts = (value for value in fields.values() if isinstance(value, str))
    taken = {text[9:] for text in texts if text.startswith("attach://")}
    return {
        name: fields.get(value[9:], value) if isinstance(value, str) and value.startswith("attach://") else value
        for name, value in fields.items()
        if name not in taken
    }


def _answer_of(fault: Fault) -> Answer:
    assert fault.answer, "a fault that is not carried out needs an answer"
    return fault.answer


def _description(answer: Answer) -> str:
    try:
        return str(json.loads(answer.body)["description"])
    except ValueError:
        return answer.body.decode(errors="replace")[:80]
