# SPDX-License-Identifier: MIT
"""Who asks the admin API of a roost, and scenes in which somebody does."""

import json

from .client import RawClient
from .roost import settings


class Admin:
    """Asks the admin API of a roost, each time on a new connection."""

    def __init__(self, roost, token=None):
        self.address = roost.addresses[-1]
        self.headers = [("Authorization", f"Bearer {token}")] if token else []

    def ask(self, method, target, headers=(), body=None):
        with RawClient(self.address) as c:
            return c.request(method, target, [*self.headers, *headers], body)

    def get(self, target, status=200):
        r = self.ask("GET", target)
        assert r.status == status, (r.status, r.body)
        assert r.header("Content-Type") == "application/json"
        return r.json()

    def post(self, target, status=200, method="POST", **body):
        r = self.ask(method, target, body=json.dumps(body).encode())
        assert r.status == status, (r.status, r.body)
        return r.json()

    def set(self, backend, status=200, upstream="app", **body):
        return self.post(f"/v1/upstreams/{upstream}/backends/{backend}", status, **body)

    def add(self, status=201, upstream="app", **body):
        return self.post(f"/v1/upstreams/{upstream}/backends", status, **body)

    def remove(self, name, status=200, upstream="app", wait=None):
        query = f"?wait={wait}" if wait else ""
        r = self.ask("DELETE", f"/v1/upstreams/{upstream}/backends/{name}{query}")
        assert r.status == status, (r.status, r.body)
        return r.json()

    def backend(self, name, upstream="app"):
        (up,) = [u for u in self.get("/v1/upstreams")["upstreams"]
                 if u["name"] == upstream]
        (b,) = [b for b in up["backends"] if b["name"] == name]
        return b

    def plan(self, **query):
        query = "&".join(f"{k}={v}" for k, v in {"upstream": "app", **query}.items())
        (up,) = self.get(f"/v1/plan?{query}")["upstreams"]
        return up

    def explain(self, client, upstream="app"):
        return self.get(f"/v1/pins/{upstream}/{client}")


def with_admin(config, bind="127.0.0.1:0", **more):
    return {**config, "admin": {"bind": bind, **more}}


def scene(stage, *names, rehome=None, **upstream):
    """Backends, a roost with an admin API in front, and who asks it."""
    backends = stage.backends(*names)
    if rehome:
        upstream["rehome"] = rehome
    roost = stage.roost(with_admin(settings(backends, **upstream)))
    return roost, Admin(roost), *backends
