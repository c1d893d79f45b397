"""Face 1: the chat. The only room, beside the rehearsal's in-process transport, that speaks Telegram."""
