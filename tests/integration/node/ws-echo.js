// SPDX-License-Identifier: MIT
// An app server on the ws package: echoes messages, tells its name to "whoami".
// Usage: ws-echo.js NAME; prints its port.
'use strict'
const http = require('http')
const { WebSocketServer } = require('ws')

const name = process.argv[2]
const server = http.createServer((req, res) => res.end(name))
const wss = new WebSocketServer({
  server,
  perMessageDeflate: { threshold: 64 },
  handleProtocols: (offered) => (offered.has('chat') ? 'chat' : false)
})

wss.on('connection', (ws) => {
  ws.on('error', () => {})
  ws.on('message', (data, binary) => {
    if (!binary && String(data) === 'whoami') ws.send(name)
    else if (!binary && String(data) === 'close') ws.close(4001, 'as asked')
    else ws.send(data, { binary })
  })
})
process.stdin.on('end', () => process.exit(0)).resume()
server.listen(0, '127.0.0.1', () => console.log(server.address().port))
