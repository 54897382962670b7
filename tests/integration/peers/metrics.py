# SPDX-License-Identifier: MIT
"""Scrapes /metrics as Prometheus does, reads it with Prometheus' own Python parser, and
holds what it reads against the rules of the format and roost's table of metrics."""

import os
import re

from prometheus_client.parser import text_string_to_metric_families

from .client import RawClient

TABLE = os.path.join(os.path.dirname(os.path.abspath(__file__)),
                     "../../../src/admin/metrics.def")
ROW = re.compile(r'^METRIC\("(\w+)", (\w+), "([\w ]*)", \w+, .*, "(.+)"\)$', re.M)


def table():
    """{name: (type, set of labels, help)} of all metrics there should be."""
    with open(TABLE) as f:
        rows = ROW.findall(f.read())
    return {name: (kind.lower(), set(labels.split()), help)
            for name, kind, labels, help in rows}


class Scrape:
    """The samples of one scrape, by name and labels."""

    def __init__(self, text):
        self.families = {}
        self.samples = {}
        for f in text_string_to_metric_families(text):
            name = f.name + ("_total" if f.type == "counter" else "")
            assert name not in self.families, f"{name} comes twice"
            self.families[name] = f
            for s in f.samples:
                key = s.name, frozenset(s.labels.items())
                assert key not in self.samples, f"{s} comes twice"
                self.samples[key] = s.value
        for f in self.families.values():
            if f.type == "histogram":
                self.check_histogram(f)

    def value(self, name, **labels):
        """Of the one sample with just these labels; None: there is none."""
        return self.samples.get((name, frozenset(labels.items())))

    def sum(self, name, **labels):
        """Of all samples of that name with these labels, whatever others they have."""
        wanted = set(labels.items())
        return sum(v for (n, of), v in self.samples.items() if n == name and wanted <= of)

    def counters(self):
        """All that may never go back: {(name, labels): value}."""
        return {(s.name, frozenset(s.labels.items())): s.value
                for f in self.families.values() if f.type in ("counter", "histogram")
                for s in f.samples}

    @staticmethod
    def check_histogram(f):
        series = {}
        for s in f.samples:
            labels = dict(s.labels)
            le = labels.pop("le", None)
            of = series.setdefault(frozenset(labels.items()), {"buckets": []})
            if s.name.endswith("_bucket"):
                of["buckets"].append((float(le), s.value))
            else:
                of[s.name[len(f.name) + 1:]] = s.value
        for labels, of in series.items():
            bounds = [b for b, _ in of["buckets"]]
            counts = [n for _, n in of["buckets"]]
            where = f"{f.name} {dict(labels)}: {of}"
            assert bounds == sorted(set(bounds)) and bounds[-1] == float("inf"), where
            assert counts == sorted(counts), where
            assert counts[-1] == of["count"], where
            low = sum((n - before) * bound for (n, before, bound)
                      in zip(counts, [0, *counts], [0, *bounds]))
            # sum and buckets are read one after the other, so under load they may differ
            assert of["count"] == 0 or of["sum"] >= low * 0.5, where


def fetch(roost, headers=(), method="GET"):
    with RawClient(roost.addresses[-1]) as c:
        return c.request(method, "/metrics", headers)


def scrape(roost, headers=()):
    r = fetch(roost, headers)
    assert r.status == 200, (r.status, r.body)
    assert r.header("Content-Type") == "text/plain; version=0.0.4; charset=utf-8"
    return Scrape(r.body.decode())
