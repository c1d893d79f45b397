"""A stand-in Telegram with people, phones and a clock that can be moved."""
