// SPDX-License-Identifier: MIT
// Clients on the ws package with permessage-deflate: the same conversation as load.c's,
// orders and report alike. Usage: ws-clients.js PORT SOCKETS INTERVAL_MS SIZE
'use strict'
const WebSocket = require('ws')

const [port, sockets, interval, size] = process.argv.slice(2).map(Number)
const FRAGMENTS = 4
const FIFTH = 5
const seen = { clients: sockets, open: 0, asked: 0, answered: 0, under_way: 0, cut_off: 0,
  doubled: 0, reordered: 0, damaged: 0, pushes: 0, push_errors: 0, pings: 0, pongs: 0,
  moves: 0, closed: 0, first_error: '', closes: [], pauses_ms: [], tokens: {}, on: {} }
const filler = 'lorem-ipsum-dolor-sit-amet-'.repeat(Math.ceil(size / 27)).slice(0, size)
const clients = []
let quiet = false

function wrong (which, c, text) {
  seen[which]++
  seen.first_error = seen.first_error || `client ${c.name}: ${text.slice(0, 80)}`
}

function ask (c) {
  if (!quiet && c.ws.readyState === 1) {
    const n = c.asked++
    const text = `q ${c.name} ${n} ${filler}`
    c.when.set(n, performance.now())
    if (n % FIFTH) c.ws.send(text)
    else fragments(c, text)
  }
  setTimeout(ask, interval * (0.7 + 0.6 * Math.random()), c)
}

function fragments (c, text) {
  const step = Math.ceil(text.length / FRAGMENTS)
  for (let i = 0; i < FRAGMENTS; i++) {
    c.ws.send(text.slice(i * step, (i + 1) * step), { fin: i === FRAGMENTS - 1 })
    if (i < FRAGMENTS - 1) c.ws.ping(`i ${seen.pings++}`)
  }
}

function take (c, text) {
  const [kind, ...words] = text.split(' ')
  if (kind === 'a' && words[0] === c.name && words[3] === filler) return answer(c, words)
  if (kind === 'p') return push(c, words)
  wrong('damaged', c, text)
}

function answer (c, [, n, backend]) {
  const when = c.when.get(+n)
  if (when === undefined) return wrong('doubled', c, `answer ${n} again`)
  if (+n < c.expected) wrong('reordered', c, `answer ${n} at ${c.expected}`)
  else c.expected = +n + 1
  c.when.delete(+n)
  const took = performance.now() - when
  if (c.backend && c.backend !== backend) {
    seen.moves++
    seen.pauses_ms.push(Math.max(took, c.last))
  }
  c.backend = backend
  c.last = took
  c.answered++
}

function push (c, [token, n]) {
  seen.pushes++
  if (+n !== (seen.tokens[token] || 0)) wrong('push_errors', c, `push ${n} of ${token}`)
  seen.tokens[token] = +n + 1
}

function open (i) {
  const c = { name: `${i}`, asked: 0, expected: 0, answered: 0, when: new Map() }
  c.ws = new WebSocket(`ws://127.0.0.1:${port}/ws`, {
    perMessageDeflate: { threshold: 64 }, headers: { 'X-Client': `ws-${i}` }
  })
  c.ws.on('open', () => {
    if (!c.ws.extensions.includes('permessage-deflate')) wrong('damaged', c, 'plain')
    if (++seen.open === sockets) console.log(JSON.stringify({ open: seen.open }))
    setTimeout(ask, interval * Math.random(), c)
  })
  c.ws.on('message', (data) => take(c, String(data)))
  c.ws.on('pong', () => { seen.pongs++ })
  c.ws.on('close', (code) => {
    seen.open--
    seen.closed++
    seen.closes.push([performance.now(), `ws-${i}`, code])
  })
  c.ws.on('error', (e) => { seen.first_error = seen.first_error || String(e) })
  clients.push(c)
}

function report () {
  for (const k of ['asked', 'answered']) seen[k] = clients.reduce((n, c) => n + c[k], 0)
  seen.under_way = clients.reduce((n, c) => n + c.asked - c.expected, 0)
  seen.lost = []
  for (const c of clients) {
    seen.on[`ws-${c.name}`] = c.backend
    for (const [n, when] of c.when) seen.lost.push([`ws-${c.name}`, n, when, c.asked])
  }
  console.log(JSON.stringify(seen))
}

for (let i = 0; i < sockets; i++) open(i)
process.stdin.setEncoding('utf8').on('data', (line) => {
  quiet = quiet || line === 'quiet\n'
  report()
}).on('end', () => process.exit(0))
