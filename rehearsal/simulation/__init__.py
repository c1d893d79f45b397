"""A whole trial with virtual patients, through the real bot, schedules and storage, on a moved clock."""
