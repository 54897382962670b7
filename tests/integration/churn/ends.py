# SPDX-License-Identifier: MIT
"""How clients of the crowd end.

SUDDEN ends show at once on one of the two connections. SILENT ones show nowhere: only
heartbeats and the limit on writing find them, and until then the sockets stay open.
"""

SUDDEN = (
    "close",            # Close 1000, and reading until the end
    "reset",            # a TCP reset
    "vanish",           # an end of the connection without Close
    "half-close",       # only the sending side ends; the other must follow
    "half-a-frame",     # a reset in the middle of a frame
    "early",            # a reset before the answer to the handshake
    "server-closes",    # the app server says Close 4001
    "server-resets",    # the app server resets
    "bad-frame",        # an opcode that does not exist
)
SILENT = (
    "stall",            # reads nothing while much is sent to it
    "mute",             # reads nothing and says nothing, not even to a ping
    "server-mute",      # the app server does so
)
FLOOD = 8 << 20         # bytes of a message that no socket buffer holds
STALLS = 16             # so many of them, since each fills buffers of the kernel
