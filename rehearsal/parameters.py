"""What each method may be asked with: Telegram's parameters and nothing else."""

import json
from typing import Annotated, Any, Literal, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Discriminator, Field, Tag, ValidationError

from rehearsal.chats import Json, Rows
from rehearsal.rules import RefusalError, bad_request


class Upload(BaseModel):
    """A file that came along with a call."""

    model_config = ConfigDict(frozen=True)

    name: str
    content: bytes
    mime: str = "application/octet-stream"


def _unjson(given: Any) -> Any:
    # In forms and query strings Telegram takes nested values as JSON text.
    if isinstance(given, str):
        try:
            return json.loads(given)
        except ValueError as reason:
            raise ValueError("can't parse JSON") from reason
    return given


def _number(given: Any) -> Any:
    return int(given) if isinstance(given, str) and given.lstrip("-").isdigit() else given


class Asked(BaseModel):
    """Any method's parameters; one it does not know is refused, so that typing errors show."""

    model_config = ConfigDict(extra="forbid", frozen=True)


P = TypeVar("P", bound=Asked)
ChatId = Annotated[int | str, BeforeValidator(_number)]
Objects = Annotated[tuple[Json, ...], BeforeValidator(_unjson)]
Strings = Annotated[tuple[str, ...], BeforeValidator(_unjson)]
AnyObject = Annotated[Json, BeforeValidator(_unjson)]


class InlineButton(Asked):
    """A button under a message."""

    text: str
    url: str | None = None
    callback_data: str | None = None
    web_app: Json | None = None
    login_url: Json | None = None
    switch_inline_query: str | None = None
    switch_inline_query_current_chat: str | None = None
    switch_inline_query_chosen_chat: Json | None = None
    copy_text: Json | None = None
    callback_game: Json | None = None
    pay: bool | None = None
    style: str | None = None
    icon_custom_emoji_id: str | None = None


class InlineKeyboard(Asked):
    """Rows of buttons under a message."""

    inline_keyboard: tuple[tuple[InlineButton, ...], ...]

    def rows(self) -> Rows:
        """Answer the rows as they go back to the bot."""
        return tuple(tuple(button.model_dump(exclude_none=True) for button in row) for row in self.inline_keyboard)


class KeyboardButton(Asked):
    """A button in place of the person's keyboard; a bare text is one, too."""

    text: str
    request_contact: bool | None = None
    request_location: bool | None = None
    request_poll: Json | None = None
    request_users: Json | None = None
    request_chat: Json | None = None
    request_managed_bot: Json | None = None
    web_app: Json | None = None
    style: str | None = None
    icon_custom_emoji_id: str | None = None


def _button(given: Any) -> Any:
    return {"text": given} if isinstance(given, str) else given


class ReplyKeyboard(Asked):
    """Buttons in place of the person's keyboard."""

    keyboard: tuple[tuple[Annotated[KeyboardButton, BeforeValidator(_button)], ...], ...]
    is_persistent: bool = False
    resize_keyboard: bool = False
    one_time_keyboard: bool = False
    input_field_placeholder: str | None = Field(default=None, max_length=64)
    selective: bool = False


class RemoveKeyboard(Asked):
    """Take the reply keyboard away."""

    remove_keyboard: Literal[True]
    selective: bool = False


class ForceReply(Asked):
    """Open the answer field."""

    force_reply: Literal[True]
    input_field_placeholder: str | None = Field(default=None, max_length=64)
    selective: bool = False


def _markup_kind(given: Any) -> str | None:
    kinds = {"inline_keyboard": "inline", "keyboard": "reply", "remove_keyboard": "remove", "force_reply": "force"}
    keys = given if isinstance(given, dict) else type(given).model_fields if isinstance(given, Asked) else ()
    return next((kind for key, kind in kinds.items() if key in keys), None)


Markup = Annotated[
    Annotated[InlineKeyboard, Tag("inline")]
    | Annotated[ReplyKeyboard, Tag("reply")]
    | Annotated[RemoveKeyboard, Tag("remove")]
    | Annotated[ForceReply, Tag("force")],
    Discriminator(_markup_kind),
    BeforeValidator(_unjson),
]
Inline = Annotated[InlineKeyboard, BeforeValidator(_unjson)]


class ReplyParameters(Asked):
    """Which message is answered."""

    message_id: int
    chat_id: ChatId | None = None
    allow_sending_without_reply: bool = False
    quote: str | None = None
    quote_parse_mode: str | None = None
    quote_entities: Objects = ()
    quote_position: int | None = None
    checklist_task_id: int | None = None
    poll_option_id: str | None = None


class Nothing(Asked):
    """No parameters."""


class GetUpdates(Asked):
    """Long polling."""

    offset: int = 0
    limit: int = 100
    timeout: int = 0
    allowed_updates: Strings | None = None


class ToChat(Asked):
    """A method about one chat."""

    chat_id: ChatId


class Send(ToChat):
    """What all sending methods share."""

    business_connection_id: str | None = None
    message_thread_id: int | None = None
    direct_messages_topic_id: int | None = None
    disable_notification: bool = False
    protect_content: bool = False
    allow_paid_broadcast: bool = False
    message_effect_id: str | None = None
    suggested_post_parameters: AnyObject | None = None
    reply_parameters: Annotated[ReplyParameters, BeforeValidator(_unjson)] | None = None
    reply_markup: Markup | None = None
    parse_mode: str | None = None


class SendMessage(Send):
    """A text."""

    text: str
    entities: Objects = ()
    link_preview_options: AnyObject | None = None


class SendPhoto(Send):
    """A picture."""

    photo: Upload | str
    caption: str = ""
    caption_entities: Objects = ()
    show_caption_above_media: bool = False
    has_spoiler: bool = False


class SendDocument(Send):
    """A file."""

    document: Upload | str
    caption: str = ""
    caption_entities: Objects = ()
    thumbnail: Upload | str | None = None
    disable_content_type_detection: bool = False


class Edit(ToChat):
    """What all editing methods share; inline messages are not rehearsed."""

    message_id: int
    business_connection_id: str | None = None
    reply_markup: Inline | None = None


class EditMessageText(Edit):
    """New words, and new or no buttons."""

    text: str
    parse_mode: str | None = None
    entities: Objects = ()
    link_preview_options: AnyObject | None = None


class EditMessageCaption(Edit):
    """New words under a picture or document."""

    caption: str = ""
    parse_mode: str | None = None
    caption_entities: Objects = ()
    show_caption_above_media: bool = False


class AnswerCallbackQuery(Asked):
    """What a tap is answered with."""

    callback_query_id: str
    text: str = ""
    show_alert: bool = False
    url: str | None = None
    cache_time: int = 0


class SendChatAction(ToChat):
    """The bot is typing."""

    action: str
    business_connection_id: str | None = None
    message_thread_id: int | None = None


class DeleteMessage(ToChat):
    """Which message to delete."""

    message_id: int


class Command(Asked):
    """One entry of the command list."""

    command: str
    description: str


class CommandScope(Asked):
    """Whose command list, in which language."""

    scope: AnyObject = Field(default_factory=lambda: {"type": "default"})
    language_code: str = ""


class SetMyCommands(CommandScope):
    """A command list."""

    commands: Annotated[tuple[Command, ...], BeforeValidator(_unjson)]


class Language(Asked):
    """In which language."""

    language_code: str = ""


class SetMyName(Language):
    """The bot's name."""

    name: str = Field(default="", max_length=64)


class SetMyDescription(Language):
    """What is shown in an empty chat."""

    description: str = Field(default="", max_length=512)


class SetMyShortDescription(Language):
    """What is shown on the bot's profile."""

    short_description: str = Field(default="", max_length=120)


class SetWebhook(Asked):
    """Where to push updates."""

    url: str
    certificate: Upload | None = None
    ip_address: str | None = None
    max_connections: int = Field(default=40, ge=1, le=100)
    allowed_updates: Strings | None = None
    drop_pending_updates: bool = False
    secret_token: str | None = None


class DeleteWebhook(Asked):
    """Back to polling."""

    drop_pending_updates: bool = False


class GetFile(Asked):
    """Which file."""

    file_id: str


_MISSING = {
    "text": "message text is empty",
    "chat_id": "chat_id is empty",
    "message_id": "message identifier is not specified",
    "photo": "there is no photo in the request",
    "document": "there is no document in the request",
    "file_id": "invalid file_id",
    "action": "wrong parameter action in request",
}


def read(model: type[P], fields: dict[str, Any]) -> P:
    """Answer the parameters of one call, or refuse it as Telegram would."""
    try:
        return model.model_validate(fields)
    except ValidationError as reason:
        raise _refusal(reason) from None


def _refusal(reason: ValidationError) -> RefusalError:
    first = reason.errors(include_url=False, include_context=False)[0]
    place = [str(part) for part in first["loc"] if part not in ("inline", "reply", "remove", "force")]
    if first["type"] == "extra_forbidden":
        return bad_request(f"unknown field {'.'.join(place)}")
    if first["type"] == "missing" and len(place) == 1:
        return bad_request(_MISSING.get(place[0], f"parameter {place[0]} is required"))
    if place[0] == "reply_markup":
        return bad_request(f"object expected as reply markup: {'.'.join(place)}: {first['msg']}")
    return bad_request(f"can't parse {'.'.join(place)}: {first['msg']}")
