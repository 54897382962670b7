# SPDX-License-Identifier: MIT
"""Thousands of WebSockets that come and go in every way there is; see
../test_websocket_churn.py.

  server.py   an app server for many sockets, in a process of its own
  crowd.py    the clients, in another
  ends.py     the ways in which a client ends, which both of them know
"""
