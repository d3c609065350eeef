// A client for the store: as many connections as are needed, one command at a time on each.
'use strict';
const net = require('node:net');

class Connection {
  constructor(host, port) {
    this.socket = net.connect({ host, port, noDelay: true });
    this.buffer = '';
    this.waiting = null;
    this.socket.setEncoding('utf8');
    this.socket.on('data', (part) => this.take(part));
    this.socket.on('error', (error) => this.waiting && this.waiting.reject(error));
  }

  send(words) {
    return new Promise((resolve, reject) => {
      this.waiting = { resolve, reject };
      this.buffer = '';
      this.socket.write(`*${words.length}\r\n` + words.map((word) => `$${Buffer.byteLength(word)}\r\n${word}\r\n`).join(''));
    });
  }

  take(part) {
    this.buffer += part;
    const lines = this.buffer.split('\r\n');
    if (lines.length < 2 || !this.waiting) return;
    if (lines[0][0] === '-') return this.waiting.reject(new Error(lines[0].slice(1)));
    const wanted = Number(lines[0].slice(1));
    if (lines.length < 2 + 2 * wanted) return;
    this.waiting.resolve(Array.from({ length: wanted }, (_, index) => lines[2 + 2 * index]));
  }
}

class Redis {
  constructor(url) {
    this.address = new URL(url);
    this.idle = [];
  }

  async command(...words) {
    const connection = this.idle.pop() || new Connection(this.address.hostname, Number(this.address.port));
    const found = await connection.send(words);
    this.idle.push(connection);
    return found;
  }
}

module.exports = { Redis };
