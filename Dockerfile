# One image for every process: `quetma produce`, `quetma stream`, `quetma serve`, `quetma topics create`.
# In: requirements/run.txt (versions and hashes) and the packages of this checkout. Out: /opt/quetma, run by uid 10001.
# The base is pinned by tag; to pin it by digest as well, append the @sha256:… that `docker pull` prints, twice.

FROM python:3.11.15-slim-trixie AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1 PIP_ROOT_USER_ACTION=ignore
# Without pip inside: what is in this environment when the image is built is all that ever will be.
RUN python -m venv --without-pip /opt/quetma
WORKDIR /src
# Dependencies first, from wheels alone, so that a change of our code does not fetch them again.
COPY requirements/run.txt requirements/run.txt
RUN pip --python /opt/quetma install --only-binary :all: --require-hashes --requirement requirements/run.txt
# hatchling, which builds the packages, is in run.txt too: nothing here comes without a hash.
COPY . .
RUN pip --python /opt/quetma install --no-index --no-deps --no-build-isolation .

FROM python:3.11.15-slim-trixie
LABEL org.opencontainers.image.title="quetma" \
      org.opencontainers.image.description="Event-driven simulator of QR payments in Vietnamese provinces"
RUN groupadd --gid 10001 quetma \
 && useradd --uid 10001 --gid 10001 --create-home --home-dir /var/lib/quetma --shell /usr/sbin/nologin quetma
# a volume that is mounted here belongs to who writes captures
RUN install --directory --owner=10001 --group=10001 /captures
COPY --from=build /opt/quetma /opt/quetma
ENV PATH=/opt/quetma/bin:$PATH HOME=/var/lib/quetma PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
WORKDIR /var/lib/quetma
USER 10001:10001
# /metrics of serve, produce, stream, and load and replay
EXPOSE 9700 9701 9702 9703
ENTRYPOINT ["quetma"]
CMD ["--help"]
