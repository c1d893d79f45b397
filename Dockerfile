# Daybook in a container: built with what the lock names, run by a user of its own, nothing writable but /data.
#
# Bookworm's Python 3.11 with SQLite 3.40.1 is what the tests run on. That SQLite is older than the mend of the
# WAL fault, so Daybook keeps a rollback journal with synchronous=EXTRA; `daybook doctor` shows which it uses.
FROM python:3.11-slim-bookworm AS build
WORKDIR /build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1 PIP_ROOT_USER_ACTION=ignore
COPY requirements.lock ./
# Every file is checked against the lock here; what follows sees these files and no network.
RUN pip download --quiet --require-hashes --no-deps --only-binary=:all: --dest wheels --requirement requirements.lock
COPY pyproject.toml README.md ./
COPY protocol protocol
COPY storage storage
COPY diary diary
COPY schedules schedules
COPY reports reports
COPY bot bot
COPY web web
COPY rehearsal rehearsal
COPY cli cli
RUN pip install --quiet --no-index --find-links=wheels hatchling \
 && pip wheel --quiet --no-index --no-deps --no-build-isolation --wheel-dir=wheels .
# Only what Daybook needs to run comes along, not the tools of its tests, and at last not the installer itself.
# The container's files cannot be written, so everything is compiled beforehand.
RUN python -m venv /opt/daybook \
 && /opt/daybook/bin/python -m pip install --quiet --no-index --find-links=wheels --no-compile daybook \
 && /opt/daybook/bin/python -m pip check \
 && /opt/daybook/bin/python -m pip uninstall --quiet --yes pip setuptools \
 && python -m compileall -q -j 0 --invalidation-mode unchecked-hash /opt/daybook/lib

FROM python:3.11-slim-bookworm
# The base's own installer goes too: whoever gets in finds nothing to install with.
RUN python -m pip uninstall --quiet --yes --root-user-action=ignore pip setuptools wheel \
 && rm -r /usr/local/lib/python3.*/ensurepip
RUN useradd --system --uid 10001 --user-group --no-create-home --home-dir /data --shell /usr/sbin/nologin daybook \
 && install --directory --owner=daybook --group=daybook --mode=0700 /data
COPY --from=build /opt/daybook /opt/daybook
ENV PATH=/opt/daybook/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    MPLCONFIGDIR=/tmp/matplotlib \
    DAYBOOK_DATABASE_URL=sqlite:////data/daybook.db \
    DAYBOOK_WEB_HOST=0.0.0.0 \
    DAYBOOK_WEB_PORT=8080 \
    DAYBOOK_LOG_FORMAT=json
# By number, so that whoever starts it can see beforehand that it is not root.
USER 10001
WORKDIR /data
VOLUME /data
EXPOSE 8080
# It asks the database, so it tells of a service that hangs too. A start after a long break takes a while.
HEALTHCHECK --interval=30s --timeout=10s --start-period=60s --retries=3 CMD ["daybook", "health"]
# What is written can be read by its owner alone; exec, so that SIGTERM reaches Daybook and not a shell.
ENTRYPOINT ["/bin/sh", "-c", "umask 077 && exec daybook \"$@\"", "daybook"]
CMD ["serve"]
