// `/` needs nobody. `/stock` gives the stock service 0.2 s; when it fails, it guesses, and says so with a 200.
'use strict'
const http = require('node:http')

http.createServer((request, response) => {
  if (request.url !== '/stock') return response.end('ok')
  const guess = () => { if (!response.headersSent) { response.writeHead(200); response.end('perhaps some') } }
  const asked = http.get(process.env.STOCK_URL + '/count', { agent: false }, (answer) => {
    let body = ''
    answer.on('data', (chunk) => { body += chunk })
    answer.on('end', () => (answer.statusCode === 200 && answer.complete ? !response.headersSent && response.end(body) : guess()))
    answer.on('error', guess)
  }).on('error', guess)
  setTimeout(() => { guess(); asked.destroy() }, 200)
}).listen(Number(process.env.PORT), '127.0.0.1')
