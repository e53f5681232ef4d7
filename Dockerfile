# Worker, dashboard and simulator: one image, the command decides. Nothing is compiled, so nothing that compiles is needed.
FROM python:3.12-slim

RUN useradd --uid 10001 --create-home onnuri && install -d -o onnuri -g onnuri /data

WORKDIR /opt/onnuri
COPY pyproject.toml constraints.txt LICENSE ./
COPY streams streams
COPY warehouse warehouse
COPY dashboard dashboard
# signin,lake-offline for a lake, which pins a DuckDB of its own.
ARG EXTRAS=signin
RUN case "$EXTRAS" in *lake*) sed -i '/^duckdb==/d' constraints.txt ;; esac && \
    pip install --no-cache-dir --only-binary :all: --constraint constraints.txt ".[$EXTRAS]"

USER onnuri
WORKDIR /home/onnuri
ENV ONNURI_WAREHOUSE=/data/onnuri.duckdb \
    ONNURI_PUBLISHED=/data/published
VOLUME /data
EXPOSE 6066 8501
ENTRYPOINT ["onnuri"]
CMD ["worker"]
