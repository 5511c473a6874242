# An image of the locked environment with the pipeline in it, data and results inside the container:
#   docker build --tag siamla .
#   docker run --name siamla --shm-size 2g siamla make tables      with a GPU: --gpus all
#   docker cp siamla:/siamla/reports .                             go on where it was stopped: docker start --attach siamla
FROM python:3.13-slim-bookworm

# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install --yes --no-install-recommends git libgl1 libglib2.0-0 libx11-6 libxcb1 make \
    && rm -rf /var/lib/apt/lists/*

# who runs it: --build-arg UID="$(id -u)" where folders of the host are mounted
ARG UID=1000
RUN useradd --create-home --uid "$UID" siamla && install --directory --owner siamla --group siamla /siamla
USER $UID
WORKDIR /siamla

# what git ignores stays outside (.dockerignore); .git comes along, for the commit in the records
COPY --chown=siamla:siamla . .
# The usual build of torch brings CUDA, and the environment is 6.1 GB; with one for CPUs alone it is some 2.5 GB:
#   docker build --build-arg PIP_EXTRA_INDEX_URL=ADDRESS --tag siamla .    the address of an index that has that build
ARG PIP_EXTRA_INDEX_URL
RUN PIP_NO_CACHE_DIR=1 make .venv/.ready PYTHON=python3.13

ENV PATH=/siamla/.venv/bin:$PATH
CMD ["make", "tables"]
