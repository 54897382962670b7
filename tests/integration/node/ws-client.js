// SPDX-License-Identifier: MIT
// A client on the ws package. Usage: ws-client.js URL; prints what it saw as JSON.
'use strict'
const WebSocket = require('ws')

const ws = new WebSocket(process.argv[2], ['chat'], {
  perMessageDeflate: { threshold: 64 },
  headers: { 'X-Client': 'node-ws' }
})
const big = 'abc'.repeat(100000)
const seen = { echoed: 0 }
const todo = ['hello', big, Buffer.alloc(70000, 7), 'whoami', 'close']

ws.on('open', () => {
  seen.protocol = ws.protocol
  seen.extensions = ws.extensions
  ws.ping('are you there')
  ws.send(todo[0])
})
ws.on('pong', (data) => { seen.pong = String(data) })
ws.on('message', (data, binary) => {
  const sent = todo.shift()
  if (sent === 'whoami') seen.backend = String(data)
  else if (Buffer.from(sent).equals(data) && binary === Buffer.isBuffer(sent)) seen.echoed++
  ws.send(todo[0])
})
ws.on('close', (code, reason) => {
  console.log(JSON.stringify({ ...seen, code, reason: String(reason) }))
})
ws.on('error', (e) => { seen.error = String(e) })
