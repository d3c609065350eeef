// A small notebook that is clean, or lossy in one of three ways: `node notes.js FLAW` (`none`: clean). Only what Node has itself.
//
//   write-behind       notes are kept in memory and written to the file every second
//   temporary-volume   notes lie in a folder that is made anew at each start
//   lost-on-terminate  what comes while it drains after SIGTERM is acknowledged and thrown away
'use strict'
const { createServer } = require('node:http')
const fs = require('node:fs')
const path = require('node:path')
const { randomUUID } = require('node:crypto')

const flaw = process.argv[2]
const folder = flaw === 'temporary-volume' ? fs.mkdtempSync(path.resolve('volume-')) : 'data'
fs.mkdirSync(folder, { recursive: true })
const file = path.join(folder, 'notes.jsonl')
const notes = new Map()
if (fs.existsSync(file)) {
  for (const line of fs.readFileSync(file, 'utf8').split('\n').filter(Boolean)) {
    const { id, text } = JSON.parse(line)
    notes.set(id, text)
  }
}
let pending = []
const write = (lines) => { if (lines.length) fs.appendFileSync(file, lines.map((note) => JSON.stringify(note) + '\n').join('')) }
if (flaw === 'write-behind') setInterval(() => { write(pending); pending = [] }, 1000)

let isDraining = false
const add = (text) => {
  const id = randomUUID().replaceAll('-', '')
  if (isDraining && flaw === 'lost-on-terminate') return id
  if (flaw === 'write-behind') pending.push({ id, text })
  else write([{ id, text }])
  notes.set(id, text)
  return id
}

const server = createServer((request, response) => {
  const say = (status, value) => response.writeHead(status, { 'Content-Type': 'application/json' }).end(JSON.stringify(value))
  if (request.method === 'POST') {
    let body = ''
    request.on('data', (chunk) => { body += chunk })
    request.on('end', () => say(201, { id: add(JSON.parse(body).text) }))
  } else if (request.url === '/notes') {
    say(200, [...notes.values()].reverse())
  } else if (request.url === '/') {
    say(200, 'ok')
  } else {
    const text = notes.get(request.url.split('/').at(-1))
    text === undefined ? say(404, 'no such note') : say(200, { text })
  }
})
server.listen(Number(process.env.PORT), '127.0.0.1')
process.on('SIGTERM', () => {
  isDraining = true
  // Whoever is connected is served for a moment more, as load balancers ask for.
  setTimeout(() => process.exit(0), 700)
})
