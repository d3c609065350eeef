# One request after the other. `/` needs nobody, and waits all the same while `/stock` waits for the stock service, which it
# gives 5 s. What fails is a 502.
require 'net/http'
require 'socket'
require 'uri'

STOCK = URI(ENV.fetch('STOCK_URL') + '/count')
server = TCPServer.new('127.0.0.1', Integer(ENV.fetch('PORT')))
server.listen(128)
loop do
  client = server.accept
  begin
    line = client.gets
    nil while (header = client.gets) && header != "\r\n"
    status, body = '200 OK', 'ok'
    if line&.include?('/stock')
      begin
        answer = Net::HTTP.start(STOCK.host, STOCK.port, open_timeout: 5, read_timeout: 5, max_retries: 0) { |http| http.get(STOCK.path) }
        answer.is_a?(Net::HTTPSuccess) ? body = answer.body : status = '502 Bad Gateway'
      rescue StandardError
        status = '502 Bad Gateway'
      end
    end
    client.write("HTTP/1.1 #{status}\r\nContent-Length: #{body.bytesize}\r\nConnection: close\r\n\r\n#{body}")
  rescue SystemCallError, IOError
    nil
  ensure
    client.close
  end
end
