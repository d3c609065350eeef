// `/` needs nobody. `/stock` asks the stock service and waits for it as long as it takes; what fails is a 502.
'use strict'
const http = require('node:http')

http.createServer((request, response) => {
  if (request.url !== '/stock') return response.end('ok')
  const fail = () => { if (!response.headersSent) response.writeHead(502).end('no stock') }
  http.get(process.env.STOCK_URL + '/count', { agent: false }, (answer) => {
    let body = ''
    answer.on('data', (chunk) => { body += chunk })
    answer.on('end', () => (answer.statusCode === 200 && answer.complete ? response.end(body) : fail()))
    answer.on('error', fail)
  }).on('error', fail)
}).listen(Number(process.env.PORT), '127.0.0.1')
