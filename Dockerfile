# The one image of all our services, the stage `stack`; docker-compose.yml says which command each runs.
FROM python:3.11.14-slim-bookworm AS base
ENV PATH=/opt/venv/bin:$PATH PYTHONPATH=/app

FROM base AS packages
WORKDIR /build
COPY requirements-setup.lock requirements.lock ./
# Two packages ship no wheel and are built with the setuptools that the first lock installs.
RUN --mount=type=cache,target=/root/.cache \
    python -m venv /opt/venv \
    && pip --quiet --disable-pip-version-check install --require-hashes --requirement requirements-setup.lock \
    && uv pip install --quiet --link-mode copy --no-build-isolation --require-hashes --requirement requirements.lock
# What no service reads: the packages' own tests, C and Cython sources, notebook widgets, maps.
COPY docker/prune.sh docker/warm.py ./
RUN ./prune.sh /opt/venv/lib/python3.11/site-packages
# Bytecode of what the services import, and of nothing else: a third of the start, a tenth of the size.
RUN python warm.py

# Our own one is installed for its command and its version alone: PYTHONPATH finds it faster than the finder of an editable
# install. In a step of its own: pyproject.toml changes more often than the locks. The data of
# the examples and the boosters come along where the checkout has them.
FROM packages AS own
COPY pyproject.toml requirements-examples.lock requirements-boosters.lock ./
ARG EXAMPLES=""
ARG BOOSTERS=""
RUN uv pip install --quiet --no-build-isolation --no-deps --editable . \
    && for lock in ${EXAMPLES:+examples} ${BOOSTERS:+boosters}; do \
        uv pip install --quiet --no-build-isolation --no-deps --require-hashes --requirement requirements-$lock.lock || exit; \
    done \
    && uv pip uninstall --quiet uv pip \
    && rm /opt/venv/lib/python3.11/site-packages/__editable__*homelab_mlops*

# Jupyter, and of what it needs also what the services have, so that it goes along as it is.
FROM packages AS jupyter
COPY pyproject.toml requirements-dev.lock ./
RUN --mount=type=cache,target=/root/.cache \
    uv pip install --quiet --link-mode copy --target /opt/jupyter --constraint requirements-dev.lock ipykernel jupyterlab

# The dump of a database wants PostgreSQL's tools of the server's version. They bring every library along, so that
# this image and the server's need not be of the same Debian.
FROM postgres:17.6-bookworm AS postgres
WORKDIR /opt/postgresql
RUN cp --dereference /usr/lib/postgresql/17/bin/pg_dump /usr/lib/postgresql/17/bin/pg_restore . \
    && ldd pg_dump pg_restore | grep --only-matching '/lib[^ ]*' | sort --unique | xargs cp --dereference --target-directory . \
    && mkdir bin \
    && for tool in pg_dump pg_restore; do \
        echo '#!/bin/sh\nexec /opt/postgresql/ld-linux*.so.* --library-path /opt/postgresql /opt/postgresql/'$tool' "$@"' > bin/$tool; \
    done \
    && chmod 755 bin/*

FROM base AS stack
RUN apt-get update \
    && apt-get install --yes --no-install-recommends git libgomp1 \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --uid 1000 --home-dir /tmp --no-create-home stack \
    && install --directory --owner stack --group stack /var/lib/stack
COPY --from=postgres /opt/postgresql /opt/postgresql
COPY --from=own /opt/venv /opt/venv
COPY . /app
ARG CODE_VERSION=""
ARG SOURCES=""
ENV HOME=/tmp STACK_RUNTIME=inside CODE_VERSION=$CODE_VERSION PATH=$PATH:/opt/postgresql/bin
LABEL homelab-mlops.sources=$SOURCES
WORKDIR /app
USER 1000:1000

# For `make notebook` alone.
FROM stack AS notebook
COPY --from=jupyter /opt/jupyter /opt/jupyter
ENV PYTHONPATH=/app:/opt/jupyter \
    JUPYTER_PATH=/opt/jupyter/share/jupyter \
    JUPYTER_CONFIG_PATH=/opt/jupyter/etc/jupyter \
    JUPYTERLAB_DIR=/opt/jupyter/share/jupyter/lab
