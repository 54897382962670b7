#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""What roost costs, beside nginx and HAProxy, on a small machine that others use too.

    tests/bench/bench.sh --roost ./roost                            about six minutes
    tests/bench/bench.sh --roost ./roost --roost-old ../old/roost   before and after
    tests/bench/bench.sh --scenarios http-small,ws-128 --rounds 15
    tests/bench/bench.sh --json >result.json                        every sample

Needs wrk, a C compiler and libcrypto; nginx and haproxy are left out where they are not
installed. bench.sh builds peer.c, the origin and the WebSocket load, and calls this.

The proxies are pinned to the first CPU, load and origin to the last; all traffic stays
on 127.0.0.1. The proxies take turns, round by round, so that what else the machine does
hits them alike. A sample is one second in the middle of a steady load: CPU time of all
processes of the proxy (schedstat, in nanoseconds) over the requests or round trips of
that second. The table has the median over the rounds.

`/peer` is the first proxy's figure over that of the better peer (the one with the
smallest median, named in the last column): the median of the ratios taken round by
round, then the smallest and the greatest. Below 1 the first is cheaper. `/old` is the
same over --roost-old. Absolute figures drift with what others do on the host; believe
the ratios. How far: give the same binary as --roost-old, and /old is the noise. In the
JSON `busy` is the share of a CPU a proxy used: far below 1 it was waiting for the load,
and waking up is part of its figure. There is no pass or fail on time.

  http-small   GET, 13 bytes, 64 kept connections (wrk)
  http-64k     GET, 64 KiB, the same
  ws-128       64 sockets, on each one masked message of 128 bytes there and back
  ws-16k       the same with 16 KiB
  ws-1m        the same with 1 MiB
  ws-upgrade   a socket opened, upgraded and closed again, 64 at once; a million over
               the figure is what one CPU does of it in a second
  ws-heartbeat CPU time in a minute for 10,000 silent sockets that are pinged as the
               defaults say, both sides of them; the peers have no heartbeats
  ws-idle      growth of the proxy's own memory (Pss) for each open silent socket, in a
               fresh process; what the kernel keeps for sockets is not in it

Peers are set up as a careful admin would: one worker, no access log, HTTP/1.1 and kept
connections to the backend, WebSocket upgrade, X-Forwarded-For. In the scenarios with
large messages, where the buffer size decides, nginx-64k and haproxy-64k take part too:
the same with buffers of 64 KiB. They compete for the better peer.

Exit status: 0 measured, 1 errors during a measurement, 2 could not measure.
"""

import argparse
import ctypes
import http.client
import json
import os
import platform
import re
import resource
import select
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
CPUS = sorted(os.sched_getaffinity(0))
PROXY_CPU, LOAD_CPU = CPUS[0], CPUS[-1]
PATIENCE = 60       # seconds, for anything that ought to answer
WARM_UP = 0.3
CONNECTIONS = 64
SMALL, LARGE = 13, 65536
HEARTBEAT = 20      # seconds, heartbeat.interval as it comes
LIBC = ctypes.CDLL(None)
PR_SET_PDEATHSIG = 1


class Trouble(Exception):
    """Something could not be measured."""


# ---- processes ----

def spawn(command, cpu, **pipes):
    """Starts a program on one CPU; it dies with us, even if we are killed."""
    def prepare():
        os.sched_setaffinity(0, {cpu})
        LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    return subprocess.Popen(command, preexec_fn=prepare, bufsize=0, **pipes)


def reap(process):
    """Ends a process: asks, asks again, then kills."""
    for number in (signal.SIGTERM, signal.SIGTERM, signal.SIGKILL):
        if process.poll() is None:
            process.send_signal(number)
            try:
                process.wait(3)
            except subprocess.TimeoutExpired:
                pass


def family(pid):
    """A process and its descendants."""
    parents = {}
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            try:
                with open(f"/proc/{entry}/stat") as f:
                    parents[int(entry)] = int(f.read().rpartition(")")[2].split()[1])
            except OSError:
                pass
    found = [pid]
    for one in found:
        found += [child for child, parent in parents.items() if parent == one]
    return found


def cpu_seconds(pids):
    """CPU time of all threads, as the scheduler counts it."""
    total = 0
    for pid in pids:
        for task in os.listdir(f"/proc/{pid}/task"):
            with open(f"/proc/{pid}/task/{task}/schedstat") as f:
                total += int(f.read().split()[0])
    return total / 1e9


def pss_bytes(pids):
    total = 0
    for pid in pids:
        with open(f"/proc/{pid}/smaps_rollup") as f:
            total += int(re.search(r"^Pss: +(\d+) kB", f.read(), re.M)[1]) * 1024
    return total


class Peer:
    """A process of peer.c: `first` is what it said when ready, count() what it did."""

    def __init__(self, program, *args):
        self.what = " ".join(str(a) for a in args)
        self.process = spawn([program] + self.what.split(), LOAD_CPU,
                             stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        try:
            self.first = self.line()
        except BaseException:
            self.stop()
            raise

    def line(self):
        if not select.select([self.process.stdout], [], [], PATIENCE)[0]:
            raise Trouble(f"peer {self.what}: no answer")
        text = self.process.stdout.readline()
        if not text:
            raise Trouble(f"peer {self.what}: ended")
        return int(text)

    def count(self):
        try:
            self.process.stdin.write(b"\n")
        except OSError:
            pass    # line() will tell
        return self.line()

    def stop(self):
        self.process.stdin.close()
        try:
            self.process.wait(3)
        except subprocess.TimeoutExpired:
            reap(self.process)
        self.process.stdout.close()


# ---- proxies: each of these gives the command that runs one in the foreground ----

def nginx(program, folder, port, origin, settings):
    size = settings["buffers"]
    buffers = f"proxy_buffer_size {size}; proxy_buffers 8 {size};" if size else ""
    path = os.path.join(folder, "nginx.conf")
    user = "user root;" if os.geteuid() == 0 else ""
    with open(path, "w") as f:
        f.write(f"""
worker_processes 1; daemon off; {user}
pid {folder}/nginx.pid; error_log {folder}/nginx.err;
worker_rlimit_nofile {settings["nofile"]};
events {{ worker_connections {settings["nofile"] - 100}; }}
http {{
    access_log off; keepalive_requests 1000000000; proxy_max_temp_file_size 0;
    client_body_temp_path {folder}/1; proxy_temp_path {folder}/2;
    fastcgi_temp_path {folder}/3; uwsgi_temp_path {folder}/4; scgi_temp_path {folder}/5;
    map $http_upgrade $connection_upgrade {{ default upgrade; '' ''; }}
    upstream origin {{
        server 127.0.0.1:{origin}; keepalive 256; keepalive_requests 1000000000;
    }}
    server {{
        listen 127.0.0.1:{port} backlog=4096;
        location / {{
            proxy_pass http://origin; proxy_http_version 1.1; {buffers}
            proxy_set_header Upgrade $http_upgrade;
            proxy_set_header Connection $connection_upgrade;
            proxy_set_header Host $http_host;
            proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
            proxy_read_timeout 1h; proxy_send_timeout 1h;
        }}
    }}
}}
""")
    return [program, "-c", path, "-p", folder, "-e", f"{folder}/nginx.err"]


def haproxy(program, folder, port, origin, settings):
    size = settings["buffers"]
    path = os.path.join(folder, "haproxy.cfg")
    with open(path, "w") as f:
        f.write(f"""
global
    nbthread 1
    maxconn {(settings["nofile"] - 200) // 2}
    {f"tune.bufsize {int(size[:-1]) * 1024}" if size else ""}
defaults
    mode http
    no log
    timeout connect 5s
    timeout client 1h
    timeout server 1h
    timeout tunnel 1h
    option http-keep-alive
    option forwardfor
    http-reuse always
frontend in
    bind 127.0.0.1:{port} backlog 4096
    default_backend origin
backend origin
    server origin 127.0.0.1:{origin}
""")
    return [program, "-db", "-q", "-f", path]


def roost(program, folder, port, origin, settings):
    return [program, "-L", f"127.0.0.1:{port}", "-U", f"127.0.0.1:{origin}",
            "-w", "1", "-l", "warn"]


class Kind:
    """A proxy that takes part: how it is run, and in which scenarios."""

    def __init__(self, name, program, command, buffers="", only=None):
        self.name, self.program, self.command = name, program, command
        self.buffers, self.only = buffers, only

    def version(self):
        out = subprocess.run([self.program, "-V" if self.command is roost else "-v"],
                             stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                             text=True, timeout=PATIENCE).stdout
        line = out.strip().split("\n")[0]
        return re.sub(r"^nginx version: |^HAProxy version | - http.*", "", line)


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


class Running:
    """One running proxy with an origin of its own, so that no two share port tuples."""

    def __init__(self, kind, bench):
        self.kind, self.process = kind, None
        self.folder = tempfile.mkdtemp(prefix=kind.name + ".", dir=bench.folder)
        self.origin = Peer(bench.peer, "origin")
        self.port = free_port()
        settings = {"buffers": kind.buffers, "nofile": bench.nofile}
        command = kind.command(kind.program, self.folder, self.port,
                               self.origin.first, settings)
        self.log = open(os.path.join(self.folder, "output"), "w+b")
        try:
            self.process = spawn(command, PROXY_CPU, stdin=subprocess.DEVNULL,
                                 stdout=self.log, stderr=self.log)
            self.wait_until_ready()
            self.check(bench.peer)
        except BaseException:
            self.stop()
            raise
        self.pids = family(self.process.pid)

    def wait_until_ready(self):
        for _ in range(200):
            if self.process.poll() is not None:
                self.log.seek(0)
                said = self.log.read().decode(errors="replace").strip()[-500:]
                raise Trouble(f"{self.kind.name} did not start: {said}")
            try:
                socket.create_connection(("127.0.0.1", self.port), 1).close()
                return
            except OSError:
                time.sleep(0.05)
        raise Trouble(f"{self.kind.name} does not listen")

    def check(self, peer):
        """A proxy that does not do the work takes no part."""
        client = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        for path, size in (("/", SMALL), (f"/bytes/{LARGE}", LARGE)):
            try:
                client.request("GET", path)
                response = client.getresponse()
                good = response.status == 200 and response.read() == b"x" * size
            except (OSError, http.client.HTTPException):
                good = False
            if not good:
                raise Trouble(f"{self.kind.name}: GET {path} goes wrong")
        client.close()
        for size in (128, 70000):
            load = Peer(peer, "echo", self.port, 1, size)
            try:
                end = time.monotonic() + 10
                while load.count() == 0:
                    if time.monotonic() > end:
                        raise Trouble(f"{self.kind.name}: no echo of {size} bytes")
                    time.sleep(0.01)
            finally:
                load.stop()

    def stop(self):
        if self.process:
            reap(self.process)
        self.origin.stop()
        self.log.close()


# ---- scenarios: each takes a sample, a dict with at least "value" ----

def steady(proxy, counter, seconds):
    """CPU time per unit of work in a stretch of a load that is already running."""
    time.sleep(WARM_UP)
    t0, n0, c0 = time.monotonic(), counter.count(), cpu_seconds(proxy.pids)
    time.sleep(seconds)
    t1, n1, c1 = time.monotonic(), counter.count(), cpu_seconds(proxy.pids)
    if n1 == n0:
        raise Trouble(f"{proxy.kind.name}: no work was done")
    return {"value": (c1 - c0) / (n1 - n0) * 1e6, "count": n1 - n0,
            "seconds": round(t1 - t0, 4), "busy": round((c1 - c0) / (t1 - t0), 3)}


def http_load(path):
    def take(proxy, bench):
        url = f"http://127.0.0.1:{proxy.port}{path}"
        wrk = spawn(["wrk", "-t1", f"-c{CONNECTIONS}", f"-d{PATIENCE}s", url], LOAD_CPU,
                    stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        try:
            sample = steady(proxy, proxy.origin, bench.seconds)
            wrk.send_signal(signal.SIGINT)      # makes it print its report
            report = wrk.communicate(timeout=PATIENCE)[0].decode()
        finally:
            reap(wrk)
        errors = re.findall(r"^ *((?:Socket errors|Non-2xx).*)$", report, re.M)
        if errors or "requests in" not in report:
            raise Trouble(f"{proxy.kind.name}: wrk says {errors or report}")
        return sample
    return take


def websocket_load(size):
    def take(proxy, bench):
        load = Peer(bench.peer, "echo", proxy.port, CONNECTIONS, size)
        try:
            return steady(proxy, load, bench.seconds)
        finally:
            load.stop()
    return take


def websocket_upgrades(proxy, bench):
    load = Peer(bench.peer, "connect", proxy.port, CONNECTIONS)
    try:
        return steady(proxy, load, bench.seconds)
    finally:
        load.stop()


def websocket_heartbeat(proxy, bench):
    """Long enough for each socket to be pinged, on the average, twice."""
    load = Peer(bench.peer, "idle", proxy.port, bench.idle)
    try:
        time.sleep(HEARTBEAT / 2)
        t0, n0, c0 = time.monotonic(), load.count(), cpu_seconds(proxy.pids)
        time.sleep(2 * HEARTBEAT)
        t1, n1, c1 = time.monotonic(), load.count(), cpu_seconds(proxy.pids)
    finally:
        load.stop()
    if n1 == n0:
        raise Trouble(f"{proxy.kind.name}: no client was pinged")
    return {"value": (c1 - c0) / (t1 - t0) * 60 * 10000 / bench.idle,
            "sockets": bench.idle, "pings": n1 - n0, "seconds": round(t1 - t0, 4)}


def websocket_idle(proxy, bench):
    before = pss_bytes(proxy.pids)
    load = Peer(bench.peer, "idle", proxy.port, bench.idle)
    try:
        time.sleep(0.5)
        growth = pss_bytes(proxy.pids) - before
        load.count()        # they are still open
    finally:
        load.stop()
    return {"value": growth / bench.idle, "before": before, "sockets": bench.idle}


class Scenario:
    def __init__(self, name, unit, take, fresh=False, rounds=None, alone=False):
        self.name, self.unit, self.take, self.fresh = name, unit, take, fresh
        self.rounds = rounds    # at most
        self.alone = alone      # no peer can do it


SCENARIOS = [
    Scenario("http-small", "us/request", http_load("/")),
    Scenario("http-64k", "us/request", http_load(f"/bytes/{LARGE}")),
    Scenario("ws-128", "us/round trip", websocket_load(128)),
    Scenario("ws-16k", "us/round trip", websocket_load(16384)),
    Scenario("ws-1m", "us/round trip", websocket_load(1 << 20)),
    Scenario("ws-upgrade", "us/socket", websocket_upgrades),
    # memory repeats to a few per cent, and each round needs fresh processes
    Scenario("ws-idle", "bytes/socket", websocket_idle, fresh=True, rounds=3),
    Scenario("ws-heartbeat", "s/minute", websocket_heartbeat, fresh=True, rounds=1,
             alone=True),
]
LARGE_ONES = {"http-64k", "ws-16k", "ws-1m"}


# ---- the run ----

def progress(text):
    if sys.stderr.isatty():
        print(f"\r{text:40}\r", end="", file=sys.stderr, flush=True)


class Bench:
    def __init__(self, options, folder):
        self.options = options
        self.folder, self.peer = folder, os.path.join(folder, "peer")
        self.seconds = options.seconds
        hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
        self.nofile = min(hard, 65536)
        self.idle = min(options.idle, (self.nofile - 1000) // 2)
        self.kinds = self.find_kinds()
        self.scenarios = [s for s in SCENARIOS if s.name in options.scenarios]
        self.samples = {s.name: {k.name: [] for k in self.takers(s)}
                        for s in self.scenarios}
        self.errors = []

    def find_kinds(self):
        options = self.options
        kinds = [Kind("roost", options.roost, roost)]
        if options.roost_old:
            kinds.append(Kind("roost-old", options.roost_old, roost))
        for kind in kinds:
            if not os.access(kind.program, os.X_OK):
                raise Trouble(f"{kind.program} is not a program")
        path = os.environ.get("PATH", "") + ":/usr/sbin:/usr/local/sbin"
        for buffers, only in (("", None), ("64k", LARGE_ONES)):
            for command in (nginx, haproxy):
                name = command.__name__
                program = shutil.which(name, path=path)
                if program and name in options.peers:
                    kinds.append(Kind(name + ("-" + buffers if buffers else ""),
                                      program, command, buffers, only))
        return kinds

    def takers(self, scenario):
        return [k for k in self.kinds if (not k.only or scenario.name in k.only)
                and (k.command is roost or not scenario.alone)]

    def rounds(self, scenario):
        return min(self.options.rounds, scenario.rounds or self.options.rounds)

    def longest(self):
        """Seconds after which the run is stuck."""
        samples = sum(self.rounds(s) * len(self.takers(s)) for s in self.scenarios)
        return int(120 + samples * (15 + self.seconds)
                   + 3 * HEARTBEAT * len(self.kinds))

    def run(self):
        timed = [s for s in self.scenarios if not s.fresh]
        running = {}
        try:
            for kind in self.kinds if timed else []:
                running[kind.name] = Running(kind, self)
            for scenario in timed:
                self.take_turns(scenario, lambda kind: running[kind.name])
        finally:
            for proxy in running.values():
                proxy.stop()
        for scenario in self.scenarios:
            if scenario.fresh:
                self.take_turns(scenario, lambda kind: Running(kind, self))

    def take_turns(self, scenario, proxy_of):
        for turn in range(self.rounds(scenario)):
            for kind in self.takers(scenario):
                progress(f"{scenario.name} {turn + 1} {kind.name}")
                self.take(scenario, proxy_of(kind))
        progress("")

    def take(self, scenario, proxy):
        try:
            sample = scenario.take(proxy, self)
        except (Trouble, OSError, subprocess.TimeoutExpired) as e:
            self.errors.append(f"{scenario.name}: {e}")
            sample = None   # keeps the rounds of all proxies in step
        finally:
            if scenario.fresh:
                proxy.stop()
        self.samples[scenario.name][proxy.kind.name].append(sample)

    # -- what came out --

    def values(self, scenario, name):
        return [s and s["value"] for s in self.samples[scenario.name][name]]

    def median(self, scenario, name):
        good = [v for v in self.values(scenario, name) if v is not None]
        return statistics.median(good) if good else None

    def ratio(self, scenario, other):
        """Of the first proxy to another: median, least and greatest of the rounds."""
        mine, others = self.values(scenario, "roost"), self.values(scenario, other)
        both = [a / b for a, b in zip(mine, others) if a is not None and b]
        return [statistics.median(both), min(both), max(both)] if both else None

    def result(self, scenario):
        medians = {k.name: self.median(scenario, k.name) for k in self.takers(scenario)}
        peers = [n for n, v in medians.items() if not n.startswith("roost") and v]
        best = min(peers, key=medians.get, default=None)
        return {"unit": scenario.unit, "median": medians, "better_peer": best,
                "over_peer": best and self.ratio(scenario, best),
                "over_old": self.ratio(scenario, "roost-old")
                if "roost-old" in medians else None,
                "samples": self.samples[scenario.name]}

    def facts(self):
        wrk = subprocess.run(["wrk", "-v"], stdout=subprocess.PIPE, text=True).stdout
        versions = {k.name: k.version() for k in self.kinds if not k.buffers}
        return {
            "date": time.strftime("%Y-%m-%d"),
            "machine": f"{cpu_model()}, {os.cpu_count()} CPUs",
            "system": f"{system_name()}, Linux {platform.release().split('-')[0]}",
            "load": "%.2f %.2f %.2f before the run" % os.getloadavg(),
            "versions": {**versions, "wrk": wrk.split(" [")[0].replace("wrk ", "")},
            "configuration": {
                "proxies": f"one worker on CPU {PROXY_CPU}, no access log, "
                "buffers as they come (-64k: of 64 KiB)",
                "load": f"on CPU {LOAD_CPU} with the origin, "
                f"{CONNECTIONS} connections; ws-idle and ws-heartbeat: {self.idle} "
                "sockets",
                "rounds": f"{self.options.rounds} of {self.seconds:g} s, in turns; "
                f"ws-idle: {min(self.options.rounds, 3)}, ws-heartbeat: 1",
            },
        }


def cpu_model():
    with open("/proc/cpuinfo") as f:
        found = re.search(r"^model name\s*: (.*)$", f.read(), re.M)
    return found[1] if found else platform.machine()


def system_name():
    try:
        return platform.freedesktop_os_release()["PRETTY_NAME"]
    except (OSError, KeyError):
        return "unknown system"


def print_facts(facts):
    for key, value in facts.items():
        for name, text in (value if isinstance(value, dict) else {"": value}).items():
            print(f"{name or key:11}{text}")
    print(flush=True)


def figure(value):
    return "-" if value is None else f"{value:.3g}" if value < 1000 else f"{value:.0f}"


def spread(ratio):
    return "%.2f [%.2f-%.2f]" % tuple(ratio) if ratio else "-"


def print_table(bench, results):
    names = [k.name for k in bench.kinds]
    old = "roost-old" in names
    rows = [["scenario", "unit"] + names + (["/old"] if old else []) +
            ["/peer", "better peer"]]
    for name, r in results.items():
        rows.append([name, r["unit"]] + [figure(r["median"].get(n)) for n in names] +
                    ([spread(r["over_old"])] if old else []) +
                    [spread(r["over_peer"]), r["better_peer"] or "-"])
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    text = {0, 1, len(widths) - 1}
    for row in rows:
        print("  ".join(cell.ljust(w) if i in text else cell.rjust(w)
                        for i, (cell, w) in enumerate(zip(row, widths))).rstrip())


def parse_options():
    every = ",".join(s.name for s in SCENARIOS)
    p = argparse.ArgumentParser(prog="bench.sh", description=__doc__.split("\n")[0])
    p.add_argument("--roost", default="./roost", help="the program (./roost)")
    p.add_argument("--roost-old", help="an earlier one, to compare with")
    p.add_argument("--peers", default="nginx,haproxy", help="(nginx,haproxy)")
    p.add_argument("--scenarios", default=every, help=f"({every})")
    p.add_argument("--rounds", type=int, default=7, help="turns of each proxy (7)")
    p.add_argument("--seconds", type=float, default=1.0, help="of each sample (1)")
    p.add_argument("--idle", type=int, default=8000,
                   help="sockets of ws-idle and ws-heartbeat (8000)")
    p.add_argument("--json", action="store_true", help="print JSON instead of a table")
    options = p.parse_args()
    options.roost = os.path.abspath(options.roost)
    options.roost_old = options.roost_old and os.path.abspath(options.roost_old)
    options.scenarios = options.scenarios.split(",")
    options.peers = options.peers.split(",")
    unknown = set(options.scenarios) - set(every.split(","))
    if unknown:
        p.error(f"no such scenario: {', '.join(sorted(unknown))}")
    if min(options.rounds, options.idle) < 1 or not 0 < options.seconds <= PATIENCE / 2:
        p.error(f"--rounds and --idle from 1, --seconds up to {PATIENCE // 2}")
    return options


def give_up(number, frame):
    print(f"bench: ended by {signal.Signals(number).name}", file=sys.stderr)
    sys.exit(2)     # no Exception, so that no sample takes it for its own


def measure(options, folder):
    if not shutil.which("wrk") and any(s.startswith("http") for s in options.scenarios):
        raise Trouble("wrk is not installed")
    bench = Bench(options, folder)
    signal.alarm(bench.longest())
    facts = bench.facts()
    if not options.json:
        print_facts(facts)
    bench.run()
    results = {s.name: bench.result(s) for s in bench.scenarios}
    if options.json:
        json.dump({**facts, "scenarios": results, "errors": bench.errors}, sys.stdout,
                  indent=1)
        print()
    else:
        print_table(bench, results)
    for error in bench.errors:
        print(f"bench: {error}", file=sys.stderr)
    return 1 if bench.errors else 0


def main():
    folder = os.environ.get("BENCH_DIR")
    if not folder:
        sys.exit("bench: run bench.sh, which builds peer.c into $BENCH_DIR")
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGALRM):
        signal.signal(number, give_up)
    try:
        options = parse_options()
        os.sched_setaffinity(0, {LOAD_CPU})
        return measure(options, folder)
    except Trouble as e:
        print(f"bench: {e}", file=sys.stderr)
        return 2
    finally:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main())
