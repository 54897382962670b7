// SPDX-License-Identifier: MIT
// A socket.io app server. Its sessions live in its memory, so a poll that reaches
// another server is refused: only steering makes two of them work.
// Usage: socketio-server.js NAME; prints its port. Tells its counts at /counts.
'use strict'
const http = require('http')
const { Server } = require('socket.io')

const name = process.argv[2]
const counts = { connected: 0, upgraded: 0, refused: 0 }
const server = http.createServer((req, res) => {
  if (req.url.startsWith('/counts')) res.end(JSON.stringify({ name, ...counts }))
})
const io = new Server(server, { pingInterval: 2000, pingTimeout: 5000 })

io.engine.on('connection_error', () => counts.refused++)
io.on('connection', (socket) => {
  counts.connected++
  socket.conn.on('upgrade', () => counts.upgraded++)
  socket.on('whoami', (reply) => reply(name))
  socket.on('echo', (data, reply) => reply(data))
})
process.stdin.on('end', () => process.exit(0)).resume()
server.listen(0, '127.0.0.1', () => console.log(server.address().port))
