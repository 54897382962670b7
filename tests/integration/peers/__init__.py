# SPDX-License-Identifier: MIT
"""The peers of the black-box tests: roost itself, app servers and clients.

Standard library only, so that a test needs no more than Debian's pytest. The two
WebSocket libraries that real people use stand beside them: python3-websockets in
test_real_clients.py and the npm packages in ../node.
"""
