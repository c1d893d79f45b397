"""The one error family: each error is a plain sentence that says what happened and what to do next."""


class DaybookError(Exception):
    """Daybook could not do this; edges show the message, or their own sentence for `key` with `values` in it."""

    def __init__(self, says: str = "", key: str = "", **values: object) -> None:
        self.key = key
        self.values = values
        super().__init__(says)


class WrongCallError(DaybookError):
    """The call itself was wrong: a value that cannot be read, an option that does not fit."""


class SettingsError(WrongCallError):
    """A setting is missing or cannot be used."""


class ProtocolError(DaybookError):
    """A protocol file cannot be used; `findings` holds a line for each place to mend."""

    def __init__(self, source: str, findings: tuple[str, ...]) -> None:
        self.source = source
        self.findings = findings
        super().__init__(f"{source} cannot be used: " + "; ".join(findings))


class UnknownCodeError(DaybookError):
    """No patient, site, staff member or slot of that name is known to whoever asks."""


class AlreadyThereError(DaybookError):
    """The code is taken."""


class ConflictError(DaybookError):
    """What was to be changed is no longer what its changer saw; nothing was changed."""

    def __init__(
        self,
        says: str = "This was changed meanwhile by somebody else; look again, then change it.",
        key: str = "changed",
        **values: object,
    ) -> None:
        super().__init__(says, key, **values)


class NotAllowedError(DaybookError):
    """This actor may not do this, or the state does not permit it."""


class InviteError(DaybookError):
    """An invite is unknown, used, expired, or meant for somebody else; `why` is the catalogue's key."""

    def __init__(self, why: str) -> None:
        self.why = why
        super().__init__(f"The invite cannot be used ({why}); ask for a new one.")


class SignInError(DaybookError):
    """A link, ticket or passphrase does not lead to the staff pages; `why` is the catalogue's key."""

    def __init__(self, why: str) -> None:
        self.why = why
        super().__init__(f"Signing in did not work ({why}); try again, or ask for a new link.")


class SchemaError(DaybookError):
    """The database is not of this version's form."""


class SealError(DaybookError):
    """A sealed value cannot be opened with the keys at hand."""


class BackupError(DaybookError):
    """A backup could not be made, or a database not be made out of one."""


class NotProvenError(BackupError):
    """What was written does not give the database back."""
