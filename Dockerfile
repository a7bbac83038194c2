# The image of workers and console, built from the same constraints as every other installation.
FROM python:3.11.14-slim-bookworm AS build

ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
RUN python -m venv /opt/hotspots
ENV PATH=/opt/hotspots/bin:$PATH NUMBA_CACHE_DIR=/var/cache/hotspots

WORKDIR /source
COPY constraints.txt ./
RUN pip install --constraint constraints.txt hatchling
COPY . .
RUN pip install --constraint constraints.txt --no-build-isolation '.[console]'

# Numba recognises its cache by the time stamp of the source, and an image keeps whole seconds only.
RUN find /opt/hotspots/lib/python3.11/site-packages/detectors -name '*.py' -exec touch --date=2020-01-01 {} + \
    && hotspots compile \
    && pip uninstall --yes hatchling


FROM python:3.11.14-slim-bookworm

RUN useradd --uid 10001 --create-home --home-dir /var/lib/hotspots hotspots
COPY --from=build /opt/hotspots /opt/hotspots
COPY --from=build --chown=hotspots:hotspots /var/cache/hotspots /var/cache/hotspots
ENV PATH=/opt/hotspots/bin:$PATH NUMBA_CACHE_DIR=/var/cache/hotspots PYTHONUNBUFFERED=1

USER hotspots
WORKDIR /var/lib/hotspots
EXPOSE 9108 8080
ENTRYPOINT ["hotspots"]
CMD ["worker", "--log", "json"]
