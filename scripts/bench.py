"""The measuring part of `scripts/bench`: starts the servers, asks in interleaved rounds, prints the table."""

import argparse
import json
import os
import pathlib
import resource
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request

from bench_table import SIDES, Row, lines, memory_lines, notes, render

KEY = "bench-tenant-key-0123456789"
HEADERS = ["--header", f"authorization: Bearer {KEY}"]
SCENARIOS = pathlib.Path("tests/fixtures/simulator")
HELD = 1000
TICK = 1 / os.sysconf("SC_CLK_TCK")
ROWS = [
    Row("verbatim-1k-1", "verbatim 1 KiB, 1 connection", 1),
    Row("verbatim-1k-32", "verbatim 1 KiB, 32 connections", 32),
    Row("verbatim-1k-256", "verbatim 1 KiB, 256 connections", 256),
    Row("verbatim-1k-paced", "verbatim 1 KiB, 1,000 a second whatever happens", 32, rate=1000),
    Row("verbatim-100k-32", "verbatim 100 KiB, 32 connections", 32, size=100 << 10),
    Row("stream-1", "stream of 200 chunks, 1 at a time", 1, stream=True),
    Row("stream-16", "stream of 200 chunks, 16 at once", 16, stream=True),
    Row("translated-1k-32", "translated 1 KiB, 32 connections", 32, upstream="messages"),
    Row("translated-100k-8", "translated 100 KiB, 8 connections", 8, size=100 << 10, upstream="messages"),
    Row("translated-stream-16", "translated stream of 200 chunks, 16 at once", 16, stream=True, upstream="messages"),
]
DIALECTS = {"chat": "Chat", "responses": "Responses", "messages": "Messages", "gemini": "Gemini"}
PAIRS = [
    ("responses", "responses"),
    ("gemini", "gemini"),
    ("messages", "chat"),
    ("responses", "chat"),
    ("responses", "messages"),
    ("gemini", "chat"),
]
for client, upstream in PAIRS:
    verbatim = client == upstream
    name = f"{client}-verbatim" if verbatim else f"{client}-to-{upstream}"
    words = f"{DIALECTS[client]} verbatim" if verbatim else f"{DIALECTS[client]} to {DIALECTS[upstream]}"
    ROWS += [
        Row(f"{name}-1k-32", f"{words} 1 KiB, 32 connections", 32, client=client, upstream=upstream),
        Row(f"{name}-stream-16", f"{words}, stream of 200 chunks, 16 at once", 16, 1024, True, client, upstream),
    ]


def say(text):
    print(f"\033[1m==> {text}\033[0m", file=sys.stderr, flush=True)


def body(client, model, size, stream):
    """A conversation of exactly `size` bytes, a turn for every 2 KiB, the model's name behind it as SDKs have it."""
    words = 'She said "it depends", and then\nshowed the figures: 3.5 µs here, 40 % there. '
    said = [(words * 30)[: 1900 if size > 2048 else 300] for _ in range(max(1, size // 2048))]
    turns = [[("user", "assistant")[place % 2], text] for place, text in enumerate(said)]
    if turns[-1][0] == "assistant":
        turns.append(["user", ""])
    written = lambda: json.dumps(request(client, model, turns, stream), ensure_ascii=False).encode()
    turns[-1][1] += "x" * (size - len(written()))
    return written()


def request(client, model, turns, stream):
    """The same question in the words of each dialect."""
    system = "You are terse."
    messages = [{"role": role, "content": text} for role, text in turns]
    match client:
        case "chat":
            messages = [{"role": "system", "content": system}, *messages]
            found = {"messages": messages, "model": model, "max_tokens": 1024, "temperature": 0.5}
        case "responses":
            found = {"instructions": system, "input": messages, "model": model, "max_output_tokens": 1024}
            found |= {"temperature": 0.5, "store": False}
        case "messages":
            found = {"system": system, "messages": messages, "model": model, "max_tokens": 1024, "temperature": 0.5}
        case "gemini":
            roles = {"user": "user", "assistant": "model"}
            contents = [{"role": roles[role], "parts": [{"text": text}]} for role, text in turns]
            settings = {"maxOutputTokens": 1024, "temperature": 0.5}
            # The path says the model, and whether to stream.
            system = {"parts": [{"text": system}]}
            return {"systemInstruction": system, "contents": contents, "generationConfig": settings}
    return found | ({"stream": True} if stream else {})


def path(row):
    match row.client:
        case "chat":
            return "/v1/chat/completions"
        case "responses":
            return "/v1/responses"
        case "messages":
            return "/v1/messages"
        case "gemini":
            method = "streamGenerateContent?alt=sse" if row.stream else "generateContent"
            return f"/v1beta/models/bench-{row.upstream}:{method}"


def free_port():
    with socket.socket() as it:
        it.bind(("127.0.0.1", 0))
        return it.getsockname()[1]


def cpu_seconds(pid):
    """User and system time of a process and all its threads."""
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) * TICK


def rss_mib(pid):
    lines = pathlib.Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(it.split()[1]) for it in lines if it.startswith("VmRSS:")) / 1024


def busy_seconds(cores):
    """Time the cores were not idle, whoever used them."""
    lines = pathlib.Path("/proc/stat").read_text().splitlines()
    fields = {it.split()[0]: list(map(int, it.split()[1:])) for it in lines if it.startswith("cpu")}
    return sum(sum(fields[f"cpu{it}"][i] for i in (0, 1, 2, 5, 6)) for it in cores) * TICK


class Servers:
    """Everything that runs: started on its core, stopped at the end, whatever the end is."""

    def __init__(self, options, folder):
        self.options, self.folder, self.running = options, folder, {}
        os.sched_setaffinity(0, range(os.cpu_count()))
        cores = sorted(os.sched_getaffinity(0))
        self.cores = {"proxy": cores[0], "upstream": cores[1 % len(cores)], "load": cores[min(2, len(cores) - 1)]}
        self.port = {it: free_port() for it in ["simulator", "slow", "nginx", "nginx-stream", "nginx-slow", "gateway"]}

    def pinned(self, core, *command):
        # Should this process be killed, the children go too.
        return ["setpriv", "--pdeathsig", "KILL", "taskset", "-c", str(self.cores[core]), *map(str, command)]

    def start(self, name, core, *command):
        log = open(self.folder / f"{name}.log", "ab")
        process = subprocess.Popen(self.pinned(core, *command), stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        self.running[name] = process
        return process

    def pid(self, name):
        return self.running[name].pid

    def stop(self, name, patience=20):
        process = self.running.pop(name, None)
        if process is None:
            return
        process.send_signal(signal.SIGINT if name in ("simulator", "slow") else signal.SIGTERM)
        try:
            process.wait(patience)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def stop_all(self):
        for name in list(self.running):
            self.stop(name, patience=3)

    def wait_until_up(self, name, path):
        for _ in range(300):
            if self.running[name].poll() is not None:
                break
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{self.port[name]}{path}", timeout=2).read()
                return
            except urllib.error.HTTPError:
                return
            except OSError:
                time.sleep(0.1)
        tail = (self.folder / f"{name}.log").read_text(errors="replace")[-3000:]
        sys.exit(f"error: {name} did not start\n{tail}")

    def start_simulators(self):
        for name, scenario in [("simulator", "bench.yaml"), ("slow", "bench-hold.yaml")]:
            listen = f"127.0.0.1:{self.port[name]}"
            scenario = SCENARIOS / scenario
            arguments = ["--listen", listen, "--scenario", scenario, "--workers", "1"]
            self.start(name, "upstream", self.options.binary, "simulate", *arguments)
            self.wait_until_up(name, "/_sim/health")

    def start_nginx(self):
        file = self.folder / "nginx.conf"
        file.write_text(nginx_conf(self.port, self.folder))
        nginx = shutil.which("nginx") or "/usr/sbin/nginx"
        self.start("nginx", "proxy", nginx, "-p", self.folder, "-c", file, "-e", self.folder / "nginx-error.log")
        self.wait_until_up("nginx", "/_sim/health")

    def start_gateway(self):
        file = self.folder / "dragoman.yaml"
        file.write_text(json.dumps(gateway_config(self.port, self.folder, self.options.postgres), indent=2))
        self.start("gateway", "proxy", self.options.binary, "serve", "--config", file)
        self.wait_until_up("gateway", "/readyz")

    def url(self, side, row):
        port = {"direct": "simulator", "gateway": "gateway", "nginx": "nginx-stream" if row.stream else "nginx"}[side]
        return f"http://127.0.0.1:{self.port[port]}{path(row)}"


def nginx_conf(port, folder):
    temporary = "".join(
        f"  {it}_temp_path {folder}/nginx-{it};\n" for it in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    upstream = lambda name: (
        f"  upstream {name} {{ server 127.0.0.1:{port[name]}; keepalive 1024; keepalive_requests 100000000; }}\n"
    )
    server = lambda name, to, buffering: (
        f"  server {{ listen 127.0.0.1:{port[name]} backlog=4096; location / {{ proxy_pass http://{to};"
        f" proxy_buffering {buffering}; }} }}\n"
    )
    return (
        "daemon off;\nmaster_process off;\nworker_processes 1;\nworker_rlimit_nofile 16384;\n"
        f"pid {folder}/nginx.pid;\nevents {{ worker_connections 8192; }}\nhttp {{\n"
        "  access_log off;\n  tcp_nodelay on;\n  keepalive_timeout 600s;\n  keepalive_requests 100000000;\n"
        "  client_max_body_size 64m;\n  client_body_buffer_size 256k;\n  proxy_read_timeout 300s;\n"
        '  proxy_http_version 1.1;\n  proxy_set_header Connection "";\n'
        f"{temporary}{upstream('simulator')}{upstream('slow')}"
        f"{server('nginx', 'simulator', 'on')}{server('nginx-stream', 'simulator', 'off')}"
        f"{server('nginx-slow', 'slow', 'off')}}}\n"
    )


def gateway_config(port, folder, postgres):
    """Everything is on: keys, aliases, four credentials for each upstream, the ledger."""

    def upstream(name, kind, at, path):
        return {
            "name": name,
            "kind": kind,
            "base-url": f"http://127.0.0.1:{port[at]}{path}",
            "proxy-url": "direct",
            "credentials": [{"name": f"c{i}", "api-key": f"{name}-credential-{i}"} for i in range(4)],
            "models": [{"name": f"sim-{name}"}],
        }

    upstreams = [
        upstream("chat", "openai-compatible", "simulator", "/v1"),
        upstream("responses", "openai-responses", "simulator", "/v1"),
        upstream("messages", "anthropic", "simulator", ""),
        upstream("gemini", "gemini", "simulator", ""),
        upstream("slow-chat", "openai-compatible", "slow", "/v1"),
        upstream("slow-messages", "anthropic", "slow", ""),
    ]
    config = {
        "server": {"listen": f"127.0.0.1:{port['gateway']}", "workers": 1},
        "data-dir": str(folder / "data"),
        "tenants": [{"name": "bench", "keys": [{"name": "bench", "key": KEY}]}],
        "upstreams": upstreams,
        "aliases": [{"name": f"bench-{it['name']}", "targets": [f"{it['name']}/sim-{it['name']}"]} for it in upstreams],
    }
    if postgres:
        config["database"] = {"url": os.environ["DRAGOMAN_TEST_POSTGRES"]}
    return config


class Bench:
    def __init__(self, options, folder):
        self.options, self.folder = options, folder
        self.servers = Servers(options, folder)
        self.sides = [it for it in SIDES if it in options.sides.split(",")]
        self.asked = 0  # good answers of the gateway
        self.failed = 0

    def body(self, row):
        file = self.folder / f"{row.client}-{row.upstream}-{row.size}-{'stream' if row.stream else 'whole'}.json"
        if not file.exists():
            file.write_bytes(body(row.client, f"bench-{row.upstream}", row.size, row.stream))
        return file

    def load(self, url, file, *arguments):
        command = [self.options.binary, "load", url, "--body", file, *HEADERS, *arguments]
        return self.servers.pinned("load", *command)

    def check(self):
        """One request of each kind, so that a fault is told with its body."""
        for row in ROWS:
            for side in self.sides:
                data = self.body(row).read_bytes()
                headers = {"authorization": f"Bearer {KEY}", "content-type": "application/json"}
                try:
                    urllib.request.urlopen(urllib.request.Request(self.servers.url(side, row), data, headers), timeout=30).read()
                except urllib.error.HTTPError as fault:
                    sys.exit(f"error: {side} answers `{row.name}` with {fault.code}: {fault.read()[:2000].decode(errors='replace')}")
                except OSError as fault:
                    sys.exit(f"error: {side} does not answer `{row.name}`: {fault}")
                self.asked += side == "gateway"

    def measure(self, row, side):
        """One slot; again, once, if others used our cores meanwhile."""
        figures = self.slot(row, side)
        if figures["disturbed"]:
            figures = self.slot(row, side)
        return figures

    def slot(self, row, side):
        arguments = ["--connections", row.connections, "--duration", f"{self.options.seconds * 1000:.0f}ms"]
        arguments += ["--stream"] if row.stream else []
        arguments += ["--rate", row.rate] if row.rate else []
        command = self.load(self.servers.url(side, row), self.body(row), *arguments)
        names = list(self.servers.running)
        used = lambda: sum(cpu_seconds(self.servers.pid(it)) for it in names)
        children = lambda: sum(resource.getrusage(resource.RUSAGE_CHILDREN)[:2])
        cores = set(self.servers.cores.values())
        start, busy, ours, child = time.monotonic(), busy_seconds(cores), used(), children()
        proxy = cpu_seconds(self.servers.pid(side)) if side != "direct" else 0
        found = subprocess.run(command, capture_output=True, text=True, timeout=self.options.seconds + 30)
        if found.returncode != 0:
            sys.exit(f"error: `{row.name}` at {side}: {found.stderr.strip()}")
        figures = json.loads(found.stdout)
        window = time.monotonic() - start
        foreign = busy_seconds(cores) - busy - (used() - ours) - (children() - child)
        figures["disturbed"] = not self.options.postgres and foreign > 0.1 * window * len(cores)
        if side == "gateway":
            # What it still writes to the ledger is part of the cost, and must not burden the next slot.
            figures["settled_s"] = self.settle(side)
            self.asked += figures["total"]
            self.failed += figures["errors"]
        if side != "direct":
            figures["cpu_us"] = (cpu_seconds(self.servers.pid(side)) - proxy) * 1e6 / figures["total"]
        return figures

    def settle(self, name, patience=30):
        """Waits until a process rests; for how long, in seconds."""
        start = time.monotonic()
        while time.monotonic() - start < patience:
            before = cpu_seconds(self.servers.pid(name))
            time.sleep(0.3)
            if cpu_seconds(self.servers.pid(name)) - before <= 1.5 * TICK:
                break
        return round(max(0, time.monotonic() - start - 0.3), 1)

    def hold(self, name, port, upstream):
        """KiB that each of many open streams costs."""
        row = Row("memory", "memory", 1, stream=True, upstream=upstream)
        url = f"http://127.0.0.1:{self.servers.port[port]}/v1/chat/completions"
        arguments = ["--stream", "--hold", HELD, "--duration", "90s"]
        command = self.load(url, self.body(row), *arguments)
        before = rss_mib(self.servers.pid(name))
        holder = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        try:
            held = json.loads(holder.stdout.readline() or "{}")
            time.sleep(2)
            if held.get("held") != HELD:
                sys.exit(f"error: {name} holds only {held.get('held')} of {HELD} streams: {held.get('first_error')}")
            return (rss_mib(self.servers.pid(name)) - before) * 1024 / HELD
        finally:
            holder.stdin.close()
            try:
                holder.wait(15)
            except subprocess.TimeoutExpired:
                holder.kill()
                holder.wait()

    def memory(self):
        """Each figure from a fresh process: one that has been under load hides what a stream costs."""
        figures = {"RSS idle, MiB": {}, "KiB per open stream": {}}
        servers = self.servers
        if "nginx" in self.sides:
            servers.start_nginx()
            figures["RSS idle, MiB"]["nginx"] = rss_mib(servers.pid("nginx"))
            figures["KiB per open stream"]["nginx"] = self.hold("nginx", "nginx-slow", "slow-chat")
            servers.stop("nginx")
        if "gateway" in self.sides:
            for upstream, figure in [("chat", "KiB per open stream"), ("messages", "KiB per open translated stream")]:
                servers.start_gateway()
                self.settle("gateway")
                figures["RSS idle, MiB"]["gateway"] = rss_mib(servers.pid("gateway"))
                figures.setdefault(figure, {})["gateway"] = self.hold("gateway", "gateway", f"slow-{upstream}")
                self.asked += HELD
                servers.stop("gateway")
        return figures

    def ledger(self):
        """How many attempts the ledger knows, once the gateway is down."""
        command = [self.options.binary, "report", "--config", self.folder / "dragoman.yaml"]
        command += ["--by", "model", "--since", "1d", "--format", "json"]
        found = subprocess.run(list(map(str, command)), capture_output=True, text=True, timeout=60)
        if found.returncode != 0:
            sys.exit(f"error: no report: {found.stderr.strip()}")
        rows = json.loads(found.stdout)
        rows = rows if isinstance(rows, list) else rows.get("rows", [])
        return {"answered": self.asked, "errors": self.failed, "attempts": sum(it.get("attempts", 0) for it in rows)}

    def profile(self, rows, file):
        """What the gateway's time goes to, row by row."""
        with open(file, "w") as out:
            for row in rows:
                say(f"profile of {row.name}")
                url, data = self.servers.url("gateway", row), self.body(row)
                arguments = ["--connections", row.connections, "--duration", "5s"] + (["--stream"] if row.stream else [])
                load = subprocess.Popen(self.load(url, data, *arguments), stdout=subprocess.PIPE, text=True)
                time.sleep(1)
                samples = self.folder / "perf.data"
                record = ["perf", "record", "-q", "-F", "999", "-p", str(self.servers.pid("gateway")), "-o", str(samples)]
                subprocess.run([*record, "--", "sleep", "4"], check=True, timeout=60)
                answered = json.loads(load.communicate(timeout=60)[0])
                self.asked += answered["total"]
                self.settle("gateway")
                for by in ("comm", "dso", "symbol"):
                    report = ["perf", "report", "--stdio", "-q", "-i", str(samples), "--sort", by, "--percent-limit", "0.5"]
                    found = subprocess.run(report, capture_output=True, text=True, timeout=120).stdout
                    out.write(f"== {row.words}: {answered['rps']:.0f} requests/s, by {by}\n{found}\n")

    def run(self):
        rows = [it for it in ROWS if (self.options.only or "") in it.name]
        self.servers.start_simulators()
        memory = {}
        if (self.options.only or "") in "memory":
            say(f"memory: {HELD} open streams")
            memory = self.memory()
        if "nginx" in self.sides:
            self.servers.start_nginx()
        if "gateway" in self.sides:
            self.servers.start_gateway()
        self.check()
        rounds = {row.name: [] for row in rows}
        for number in range(self.options.rounds):
            for row in rows:
                measured = {side: self.measure(row, side) for side in self.sides}
                rounds[row.name].append(measured)
                rates = ", ".join(f"{side} {it['rps']:.0f}/s" + "*" * it["disturbed"] for side, it in measured.items())
                say(f"round {number + 1} of {self.options.rounds}, {row.words}: {rates}")
        found = {"machine": machine(), "rounds": rounds, "memory": memory, "ledger": None}
        if "gateway" in self.sides:
            memory.setdefault("RSS after the load, MiB", {})["gateway"] = rss_mib(self.servers.pid("gateway"))
            if self.options.profile:
                self.profile(rows, self.options.profile)
            self.servers.stop("gateway")
            found["ledger"] = self.ledger()
        found["table"] = [line for row in rows for line in lines(row, rounds[row.name])] + memory_lines(memory)
        return found


def machine():
    model = next((it.split(":")[1].strip() for it in open("/proc/cpuinfo") if it.startswith("model name")), "?")
    return {"cpu": model, "cores": len(os.sched_getaffinity(0))}


def arguments():
    parser = argparse.ArgumentParser(prog="scripts/bench")
    parser.add_argument("--binary", required=True, help=argparse.SUPPRESS)
    parser.add_argument("--quick", action="store_true", help="one round of 2 seconds")
    parser.add_argument("--rounds", type=int)
    parser.add_argument("--seconds", type=float)
    parser.add_argument("--only", metavar="TEXT", help="rows whose name holds TEXT (or `memory`)")
    parser.add_argument("--sides", default=",".join(SIDES), help="what to measure (default: %(default)s)")
    parser.add_argument("--json", metavar="FILE", help="write all figures there")
    parser.add_argument("--profile", metavar="FILE", help="write a profile of the gateway there")
    parser.add_argument("--postgres", action="store_true", help="keep the ledger in Postgres")
    options = parser.parse_args()
    options.rounds = options.rounds or (1 if options.quick else 3)
    options.seconds = options.seconds or (2 if options.quick else 4)
    return options


def main():
    options = arguments()
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 65536) if hard > 0 else 65536, hard))
    for it in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(it, lambda number, _: sys.exit(128 + number))
    signal.signal(signal.SIGALRM, lambda *_: sys.exit("error: out of time"))
    slots = len(ROWS) * len(SIDES) * options.rounds
    signal.alarm(int(600 + 2 * slots * (options.seconds + 10)))
    with tempfile.TemporaryDirectory(prefix="dragoman-bench.", ignore_cleanup_errors=True) as folder:
        bench = Bench(options, pathlib.Path(folder))
        try:
            found = bench.run()
        except KeyboardInterrupt:
            sys.exit(130)
        finally:
            bench.servers.stop_all()
    print(render(found["table"]))
    print()
    print("\n".join(notes(found, options)))
    if options.json:
        pathlib.Path(options.json).write_text(json.dumps(found, indent=1, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main()
