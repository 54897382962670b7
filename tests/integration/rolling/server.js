// SPDX-License-Identifier: MIT
// An app server on the ws package whose every connection is counted; see load.c for what
// is said. All state is in the messages, so a client may go on with any other one.
//
//   server.js NAME PORT THINK_MS
//
// THINK_MS: answers come after 0 to so many ms, each in its turn. Prints its port (0: a
// free one). Each line on stdin is answered by what was seen; "hush" stops the pushes
// before that. At SIGTERM it prints the same once more and ends at once.
'use strict'
const http = require('http')
const { WebSocketServer } = require('ws')

const [name, port, think] = [process.argv[2], +process.argv[3], +process.argv[4]]
const TICK_MS = 25
const PUSH_MS = 500       // between two pushes on a connection
const FOURTH = 4          // each fourth push comes in fragments, with pings between
const incarnation = process.pid.toString(36)
const seen = { name, asked: 0, pushes: {}, handshakes: 0, rehomed: 0, pings: 0, pongs: 0,
  goodbyes: 0, closes: {} }
const talking = new Set()
let made = 0
let hushed = false

function push (ws) {
  const text = `p ${ws.token} ${seen.pushes[ws.token]++}`
  if (seen.pushes[ws.token] % FOURTH) return ws.send(text)
  const third = Math.ceil(text.length / 3)
  for (let i = 0; i < 3; i++) {
    ws.send(text.slice(i * third, (i + 1) * third), { fin: i === 2 })
    if (i < 2) {
      ws.ping(`o ${seen.pings++}`)
    }
  }
}

let turn = 0
setInterval(() => {
  if (hushed) return
  const turns = PUSH_MS / TICK_MS
  turn = (turn + 1) % turns
  for (const ws of talking) {
    if (ws.number % turns === turn && ws.readyState === 1) push(ws)
  }
}, TICK_MS)

// "q CLIENT NUMBER FILLER" is answered "a CLIENT NUMBER NAME FILLER"
function answer (ws, data) {
  const [, client, number, filler] = String(data).split(' ')
  seen.asked++
  const text = `a ${client} ${number} ${name} ${filler}`
  if (!think) return ws.send(text)
  ws.turn = ws.turn.then(() => new Promise((resolve) => setTimeout(() => {
    if (ws.readyState === 1) ws.send(text)
    resolve()
  }, Math.random() * think)))
}

const server = http.createServer((req, res) => res.end(name))
const wss = new WebSocketServer({ server, perMessageDeflate: { threshold: 64 } })
wss.on('connection', (ws, req) => {
  ws.number = made++
  ws.token = `${name}.${incarnation}.${ws.number}`
  ws.turn = Promise.resolve()
  seen.pushes[ws.token] = 0
  seen.handshakes++
  if (req.headers['roost-rehomed-from']) seen.rehomed++
  talking.add(ws)
  ws.on('message', (data) => answer(ws, data))
  ws.on('pong', () => { seen.pongs++ })
  ws.on('error', () => {})
  ws.on('close', (code, reason) => {
    talking.delete(ws)
    seen.closes[code] = (seen.closes[code] || 0) + 1
    if (String(reason) === 're-homed') seen.goodbyes++
  })
})

const tell = () => JSON.stringify({ ...seen, open: talking.size }) + '\n'
process.on('SIGTERM', () => process.stdout.write(tell(), () => process.exit(0)))
process.stdin.setEncoding('utf8').on('data', (line) => {
  if (line === 'hush\n') hushed = true
  process.stdout.write(tell())
}).on('end', () => process.exit(0))
server.listen({ port, host: '127.0.0.1', backlog: 1024 }, () => {
  process.stdout.write(JSON.stringify({ port: server.address().port }) + '\n')
})
