# QUALS as a container: docker build -t quals . && docker run --rm -v "$PWD:/data" quals score --input rows.jsonl --output scores.jsonl
# For NVIDIA GPUs: docker build --build-arg EXTRA=cuda12 -t quals-gpu . and docker run --gpus all ...
FROM python:3.12-slim
ARG EXTRA=""
WORKDIR /opt/quals
COPY pyproject.toml setup.py MANIFEST.in README.md LICENSE ./
COPY configs configs
COPY examples/news.jsonl examples/
COPY quals_jax quals_jax
RUN pip install --no-cache-dir ".${EXTRA:+[$EXTRA]}"
WORKDIR /data
# Compiled programs are kept here: mount a volume to keep them from one run to the next.
ENV XDG_CACHE_HOME=/cache
VOLUME /cache
ENTRYPOINT ["quals-jax"]
