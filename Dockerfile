# Scrapyd with the project. docs/how-to/docker.md describes how to build and run it.
FROM python:3.11-slim

ENV PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1

# A user without rights. It owns /data, the working directory of Scrapyd and its jobs.
RUN useradd --create-home --uid 1000 xhs && mkdir -m 700 /data && chown xhs /data

# Packages first: they change less often than the project.
WORKDIR /app
COPY requirements.txt constraints.txt ./
RUN pip install --no-cache-dir --no-compile -r requirements.txt -c constraints.txt 'scrapyd>=1.6,<2'

COPY docker/scrapyd.conf /etc/scrapyd/scrapyd.conf
COPY docker/launcher.py ./
COPY xhs ./xhs
RUN python -m compileall -q .

# The project is imported from /app, so that `docker exec … scrapy status` works too.
ENV PYTHONPATH=/app SCRAPY_SETTINGS_MODULE=xhs.settings
ENV JUSTONEAPI_TOKEN_FILE=/run/secrets/justoneapi_token

USER xhs
WORKDIR /data
VOLUME /data
EXPOSE 6800
HEALTHCHECK --interval=30s --timeout=10s --start-period=30s CMD ["python", "-c", "import json; from urllib.request import ProxyHandler, build_opener; url = 'http://127.0.0.1:6800/daemonstatus.json'; assert json.load(build_opener(ProxyHandler({})).open(url, timeout=5))['status'] == 'ok'"]

# A pidfile of a container that was killed would keep the next one from starting.
CMD ["scrapyd", "--pidfile="]
