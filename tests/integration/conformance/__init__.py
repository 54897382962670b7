# SPDX-License-Identifier: MIT
"""What RFC 6455 and RFC 7692 ask of an endpoint, as cases that are run against an app
server alone and through roost; see ../test_websocket_conformance.py.

  text.py      strings that are UTF-8, and byte strings that are not
  cases.py     the cases, numbered by the sections of Autobahn's fuzzing client
  observe.py   runs one case and tells all that the client saw
  echo.py      an app server on python3-websockets
"""
