// SPDX-License-Identifier: MIT
// socket.io clients as browsers make them: polling first, then the upgrade.
// Usage: socketio-client.js URL COUNT cookie|header|query; prints what they saw as JSON.
'use strict'
const { io } = require('socket.io-client')

const [url, count, identity] = process.argv.slice(2)

function options (i) {
  const base = { transports: ['polling', 'websocket'], forceNew: true, reconnection: false }
  if (identity === 'cookie') return { ...base, withCredentials: true }
  if (identity === 'header') return { ...base, extraHeaders: { 'X-Client': `sio-${i}` } }
  return { ...base, query: { client: `sio-${i}` } }
}

function live (i) {
  return new Promise((resolve) => {
    const seen = { upgraded: false }
    const socket = io(url, options(i))
    const end = (error) => {
      if (error) seen.error = String(error.message || error)
      socket.disconnect()
      resolve(seen)
    }
    socket.on('connect_error', end)
    socket.on('disconnect', (why) => end(why === 'io client disconnect' ? null : why))
    socket.on('connect', async () => {
      seen.first = await socket.emitWithAck('whoami')
      const engine = socket.io.engine
      const go = async () => {
        seen.upgraded = engine.transport.name === 'websocket'
        seen.second = await socket.emitWithAck('whoami')
        seen.echo = (await socket.emitWithAck('echo', 'x'.repeat(50000))).length
        end()
      }
      if (engine.transport.name === 'websocket') go()
      else engine.once('upgrade', go)
    })
  })
}

Promise.all(Array.from({ length: Number(count) }, (_, i) => live(i)))
  .then((all) => { console.log(JSON.stringify(all)); process.exit(0) })
