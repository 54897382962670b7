# SPDX-License-Identifier: MIT
"""A thousand busy WebSockets while their backends come and go; see
../test_rolling_deploy.py, and transcript.py for people.

  load.c         the clients: one epoll loop, built when it is first used
  ws-clients.js  a few more on the ws package of npm, compressed
  py_clients.py  and on python3-websockets, compressed
  server.js      the app server, on the ws package
  scene.py       starts all of these and adds up what they have seen
"""
