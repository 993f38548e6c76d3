"""neapctl record against a real Prometheus server: days that were put into it, and what it scrapes now."""
import http.server
import os
import re
import subprocess
import sys
import threading
import urllib.parse

import pytest

from support import BIN, ROOT, neapctl

sys.path.insert(0, os.path.join(ROOT, "tools"))
from stack import Missing, Stack, can_connect, fetch, free_port, program, wait_for  # noqa: E402

FIRST = 1767225600  # 2026-01-01T00:00:00Z
DAY = 86400
HOLE = range(FIRST + 2 * DAY, FIRST + 2 * DAY + 3600)  # of three days in which nothing was measured: an hour


def history():
    """Samples of eight days, one a minute, as OpenMetrics text."""
    lines = []

    def metric(name, value):
        lines.append(f"# TYPE {name.split('{')[0]} gauge")
        lines.extend(f"{name} {value(t)} {t}" for t in range(FIRST, FIRST + 8 * DAY, 60) if t not in HOLE)

    metric("load_rps", lambda t: 100 + (t - FIRST) // 60 % 1440 * 0.5)
    metric('kube_deployment_spec_replicas{namespace="shop",deployment="checkout"}', lambda t: 2 + (t - FIRST) // DAY)
    metric("odd", lambda t: "NaN" if (t - FIRST) // 60 % 10 == 0 else 7)
    metric("falling", lambda t: -5)
    lines.append("# TYPE two gauge")
    lines += [f'two{{pod="{pod}"}} 1 {FIRST}' for pod in "ab"]
    return "\n".join(lines + ["# EOF", ""])


class Scraped(http.server.BaseHTTPRequestHandler):
    hits = 0

    def do_GET(self):
        Scraped.hits += 50
        body = f"# TYPE hits_total counter\nhits_total {Scraped.hits}\n".encode()
        self.send_response(200)
        self.send_header("Content-Type", "text/plain")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *arguments):
        pass


def serve(handler):
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server, f"http://127.0.0.1:{server.server_port}"


@pytest.fixture(scope="module")
def stack():
    try:
        program("prometheus", "prometheus")
        program("promtool", "prometheus")
    except Missing as missing:
        pytest.skip(str(missing))
    with Stack(BIN) as running:
        yield running


def start(stack, name, config, *flags, scheme="http"):
    port = free_port()
    stack.start(name, ["prometheus", f"--config.file={config}", f"--storage.tsdb.path={stack.path(name + '-data')}",
                       "--storage.tsdb.retention.time=100y", f"--web.listen-address=127.0.0.1:{port}",
                       "--log.level=warn", *flags])
    if scheme == "http":
        wait_for(lambda: can_connect(port) and fetch(f"http://127.0.0.1:{port}/-/ready")[0] == 200, 60, name)
    else:
        wait_for(lambda: can_connect(port), 60, name)
    return f"{scheme}://127.0.0.1:{port}"


@pytest.fixture(scope="module")
def prometheus(stack):
    """A server that has the history and scrapes hits_total."""
    server, url = serve(Scraped)
    subprocess.run(["promtool", "tsdb", "create-blocks-from", "openmetrics", "--quiet", stack.path("history", history()),
                    stack.path("prometheus-data")], check=True, capture_output=True)
    config = stack.path("prometheus.yml", f"""
global: {{scrape_interval: 1s, scrape_timeout: 1s}}
scrape_configs:
- job_name: hits
  static_configs: [{{targets: ["{url.split('://')[1]}"]}}]
""")
    yield start(stack, "prometheus", config)
    server.shutdown()


def record(prometheus, out, *arguments):
    return neapctl("record", "--prometheus", prometheus, "-o", out, *arguments)


def rows(path):
    with open(path) as f:
        return [line.rstrip("\n").split(",") for line in f]


def test_days_in_pieces(prometheus, tmp_path):
    """23,040 moments: more than one query may ask for."""
    out = tmp_path / "checkout.csv"
    done = record(prometheus, out, "--query", "load_rps", "--namespace", "shop", "--deployment", "checkout",
                  "--from", "2026-01-01T00:00:00Z", "--to", str(FIRST + 8 * DAY - 30), "--step", "30s")
    assert done.returncode == 0, done.stderr
    table = rows(out)
    assert table[0] == ["time", "rate", "replicas"]
    assert table[1] == ["2026-01-01T00:00:00Z", "100", "2"]
    assert table[2] == ["2026-01-01T00:00:30Z", "100", "2"]  # Prometheus' own look back
    assert table[4] == ["2026-01-01T00:01:30Z", "100.5", "2"]
    assert table[-1] == ["2026-01-08T23:59:30Z", "819.5", "9"]
    # Prometheus looks back for five minutes, then there is nothing until the hour is over.
    times = [row[0] for row in table[1:]]
    assert len(times) == len(set(times)) == 23040 - 111
    assert sorted(times) == times
    assert done.stdout == ""
    assert re.search(r"checkout.csv: 22929 rows from 2026-01-01T00:00:00Z to 2026-01-08T23:59:30Z, one every 30s; 1 gap, "
                     r"the longest of 56m0s; 2 to 9 replicas\n$", done.stderr), done.stderr
    assert os.listdir(tmp_path) == ["checkout.csv"]


def test_what_is_no_number_is_left_out(prometheus, tmp_path):
    out = tmp_path / "odd.csv"
    done = record(prometheus, out, "--query", "odd", "--from", str(FIRST), "--to", str(FIRST + 3540), "--step", "1m")
    assert done.returncode == 0, done.stderr
    assert rows(out)[:2] == [["time", "rate"], ["2026-01-01T00:01:00Z", "7"]]
    assert len(rows(out)) == 1 + 54
    assert "5 gaps, the longest of 2m0s; 6 without a finite value left out" in done.stderr


def test_what_is_scraped_now(prometheus, tmp_path):
    query = urllib.parse.quote("rate(hits_total[5s])")
    wait_for(lambda: '"value"' in fetch(f"{prometheus}/api/v1/query?query={query}")[1], 60, "a rate")
    out = tmp_path / "now.csv"
    done = wait_for(lambda: (lambda d: d if d.returncode == 0 else None)(
        record(prometheus, out, "--query", "rate(hits_total[5s])", "--replicas-query", "count(up)", "--from", "20s",
               "--step", "1s")), 60, "rows")
    table = rows(out)
    assert float(table[-1][1]) > 0
    assert table[-1][2] == "1"
    assert "1 to 1 replicas" in done.stderr


def test_too_much_at_once_is_asked_for_in_smaller_pieces(stack, prometheus, tmp_path):
    config = stack.path("small.yml", "global: {}\n")
    small = start(stack, "small", config, "--query.max-samples=3000")
    done = record(small, tmp_path / "x.csv", "--query", "vector(42)", "--from", str(FIRST), "--to", str(FIRST + 20000),
                  "--step", "1s")
    assert done.returncode == 0, done.stderr
    assert len(rows(tmp_path / "x.csv")) == 1 + 20001


def test_the_server_s_own_words(prometheus, tmp_path):
    out = tmp_path / "x.csv"
    span = ("--from", str(FIRST), "--to", str(FIRST + 3600))

    def fails(code, pattern, *arguments, server=prometheus):
        done = record(server, out, *arguments)
        assert done.returncode == code, done.stderr
        assert re.search(pattern, done.stderr), done.stderr
        assert done.stdout == ""
        assert os.listdir(tmp_path) == []

    fails(2, rf"^neapctl: {prometheus}/?: query sum\(: HTTP 400: bad_data: .*parse error", "--query", "sum(", *span)
    fails(2, r'query two: it gives 2 series, of which exactly one is needed: aggregate them, sum\(...\): .*"pod":"a"',
          "--query", "two", *span)
    fails(2, r"query falling gives -5 at 2026-01-01T00:00:00Z: a load lies between 0 and 1000000", "--query", "falling",
          *span)
    fails(2, r"HTTP 404.*is it the URL up to and without /api/v1\?", "--query", "odd", *span, server=prometheus + "/nothing")
    fails(1, r"query nothing_there gives nothing between 2026-01-01T00:00:00Z and 2026-01-01T01:00:00Z",
          "--query", "nothing_there", *span)
    fails(2, rf"127.0.0.1:{(port := free_port())}/?: query odd: ", "--query", "odd", *span, server=f"http://127.0.0.1:{port}")
    fails(2, r"--from 2026-01-01T01:00:00Z is not a --step of 15s before --to 2026-01-01T00:00:00Z", "--query", "odd",
          "--from", str(FIRST + 3600), "--to", str(FIRST))
    fails(2, r'--from "yesterday": expected a time', "--query", "odd", "--from", "yesterday")
    fails(2, r'--step "15": expected a time', "--query", "odd", "--step", "15")
    fails(2, r'--deployment "A\\"}": ?|--deployment "A"}" is no name', "--query", "odd", "--deployment", 'A"}', *span)
    fails(2, r"--namespace requires --deployment", "--query", "odd", "--namespace", "shop")


def test_a_file_that_cannot_be_written(prometheus, tmp_path):
    done = record(prometheus, tmp_path / "no" / "x.csv", "--query", "odd", "--from", str(FIRST), "--to", str(FIRST + 600))
    assert done.returncode == 2
    assert "no/x.csv.part: No such file or directory" in done.stderr


def test_to_stdout(prometheus):
    done = record(prometheus, "-", "--query", "load_rps", "--from", str(FIRST), "--to", str(FIRST + 60), "--step", "500ms")
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[:3] == ["time,rate", "2026-01-01T00:00:00.000Z,100", "2026-01-01T00:00:00.500Z,100"]
    assert len(lines) == 1 + 121


def test_basic_authentication_and_tls(stack, tmp_path):
    key, cert = stack.path("server.key"), stack.path("server.pem")
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2",
                    "-subj", "/CN=prometheus", "-addext", "subjectAltName=DNS:prometheus.monitoring", "-keyout", key,
                    "-out", cert], check=True, capture_output=True)
    web = stack.path("web.yml", f"""
tls_server_config: {{cert_file: {cert}, key_file: {key}}}
basic_auth_users:
  admin: $2b$12$hNf2lSsxfm0.i4a.1kVpSOVyBCfIB51VRjgBUyv6kdnyTlgWj81Ay
""")
    url = start(stack, "guarded", stack.path("guarded.yml", "global: {}\n"), f"--web.config.file={web}", scheme="https")
    out = tmp_path / "x.csv"
    ask = ("--query", "vector(3)", "--from", "60s", "--step", "1s")
    trust = ("--ca-file", cert, "--server-name", "prometheus.monitoring")
    password = stack.path("password", "test\n")

    done = record(url, out, *ask, *trust, "--username", "admin", "--password", "@" + password)
    assert done.returncode == 0, done.stderr
    assert len(rows(out)) > 50
    done = record(url, out, *ask, "--unsafe-ssl", "--username", "admin", "--password", "test")
    assert done.returncode == 0, done.stderr
    done = record(url, out, *ask, *trust, "--username", "admin", "--password", "other")
    assert done.returncode == 2 and "HTTP 401: Unauthorized" in done.stderr, done.stderr
    assert "other" not in done.stderr
    done = record(url, out, *ask, "--username", "admin", "--password", "test")
    assert done.returncode == 2 and "certificate" in done.stderr, done.stderr


class Fake(http.server.BaseHTTPRequestHandler):
    """What the real server would not do."""
    requests = []
    answer = (200, "{}")

    def do_GET(self):
        Fake.requests.append((self.path, dict(self.headers)))
        status, text = Fake.answer
        self.send_response(status)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text.encode())

    def log_message(self, *arguments):
        pass


@pytest.fixture(scope="module")
def fake():
    server, url = serve(Fake)
    yield url
    server.shutdown()


def test_tokens_headers_and_parameters(fake, tmp_path):
    Fake.answer = (200, '{"status":"success","warnings":["only half of it"],"data":{"resultType":"matrix","result":'
                        '[{"metric":{},"values":[[0,"1e+03"],[15,"0.25"],[30,"+Inf"]]}]}}')
    Fake.requests.clear()
    token = tmp_path / "token"
    token.write_text("s3cret\n")
    done = record(fake + "/prometheus/", tmp_path / "x.csv", "--query", "a b", "--from", "0", "--to", "30", "--step", "15s",
                  "--bearer-token", f"@{token}", "--header", "X-Scope-OrgID=shop", "--query-parameter", "dedup=true")
    assert done.returncode == 0, done.stderr
    (path, headers), = Fake.requests
    assert path == "/prometheus/api/v1/query_range?query=a%20b&start=0.000&end=30.000&step=15.000&dedup=true"
    assert headers["Authorization"] == "Bearer s3cret"
    assert headers["X-Scope-OrgID"] == "shop"
    assert rows(tmp_path / "x.csv") == [["time", "rate"], ["1970-01-01T00:00:00Z", "1000"], ["1970-01-01T00:00:15Z", "0.25"]]
    assert "the server warns: only half of it" in done.stderr


@pytest.mark.parametrize("status, text, pattern", [
    (500, "oh\nno", "HTTP 500: oh no"),
    (503, '{"status":"error","errorType":"timeout","error":"query timed out"}', "HTTP 503: timeout: query timed out"),
    (200, "<html>", "does not answer as Prometheus does"),
    (200, "{}", "no matrix in data"),
    (200, '{"data":{"resultType":"vector","result":[]}}', "no matrix in data"),
    (200, '{"data":{"resultType":"matrix","result":[{"metric":{},"values":[[0,"many"]]}]}}', "a sample is no time and number"),
    (200, '{"data":{"resultType":"matrix","result":[{"metric":{},"values":[[0]]}]}}', "a sample is no time and number"),
    (200, '{"data":{"resultType":"matrix","result":[{"metric":{},"histograms":[]}]}}', "it gives histograms"),
])
def test_answers_that_are_none(fake, tmp_path, status, text, pattern):
    Fake.answer = (status, text)
    done = record(fake, tmp_path / "x.csv", "--query", "load", "--from", "0", "--to", "30")
    assert done.returncode == 2
    assert re.search(rf"^neapctl: {fake}/?: query load: .*{re.escape(pattern)}", done.stderr), done.stderr
    assert os.listdir(tmp_path) == []
