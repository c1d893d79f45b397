"""The command line: settings, wiring and commands; the only room that owns the real clock."""
